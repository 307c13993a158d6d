"""command, script and parameters: one element of the spec is one element of argv."""
# ruff: noqa: E501 - the tables of cases are read row by row

import pytest

from ltspec.spec import argv


@pytest.mark.parametrize(("text", "words"), [
    ("tar --create", ["tar", "--create"]),
    ("echo 'a b' \"c d\" e\\ f ''", ["echo", "a b", "c d", "e f", ""]),
    ("echo {{ a b }} x{{ 'a b' }}y", ["echo", "{{ a b }}", "x{{ 'a b' }}y"]),
    ("echo '{{ a }} {{ b }}' {{ \"}}\" }}", ["echo", "{{ a }} {{ b }}", "{{ \"}}\" }}"]),
    ("echo {% if a %}x y{% endif %}", ["echo", "{% if a %}x", "y{% endif %}"]),
    ("a\tb\nc", ["a", "b", "c"]),
])
def test_a_written_command_is_split_before_it_is_rendered(text, words):
    assert argv.split_command(text) == words


@pytest.mark.parametrize("text", ["echo 'a", 'echo "a', "echo a\\"])
def test_a_command_with_an_open_quote_cannot_be_split(text):
    with pytest.raises(argv.CannotSplit):
        argv.split_command(text)


@pytest.mark.parametrize(("parameters", "style", "expected"), [
    ({"file": "x", "v": True, "n": 5, "a": False, "b": None}, "gnu", "--file x -v -n 5"),
    ({"file": "x", "v": True, "n": 5}, "equals", "--file=x -v -n 5"),
    ({"elid": "5", "quiet": True, "off": False}, "mgr", "elid=5 quiet=on"),
    ({"exclude": ["a", "b"], "v": [True, True]}, "gnu", "--exclude a --exclude b -v -v"),
    (["a", 5, {"k": ""}, "b"], "gnu", "a 5 -k  b"),
    ([], "gnu", ""),
])
def test_parameters_in_each_style(parameters, style, expected):
    assert " ".join(argv.arguments(parameters, style)) == expected


@pytest.mark.parametrize(("script", "prefix"), [
    ("echo\n", ("/bin/sh", "-eu")),
    ("#!/usr/bin/env python3\n", ("/usr/bin/env", "python3")),
    ("#! /bin/bash -e -x \necho", ("/bin/bash", "-e -x")),
    ("#!/bin/bash", ("/bin/bash",)),
    (" #!/bin/bash", ("/bin/sh", "-eu")),
])
def test_the_interpreter_of_a_script(script, prefix):
    assert argv.interpreter(script) == prefix


@pytest.mark.parametrize("text", [
    "a | b", "a > b", "a >> b", "a 2>&1", "a 2>/dev/null", "a && b", "a; b", "a &", "a $HOME", "a $(b)",
    "a `b`", "a ~/b", "ls /var/log/*.log", "a || b", "a < b",
])
def test_shell_syntax_is_seen(text):
    assert argv.shell_syntax(text)


@pytest.mark.parametrize("text", [
    "find /x -name '*.log'", "echo 'a | b' \"$HOME\"", "a --x=5 b", "curl http://x/?a=b&c=d",
    "echo {{ a | upper }}", "awk '{print $1}'", "a - --", "sh -c 'a | b'", "grep a.*b /x",
])
def test_what_is_no_shell_syntax(text):
    assert argv.shell_syntax(text) == ""
