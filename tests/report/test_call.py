"""The command line of a report: exact, whatever the error text holds."""

from urllib.parse import parse_qs

import pytest

from ltspec.report import call

NASTY = "it's \"bad\": a=b&status=ok %20 + \t\n line 2 \x1b[31m \x7f ünï ☃ 𝄞 $HOME `id` \\"


def test_arguments_of_a_success_are_the_documented_ones():
    assert call.arguments("billmgr", "/run/q/a", "ok", "", "arguments") == [
        "-m", "billmgr", "longtask.finish", "elid=/run/q/a", "status=ok",
    ]


def test_arguments_of_a_failure_hold_the_raw_text_as_one_element():
    elements = call.arguments("m", "/r/a", "err", NASTY, "arguments")
    assert elements[-2:] == ["status=err", "errmsg=" + NASTY]


def test_joined_form_is_one_url_encoded_element():
    elements = call.arguments("m", "/r/q/a+b", "err", NASTY, "joined")
    function, _, query = elements[2].partition("&")
    assert elements[:2] == ["-m", "m"]
    assert function == "longtask.finish"
    assert parse_qs(query) == {"elid": ["/r/q/a+b"], "status": ["err"], "errmsg": [NASTY]}


@pytest.mark.parametrize("form", ["arguments", "joined"])
@pytest.mark.parametrize("letter", ["x", "☃", "𝄞"])
def test_text_over_the_systems_limit_is_shortened_at_a_whole_character(form, letter):
    element = call.arguments("m", "/r/a", "err", letter * 200_000, form)[-1]
    assert call.LONGEST_ELEMENT - 12 < len(element.encode()) <= call.LONGEST_ELEMENT
    text = parse_qs(element.partition("&")[2])["errmsg"][0] if form == "joined" else element[7:]
    assert set(text) == {letter}


def test_text_of_100_kb_is_not_shortened():
    text = "x" * 100_000
    assert call.arguments("m", "/r/a", "err", text, "arguments")[-1] == "errmsg=" + text


def test_nul_and_lone_surrogates_become_something_that_execve_takes():
    element = call.arguments("m", "/r/a", "err", "a\0b\udcffc", "arguments")[-1]
    assert "\0" not in element
    assert element.encode().startswith(b"errmsg=a")
    assert element.endswith("c")


@pytest.mark.parametrize(
    ("output", "refusal"),
    [("ERROR missed(elid)\n", True), ("\nERROR value(x)", True), ("OK\n", False), ("", False),
     ("no ERROR here", False)],
)
def test_answer_is_a_refusal_only_where_it_begins_with_error(output, refusal):
    assert call.is_refusal(output) is refusal
