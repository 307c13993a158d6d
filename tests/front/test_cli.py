"""The command itself: usage, help, exit codes, the report of a bug, what a start loads."""

import os
import re
import subprocess
import sys

import pytest

from ltspec import __version__, cli
from ltspec.commands import table
from ltspec.output import bug


def test_version_is_printed(host):
    assert host.ltspec("--version", code=0).stdout == f"ltspec {__version__}\n"


def test_without_a_command_the_overview_and_2(host):
    assert "usage: ltspec" in host.ltspec(code=2).stdout
    assert "usage: ltspec" in host.ltspec("--help", code=0).stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["aply"], "did you mean `ltspec apply`"),
        (["lint"], "did you mean `ltspec validate`"),
        (["xyzzy"], "`ltspec --help` lists the commands"),
        (["--verbose", "list"], "there is no option '--verbose'"),
        (["--config"], "--config needs a file"),
        (["apply"], "see `ltspec apply --help`"),
        (["stop"], "name tasks, or a queue"),
        (["retry"], "name tasks, or take --failed"),
        (["logs", "-f", "--attempt", "1", "x"], "-f follows what comes"),
        (["apply", "--timeout", "1s", "x"], "--timeout is the time limit of --wait"),
        (["queue", "slots", "q", "-1"], "see `ltspec queue"),
        (["completion"], "name a shell"),
        (["list", "-n", "0"], "'0' is not a whole number from 1 on"),
    ],
)
def test_wrong_words_are_usage_errors(host, words, text):
    done = host.ltspec(*words, code=2)
    assert text in done.stderr
    assert done.stderr.startswith("ltspec: error: ")


@pytest.mark.parametrize("name", table.COMMANDS)
def test_every_command_has_help_with_examples(host, name):
    done = host.ltspec(name, "--help", code=0)
    assert done.stdout.startswith(f"usage: ltspec {name}")
    assert "examples:" in done.stdout
    assert f"ltspec {name}" in done.stdout.split("examples:")[1]


def test_every_command_is_a_module_and_every_module_of_a_command_is_listed():
    folder = os.path.dirname(table.__file__)
    with_run = {
        name[:-3] for name in os.listdir(folder)
        if name.endswith(".py") and "\nEXAMPLES = " in open_text(os.path.join(folder, name))
    }
    assert with_run == set(table.COMMANDS)


def open_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_a_bug_gives_3_and_a_report_without_values(host, monkeypatch, tmp_path, capsys):
    def broken(_words):
        raise RuntimeError("deep trouble")

    monkeypatch.setattr(cli, "_dispatch", broken)
    monkeypatch.setenv("LTSPEC_STATE_DIR", str(tmp_path))
    code = cli.main(["apply", "x.yml", "-e", "password=hush", "--", "secret"])
    assert code == 3
    error = capsys.readouterr().err
    assert "this is a bug of ltspec: RuntimeError: deep trouble" in error
    (report,) = tmp_path.glob("bug-*.txt")
    assert str(report) in error
    text = report.read_text()
    assert "deep trouble" in text
    assert "hush" not in text
    assert "secret" not in text
    assert report.stat().st_mode & 0o077 == 0


def test_hidden_values_keeps_names_only():
    words = ["apply", "-e", "a=b", "--env=K=V", "-e", "@file", "--", "cmd", "x"]
    assert bug.hidden_values(words) == ["apply", "-e", "a=…", "--env=…", "-e", "@file", "--", "…"]


def test_an_interrupt_gives_130(monkeypatch):
    def interrupted(_words):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", interrupted)
    assert cli.main(["list"]) == 130


# ---------------------------------------------------------------- what a start loads

HEAVY = {"yaml", "jsonschema", "jinja2", "sh", "rich", "watchfiles", "shtab", "dataclasses",
         "inspect", "subprocess", "asyncio", "logging", "importlib.metadata"}


def loaded(host, *words):
    """The modules that a command loads, by -X importtime."""
    program = f"import sys; from ltspec.cli import main; sys.exit(main({list(words)}))"
    done = host.run([sys.executable, "-X", "importtime", "-c", program])
    names = re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)
    assert "ltspec" in names
    return set(names)


@pytest.mark.parametrize(
    "words",
    [["--version"], ["list"], ["list", "--json"], ["show", "q/one"], ["why", "q/one"],
     ["run", "--", "true"], ["wait", "q/one"], ["stop", "q/one"], ["queue", "list"],
     ["logs", "q/one"], ["wake"]],
    ids=" ".join,
)
def test_small_commands_load_nothing_large(host, words):
    host.ltspec("run", "-q", "q", "--id", "one", "--wait", "--", "true", code=0)
    assert loaded(host, *words) & HEAVY == set()


def test_version_loads_not_even_argparse(host):
    names = loaded(host, "--version")
    assert names & {"argparse", "sqlite3", "json", "typing", "socket"} == set()
    assert {name for name in names if name.startswith("ltspec")} == {
        "ltspec", "ltspec.cli", "ltspec.errors", "ltspec.output", "ltspec.output.plain",
    }


def test_module_counts_of_starts_stay_small(host):
    """The guard without a clock: more than this many modules, and a start has grown."""
    host.ltspec("run", "-q", "q", "--id", "one", "--wait", "--", "true", code=0)
    bare = subprocess.run([sys.executable, "-X", "importtime", "-c", "pass"], check=True,
                          capture_output=True, text=True).stderr.count("import time:")
    for words, most in (("--version", 8), ("list", 75), ("run -- true", 85)):
        count = len(loaded(host, *words.split()))
        assert count - bare <= most, f"ltspec {words} loads {count - bare} modules"
