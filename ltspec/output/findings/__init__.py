"""Reporters: the same problems for a person and for five kinds of machine.

A reporter is a function from a Report to a text; only `print_report` and `print_problems` print.
On stdout is nothing but the chosen format; what a person should see beside it goes to stderr.
"""

import importlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ltspec.output.findings.report import Report

FORMATS = ("text", "json", "github", "gitlab", "junit", "sarif")


def chosen(environment: Mapping[str, str]) -> str:
    """The format where none is asked for: that of the CI system that runs us, else text."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return "github"
    if environment.get("GITLAB_CI") == "true":
        return "gitlab"
    return "text"


def rendered(report: Report, form: str) -> str:
    """The report in one format, without a last line end."""
    module = importlib.import_module(f"ltspec.output.findings.{form}")
    text: str = module.render(report)
    return text


def print_report(report: Report, form: str, environment: Mapping[str, str] | None = None) -> None:
    """The report on stdout; in any form but text, the text and the summary on stderr as well. The
    `environment` names the top of the repository, from which a CI system reads paths.
    """
    from ltspec.output.findings import text

    if form == "text":
        text.show(report)
        return
    top = "" if form == "json" else top_of_repository(environment or {})
    output = rendered(report.from_top(top) if top else report, form)
    if output:
        print(output)
    lines = text.render(report).split("\n")
    print("\n".join(map(no_command, lines) if form == "github" else lines), file=sys.stderr)


def top_of_repository(environment: Mapping[str, str]) -> str:
    """The checkout that the CI system made, with no symbolic link in its path; "" outside CI."""
    import os

    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        if environment.get(name):
            return os.path.realpath(environment[name])
    return ""


def no_command(line: str) -> str:
    """A line in which GitHub's runner, which reads stderr too, sees none of its commands: what a
    spec or its name says is for people (actions/runner, src/Runner.Common/ActionCommand.cs).
    """
    line = line.replace("##[", "# #[")
    return f"./{line}" if line.startswith("::") else line


def print_problems(problems: Iterable[Any]) -> None:
    """Problems on stderr, for commands whose stdout is for something else (apply, plan)."""
    from ltspec.output.findings import text

    text.show_problems(list(problems), sys.stderr)


__all__ = ["FORMATS", "Report", "chosen", "print_problems", "print_report", "rendered"]
