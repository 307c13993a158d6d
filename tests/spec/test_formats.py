"""The reports for machines keep to their formats, whatever stands in a message.

SARIF and JUnit are checked against the published schemas in tests/formats.
"""
# ruff: noqa: E501 - the tables of cases are read row by row

import json
import os
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import pytest
import xmlschema
from jsonschema import Draft4Validator

from ltspec import config, spec
from ltspec.output import findings
from ltspec.output.findings import Report, github
from ltspec.spec.problems import Problem

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FORMATS = EXAMPLES.parent / "formats"
NASTY = 'a: b, 100%\nnext\r"<&>\' ]]> \x07 \x1b[31m \u2028 日本 ::error::'
PROBLEMS = (
    Problem("LT201", NASTY, "jobs/a b,:%.yml", 3, 5, 'tasks[0]["x y"]', "hint: %"),
    Problem("LT503", "unused", "jobs/a b,:%.yml", 4, 1, "vars.x", severity="warning"),
    Problem("LT503", "unused", "jobs/a b,:%.yml", 9, 1, "vars.x", severity="warning"),
    Problem("LT310", "no place", ""),
    Problem("LT101", "no line", "jobs/missing.yml"),
)
REPORT = Report(PROBLEMS, ("jobs/a b,:%.yml", "jobs/fine.yml"), 3)

@cache
def _reports():
    invalid = spec.load([str(EXAMPLES / "invalid")], config=config.Config(), for_host=False)
    return {
        "nasty": REPORT, "strict": REPORT._replace(strict=True), "empty": Report((), (), 0),
        "examples": Report(invalid.problems, invalid.names, len(invalid.tasks)),
    }


@cache
def _sarif():
    schema = json.loads((FORMATS / "sarif-schema-2.1.0.json").read_text())
    return Draft4Validator(schema)


@cache
def _junit():
    return xmlschema.XMLSchema(str(FORMATS / "junit-10.xsd"))


@pytest.mark.parametrize("name", ["nasty", "strict", "empty", "examples"])
def test_sarif_fits_the_schema_of_version_2_1_0(name):
    log = json.loads(findings.rendered(_reports()[name], "sarif"))
    assert [error.message for error in _sarif().iter_errors(log)] == []
    assert len(log["runs"][0]["results"]) == len(_reports()[name].problems)


@pytest.mark.parametrize("name", ["nasty", "strict", "empty", "examples"])
def test_junit_fits_its_schema(name):
    text = findings.rendered(_reports()[name], "junit")
    assert [str(error) for error in _junit().iter_errors(text)] == []


def test_the_schemas_refuse_what_is_none_of_their_formats():
    log = json.loads(findings.rendered(REPORT, "sarif"))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not _sarif().is_valid(log)
    text = findings.rendered(REPORT, "junit")
    assert not _junit().is_valid(text.replace("<failure ", "<fault ").replace("/failure", "/fault"))


