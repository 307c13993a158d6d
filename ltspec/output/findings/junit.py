"""JUnit XML: a test case for each file, failed where the file has errors; warnings in system-out.

The form that Jenkins' and GitLab's schema accept (junit-10.xsd): testsuites / testsuite / testcase.
"""

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from ltspec.output.findings.report import Report
from ltspec.output.findings.text import lines_of
from ltspec.spec.problems import ERROR, Problem

# What XML 1.0 cannot hold, in no way of writing.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    """The document."""
    by_file: dict[str, list[Problem]] = {name: [] for name in report.files}
    for problem in report.problems:
        by_file.setdefault(problem.file or "command line", []).append(
            problem._replace(severity=report.level(problem)))
    cases = [_case(name, problems) for name, problems in by_file.items()]
    failures = sum(any(p.severity == ERROR for p in problems) for problems in by_file.values())
    counts = f'tests="{len(cases)}" failures="{failures}" errors="0"'
    return "\n".join((
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="ltspec validate" {counts}>',
        f'  <testsuite name="ltspec validate" {counts} skipped="0">',
        *cases,
        "  </testsuite>",
        "</testsuites>",
    ))


def _case(name: str, problems: Sequence[Problem]) -> str:
    head = f'    <testcase name={_attribute(name)} classname="ltspec"'
    if not problems:
        return head + "/>"
    errors = [problem for problem in problems if problem.severity == ERROR]
    warnings = [problem for problem in problems if problem.severity != ERROR]
    parts = [head + ">"]
    if errors:
        first = _attribute(errors[0].message)
        start = f'<failure message={first} type="{errors[0].code}">'
        parts.append(f"      {start}{_body(errors)}</failure>")
    if warnings:
        parts.append(f"      <system-out>{_body(warnings)}</system-out>")
    return "\n".join((*parts, "    </testcase>"))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))


def _body(problems: Sequence[Problem]) -> str:
    return escape(_clean("\n".join(lines_of(problems))))
