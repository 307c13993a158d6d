"""The pages made from schema and codes are up to date, and each code's example gives that code."""

import shlex
from pathlib import Path

import pytest

from ltspec.spec import reference
from ltspec.spec.codes import CODES

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_a_made_page_is_what_is_made_now(name):
    assert (ROOT / "docs" / name).read_text() == reference.PAGES[name](), (
        "run python -m ltspec.spec.reference docs")


@pytest.mark.parametrize("code", [code for code, about in CODES.items() if about.example])
def test_the_example_of_a_code_gives_it(code, load):
    found = load(CODES[code].example).problems
    assert code in {problem.code for problem in found}
    assert {one.severity for one in found if one.code == code} == {CODES[code].severity}


def command_lines():
    """Every command line of docs/ci.md that runs ltspec."""
    for line in (ROOT / "docs" / "ci.md").read_text().splitlines():
        words = line.strip().removeprefix("- ").removeprefix("run: ").split("  #")[0]
        if words.startswith("ltspec "):
            yield words


@pytest.mark.parametrize("line", list(command_lines()))
def test_a_command_line_of_the_ci_page_works(line, host):
    host.write("jobs/one.yml", """\
        id: backup-{{ account }}
        command: "true"
        inputs: { account: { pattern: "^u", examples: [u1] } }
        """)
    words = line.split(" > ")[0]
    assert shlex.split(words)[0] == "ltspec"
    host.ltspec(*shlex.split(words)[1:], code=0)


def test_the_pre_commit_hook_works(host):
    import yaml

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    host.write("jobs/one.yml", "id: one\ncomand: x\n")
    done = host.ltspec(*shlex.split(hook["entry"])[1:], code=1)
    assert "LT201" in done.stdout