def test_sarif_results_refer_to_rules_and_places():
    (run,) = json.loads(findings.rendered(REPORT, "sarif"))["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result, problem in zip(run["results"], PROBLEMS, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == problem.code
        assert result["level"] == problem.severity
        assert problem.message in result["message"]["text"]
        for location in result.get("locations", ()):
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert not set(uri) & set(' ,:"<>')


def test_junit_counts_a_file_with_errors_as_failed_and_one_with_warnings_not():
    report = Report((PROBLEMS[1],), ("jobs/a b,:%.yml", "jobs/fine.yml"), 1)
    root = ET.fromstring(findings.rendered(report, "junit"))
    assert (root.attrib["tests"], root.attrib["failures"]) == ("2", "0")
    strict = ET.fromstring(findings.rendered(report._replace(strict=True), "junit"))
    assert strict.attrib["failures"] == "1"


def test_github_annotations_are_escaped_as_the_runner_expects():
    lines = findings.rendered(REPORT, "github").split("\n")
    assert len(lines) == len(PROBLEMS)
    assert lines[0].startswith(
        "::error title=ltspec LT201,file=jobs/a b%2C%3A%25.yml,line=3,col=5::a: b, 100%25%0Anext%0D")
    assert lines[3] == "::error title=ltspec LT310::no place"
    assert lines[1].startswith("::warning ")


@pytest.mark.parametrize("text", ["%", "\r\n", "a%0Ab", "::", ",:%"])
def test_github_escaping_is_undone_by_what_the_runner_does(text):
    def unescape(value):
        for code, char in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            value = value.replace(code, char)
        return value

    assert unescape(github.property_(text)) == text
    assert not set(github.property_(text)) & set("\r\n:,")


def test_gitlab_issues_have_what_a_code_quality_report_requires():
    issues = json.loads(findings.rendered(REPORT, "gitlab"))
    assert len({issue["fingerprint"] for issue in issues}) == len(PROBLEMS)
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert issue["location"]["lines"]["begin"] >= 1
        assert issue["location"]["path"]


def test_gitlab_fingerprints_stay_when_lines_move():
    moved = tuple(problem._replace(line=problem.line + 7) for problem in PROBLEMS)
    def prints(report):
        return [one["fingerprint"] for one in json.loads(findings.rendered(report, "gitlab"))]
    assert prints(REPORT) == prints(REPORT._replace(problems=moved))


def test_json_has_every_key():
    document = json.loads(findings.rendered(REPORT, "json"))
    assert (document["valid"], document["errors"], document["warnings"]) == (False, 3, 2)
    assert document["problems"][0] == {
        "code": "LT201", "severity": "error", "file": "jobs/a b,:%.yml", "line": 3, "column": 5,
        "path": 'tasks[0]["x y"]', "message": NASTY, "hint": "hint: %"}


def test_text_shows_nothing_raw_to_a_terminal():
    text = findings.rendered(REPORT, "text")
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.split("\n")[-1] == "2 files, 3 tasks: 3 errors, 2 warnings"


def test_the_caret_stands_under_the_place_also_after_wide_characters():
    from ltspec.output.findings import text

    problem = Problem("LT302", "m", "f", 1, 4, source_line="日本 x")
    assert text.lines_of([problem], source=True)[1:] == ["    日本 x", "         ^"]


@pytest.mark.parametrize(("environment", "form"), [
    ({}, "text"), ({"GITHUB_ACTIONS": "true"}, "github"), ({"GITLAB_CI": "true"}, "gitlab"),
    ({"CI": "true"}, "text"),
])
def test_the_format_is_that_of_the_ci_system(environment, form):
    assert findings.chosen(environment) == form
    assert os.environ.get("GITHUB_ACTIONS") is None


@pytest.mark.parametrize("form", ["github", "gitlab", "sarif", "junit", "json"])
def test_paths_for_ci_begin_at_the_top_of_the_repository(form, tmp_path, monkeypatch, capsys):
    (tmp_path / "checkout/server/jobs").mkdir(parents=True)
    (tmp_path / "link").symlink_to("checkout")
    monkeypatch.chdir(tmp_path / "checkout/server")
    inside, outside = "jobs/a.yml", f"{tmp_path}/b.yml"
    problems = tuple(Problem("LT201", "m", name, 1, 1) for name in (inside, outside))
    findings.print_report(Report(problems, (inside, outside), 0), form,
                          {"GITHUB_WORKSPACE": str(tmp_path / "link")})
    printed = capsys.readouterr()
    assert ("server/jobs/a.yml" in printed.out) == (form != "json")
    assert outside in printed.out
    assert "\njobs/a.yml:1:1: error: m" in f"\n{printed.err}"


def test_a_gitlab_problem_of_the_command_line_is_at_the_file_it_stands_in():
    issues = json.loads(findings.rendered(REPORT, "gitlab"))
    assert issues[3]["location"]["path"] == ".gitlab-ci.yml"


def test_the_log_of_a_github_step_has_the_text_but_no_command_of_a_stranger(capsys):
    name = "::add-mask::x.yml"
    problem = Problem("LT201", "has ##[error]no", name, 1, 1, hint="::stop-commands::x")
    findings.print_report(Report((problem,), (name,), 0), "github")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"./{name}:1:1: error: has # #[error]no (LT201)"
    assert not any(line.lstrip().startswith("::") or "##[" in line for line in lines)


def test_the_text_beside_a_format_says_error_where_strict_makes_it_one(capsys):
    findings.print_report(REPORT._replace(strict=True), "gitlab")
    assert "warning" not in capsys.readouterr().err
