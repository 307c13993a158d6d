"""The report as one JSON document; its keys are listed in docs/ci.md and stay."""

import json
from typing import Any

from ltspec.output.findings.report import Report
from ltspec.spec.problems import Problem


def render(report: Report) -> str:
    """The document, indented: a person may look at it too."""
    problems = [_entry(problem, report.level(problem)) for problem in report.problems]
    document = {
        "valid": not report.failed,
        "files": len(report.files),
        "tasks": report.tasks,
        "skipped": report.skipped,
        "unknown": report.unknown,
        "errors": sum(problem["severity"] == "error" for problem in problems),
        "warnings": sum(problem["severity"] == "warning" for problem in problems),
        "problems": problems,
        "unchecked": [_entry(problem, "note") for problem in report.unchecked],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _entry(problem: Problem, severity: str) -> dict[str, Any]:
    return {
        "code": problem.code,
        "severity": severity,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }
