"""The documents of each format: C36-C44, C50."""

import json
import xml.etree.ElementTree as ET

import pytest

from ltspec.mgrctl import answer
from ltspec.mgrctl.answer import Done, Form, Table, Wrong

CONTROLS = "".join(map(chr, range(1, 32))) + "\x7f\ufffe\uffff \u2028 <&>\"' ]]> ☃"


def listing(filled, *arguments):
    return filled.mgrctl(*arguments, "longtask", code=0).stdout


def test_c36_text_list_is_one_line_a_record_with_the_key_first(filled):
    filled.failed("a", "q")
    filled.task("b", "q", "two words")
    lines = listing(filled).splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        f"pidfile={filled.elid('q/a')}", f"pidfile={filled.elid('q/b')}"
    ]
    assert "queue=q number= status=err realname=bin/work id=a " in lines[0]
    assert "queue=q number=1 status=que realname=bin/work id=b " in lines[1]


def test_c36_key_of_a_list_is_usable_as_elid(filled):
    filled.failed("a", "q")
    key = listing(filled).split(" ")[0].removeprefix("pidfile=")
    assert "id=a\n" in filled.mgrctl("longtask.edit", f"elid={key}", code=0).stdout


def test_c36_empty_list_prints_nothing(filled, make_host):
    assert listing(filled) == ""
    assert make_host("empty").mgrctl("longtask", code=0).stdout == ""


def test_c36_newline_in_an_error_text_stays_on_the_line(filled):
    key = filled.running("a")
    filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", "status=err", "errmsg=a\nb\tc",
                  code=0)
    assert listing(filled).count("\n") == 1
    assert "info=a b c\n" in listing(filled)
    assert filled.status(key) == "err"


def test_c37_text_form_is_one_assignment_a_line(filled):
    filled.failed("a", "q", "one", "two words", "k=v")
    lines = filled.mgrctl("longtask.edit", f"elid={filled.elid('q/a')}", code=0).stdout.splitlines()
    assert all("=" in line for line in lines)
    assert [line for line in lines if line.startswith("params=")] == [
        "params=one", "params=two words", "params=k=v"
    ]
    assert "info=exit code 3" in lines


def test_c38_text_error_begins_error_and_names_type_and_object(filled):
    done = filled.mgrctl("longtask.edit", code=1)
    assert done.stdout == "ERROR missed(elid)\n"
    assert "elid is missing" in done.stderr


def test_c39_xml_is_one_document_whatever_the_error_text_holds(filled):
    filled.running("a")
    filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", "status=err",
                  f"errmsg={CONTROLS}", code=0)
    info = filled.xml("longtask").findtext("elem/info")
    assert info.endswith(" \u2028 <&>\"' ]]> ☃")
    assert "\t\n" in info
    assert "\r" in info


def test_c39_bytes_that_are_not_utf8_do_no_harm(filled):
    filled.running("a")
    filled.host.run(
        ["sh", "-c", f"exec \"$0\" -c 'import sys; from ltspec.mgrctl.command import main;"
         f" sys.exit(main())' longtask.finish elid={filled.elid('a')} status=err"
         " errmsg=\"$(printf 'caf\\351')\"", __import__("sys").executable], code=0)
    assert filled.xml("longtask").findtext("elem/info") == "caf\ufffd"


def test_c39_xml_says_that_it_is_utf8(filled):
    filled.running("a")
    text = listing(filled, "-o", "xml")
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<doc>')
    assert text.count("<doc>") == 1


def test_c39_devel_is_the_same_document_indented(filled):
    filled.failed("a", "q")
    plain, devel = (ET.fromstring(listing(filled, "-o", form)) for form in ("xml", "devel"))
    assert [(e.tag, (e.text or "").strip()) for e in plain.iter()] == [
        (e.tag, (e.text or "").strip()) for e in devel.iter()
    ]


def test_c40_xml_error_is_in_the_document_with_exit_code_0(filled):
    document = filled.xml("longtask.edit", "elid=/none")
    error = document.find("error")
    assert document.tag == "doc"
    assert error.attrib == {"type": "missed", "object": "elid"}
    assert "/none" in error.findtext("msg")


@pytest.mark.parametrize("form", ["json", "sjson"])
def test_c41_json_has_typed_values_under_doc(filled, form):
    filled.failed("a", "q")
    elements = json.loads(listing(filled, "-o", form))["doc"]["elem"]
    assert len(elements) == 1
    assert elements[0]["status"] == {"$": "err"}
    assert elements[0]["depend"] == {}


@pytest.mark.parametrize("form", ["json", "sjson"])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_c41_elements_are_always_an_array(filled, form, count):
    for number in range(count):
        filled.task(f"t{number}")
    assert len(json.loads(listing(filled, "-o", form))["doc"]["elem"]) == count


