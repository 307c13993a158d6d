"""Workflow commands of GitHub Actions: one annotation a problem.

Escaped as the runner's own toolkit does (actions/toolkit, packages/core/src/command.ts): `%`, CR
and LF in the message, and `:` and `,` too in a property.
"""

from ltspec.output.findings.report import Report, full_message
from ltspec.spec.problems import Problem


def render(report: Report) -> str:
    """One line a problem."""
    return "\n".join(_command(problem, report.level(problem)) for problem in report.problems)


def _command(problem: Problem, level: str) -> str:
    properties = {"title": f"ltspec {problem.code}"}
    if problem.file and problem.file != "<stdin>":
        properties["file"] = problem.file
    if problem.line:
        properties |= {"line": str(problem.line), "col": str(problem.column)}
    written = ",".join(f"{name}={property_(value)}" for name, value in properties.items())
    path = f" [{problem.path}]" if problem.path else ""
    return f"::{level} {written}::{data(full_message(problem) + path)}"


def data(text: str) -> str:
    """A message, escaped."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def property_(text: str) -> str:
    """A property's value, escaped."""
    return data(text).replace(":", "%3A").replace(",", "%2C")
