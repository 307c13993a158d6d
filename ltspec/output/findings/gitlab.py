"""GitLab's code quality report: a JSON list, for `artifacts: reports: codequality`.

A fingerprint names a problem across commits: it is made of what does not move when lines are added.
"""

import hashlib
import json

from ltspec.output.findings.report import Report, full_message

COMMAND_LINE = ".gitlab-ci.yml"      # a path must be: the command line stands in this file
_SEVERITIES = {"error": "major", "warning": "minor"}


def render(report: Report) -> str:
    """The list, in the order of the problems."""
    seen: dict[str, int] = {}
    issues = []
    for problem in report.problems:
        identity = "\0".join((problem.code, problem.file, problem.path, problem.message))
        number = seen[identity] = seen.get(identity, 0) + 1
        issues.append({
            "description": full_message(problem),
            "check_name": problem.code,
            "fingerprint": hashlib.sha256(f"{identity}\0{number}".encode()).hexdigest(),
            "severity": _SEVERITIES[report.level(problem)],
            "location": {
                "path": problem.file.removeprefix("./") or COMMAND_LINE,
                "lines": {"begin": max(problem.line, 1)},
            },
        })
    return json.dumps(issues, indent=2, ensure_ascii=False)
