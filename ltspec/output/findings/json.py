"""The report as one JSON document; its keys are listed in docs/ci.md and stay."""

import json

from ltspec.output.findings.report import Report


def render(report: Report) -> str:
    """The document, indented: a person may look at it too."""
    problems = [
        {
            "code": problem.code,
            "severity": report.level(problem),
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "path": problem.path,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in report.problems
    ]
    document = {
        "valid": not report.failed,
        "files": len(report.files),
        "tasks": report.tasks,
        "skipped": report.skipped,
        "unknown": report.unknown,
        "errors": sum(problem["severity"] == "error" for problem in problems),
        "warnings": sum(problem["severity"] == "warning" for problem in problems),
        "problems": problems,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
