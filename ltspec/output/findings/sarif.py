"""SARIF 2.1.0, for GitHub's code scanning and whatever else reads it.

Columns count Unicode characters, as YAML's places do. The rules carry the text of docs/problems.md.
"""

import json
from typing import Any
from urllib.parse import quote

from ltspec import __version__
from ltspec.output.findings.report import Report, full_message
from ltspec.spec.codes import CODES
from ltspec.spec.problems import Problem

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(report: Report) -> str:
    """The log, with one run."""
    used = sorted({problem.code for problem in report.problems})
    run = {
        "tool": {"driver": {
            "name": "ltspec",
            "version": __version__,
            "semanticVersion": __version__,
            "rules": [_rule(code) for code in used],
        }},
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(problem, report.level(problem), used.index(problem.code))
            for problem in report.problems
        ],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def _rule(code: str) -> dict[str, Any]:
    about = CODES[code]
    return {
        "id": code,
        "name": "".join(word.title() for word in about.title.split() if word.isalnum()),
        "shortDescription": {"text": about.title},
        "fullDescription": {"text": about.explanation},
        "defaultConfiguration": {"level": about.severity},
    }


def _result(problem: Problem, level: str, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": problem.code,
        "ruleIndex": index,
        "level": level,
        "message": {"text": full_message(problem)},
    }
    if problem.file:
        physical: dict[str, Any] = {"artifactLocation": {"uri": quote(problem.file)}}
        if problem.line:
            physical["region"] = {"startLine": problem.line, "startColumn": problem.column}
        location: dict[str, Any] = {"physicalLocation": physical}
        if problem.path:
            location["logicalLocations"] = [{"fullyQualifiedName": problem.path}]
        result["locations"] = [location]
    return result