def test_c41_json_error_has_attributes_with_a_dollar(filled):
    done = filled.mgrctl("-o", "json", "longtask.edit", code=0)
    error = json.loads(done.stdout)["doc"]["error"]
    assert (error["$type"], error["$object"]) == ("missed", "elid")
    assert error["msg"]["$"]


def test_c41_repeated_field_is_an_array(filled):
    filled.task("a", "", "one", "two")
    done = filled.mgrctl("-o", "json", "longtask.edit", f"elid={filled.elid('a')}", code=0)
    assert json.loads(done.stdout)["doc"]["params"] == [{"$": "one"}, {"$": "two"}]


def test_c42_bjson_has_plain_strings_and_no_doc(filled):
    filled.failed("a", "q", "one")
    table = json.loads(listing(filled, "-o", "bjson"))
    form = json.loads(
        filled.mgrctl("-o", "bjson", "longtask.edit", f"elid={filled.elid('q/a')}", code=0).stdout
    )
    error = json.loads(filled.mgrctl("-o", "bjson", "longtask.edit", code=0).stdout)
    assert table["elem"][0]["status"] == "err"
    assert form["model"]["params"] == "one"
    assert error["error"]["type"] == "missed"
    assert "doc" not in {**table, **form, **error}


@pytest.mark.parametrize(("form", "expected"), [
    ("text", "OK\n"),
    ("xml", '<?xml version="1.0" encoding="UTF-8"?>\n<doc><ok/></doc>\n'),
    ("json", '{"doc": {"ok": {}}}\n'),
    ("sjson", '{"doc": {"ok": {}}}\n'),
    ("bjson", '{"ok": {}}\n'),
])
def test_c43_success_of_an_action(filled, form, expected):
    filled.running("a")
    done = filled.mgrctl("-o", form, "longtask.finish", f"elid={filled.elid('a')}", "status=ok",
                         code=0)
    assert done.stdout == expected


@pytest.mark.parametrize("form", ["xml", "devel", "json", "sjson", "bjson"])
def test_c44_error_in_a_document_has_exit_code_0_and_no_stderr(filled, form):
    done = filled.mgrctl("-o", form, "longtask.finish", "elid=/none", "status=ok", code=0)
    assert "missed" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("form", ["text", "xml", "json"])
def test_c44_transport_error_is_text_on_stderr(host, form):
    host.state_dir.mkdir(mode=0o700)
    (host.state_dir / "catalogue.db").write_text("not a database, by no means at all" * 100)
    done = host.mgrctl("-o", form, "longtask", code=5)
    assert done.stdout == ""
    assert "it is not a catalogue" in done.stderr


@pytest.mark.parametrize("how", ["option", "environment", "configuration"])
def test_c50_generation_4_by_any_of_its_switches(filled, how):
    filled.failed("a", "q")
    if how == "configuration":
        filled.host.config("generation4: true\n")
    options = ["-4"] if how == "option" else []
    env = {"LTSPEC_MGRCTL_GENERATION": "4"} if how == "environment" else {}
    done = filled.mgrctl(*options, "-o", "json", "longtask", env=env, code=0)
    assert json.loads(done.stdout)["elem"][0]["status"] == "err"


def test_c50_generation_4_form_is_plain_strings(filled):
    filled.failed("a", "q", "one")
    done = filled.mgrctl("-4", "-o", "json", "longtask.edit", f"elid={filled.elid('q/a')}", code=0)
    assert json.loads(done.stdout)["params"] == "one"


@pytest.mark.parametrize(("kind", "code"), [
    ("internal", 1), ("exists", 2), ("missed", 3), ("value", 4), ("limit", 5), ("access", 6),
])
def test_c50_generation_4_errors_are_numbers(kind, code):
    wrong = Wrong(kind, "elid", "no such task")
    document = answer.write(wrong, "xml", generation4=True)
    assert f'<error code="{code}" obj="elid"/>' in document
    assert json.loads(answer.write(wrong, "json", generation4=True)) == {
        "error": {"code": str(code), "obj": "elid"}
    }


def test_object_with_special_characters_is_escaped_in_the_attribute():
    document = answer.write(Wrong("value", 'a"<\n&'), "xml")
    error = ET.fromstring(document).find("error")
    assert error is not None
    assert error.get("object") == 'a"<\n&'


@pytest.mark.parametrize("what", [Table([]), Form([]), Done(), Wrong("missed", "x")])
@pytest.mark.parametrize("form", ["xml", "devel", "json", "sjson", "bjson"])
@pytest.mark.parametrize("generation4", [False, True])
def test_every_document_is_well_formed(what, form, generation4):
    text = answer.write(what, form, generation4=generation4)
    if form in ("xml", "devel"):
        assert ET.fromstring(text).tag == "doc"
    else:
        json.loads(text)
