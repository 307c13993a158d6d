"""The example specs: valid ones have no problem, invalid ones have exactly the expected ones.

An invalid example NAME.yml has its report in NAME.out (made new by `python tests/spec/examples.py`
and then read by a person). A first line `# ltspec validate -e …` gives options.
"""

import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from ltspec import config, spec
from ltspec.output.findings import text
from ltspec.spec.codes import CODES

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
VALID = sorted((EXAMPLES / "valid").glob("*.yml"))
INVALID = sorted((EXAMPLES / "invalid").glob("*.yml"))


def problems_of(path: Path):
    """The problems of one example, named without its directory."""
    first = path.read_bytes().split(b"\n", 1)[0].decode("utf-8", "replace")
    words = shlex.split(first.removeprefix("# ltspec validate"))
    given = [value for option, value in pairwise(words) if option == "-e"]
    loaded = spec.load([path.name], config=config.Config(),
                       extra_vars=spec.parse_extra_vars(given if first.startswith("# lt") else []),
                       for_host=False)
    return loaded.problems


def report_of(path: Path) -> str:
    """What the .out file must hold."""
    return "\n".join(text.lines_of(problems_of(path))) + "\n"


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid_example_has_no_problem(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    assert report_of(path) == "\n"


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_example_gives_the_expected_report(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    assert report_of(path) == path.with_suffix(".out").read_text()


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_example_is_named_by_a_code_that_it_gives(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    codes = {problem.code for problem in problems_of(path)}
    name = path.stem.partition("-")[0]
    assert name in codes if name in CODES else codes


def test_there_are_enough_invalid_examples_of_many_codes():
    codes = {path.stem.partition("-")[0] for path in INVALID}
    assert len(INVALID) >= 120
    assert len(codes & CODES.keys()) >= 35


def test_every_report_has_its_example():
    reports = {path.stem for path in (EXAMPLES / "invalid").glob("*.out")}
    assert reports == {path.stem for path in INVALID}
