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


def print_report(report: Report, form: str) -> None:
    """The report on stdout. In the forms that a person does not read in a CI job's log, the text
    and the summary go to stderr as well.
    """
    from ltspec.output.findings import text

    if form == "text":
        text.show(report)
        return
    output = rendered(report, form)
    if output:
        print(output)
    if form != "github" and report.problems:
        print("\n".join(text.lines_of(report.problems)), file=sys.stderr)
    text.show_problems(text.notes(report), sys.stderr)
    print(text.summary(report), file=sys.stderr)


def print_problems(problems: Iterable[Any]) -> None:
    """Problems on stderr, for commands whose stdout is for something else (apply, plan)."""
    from ltspec.output.findings import text

    text.show_problems(list(problems), sys.stderr)


__all__ = ["FORMATS", "Report", "chosen", "print_problems", "print_report", "rendered"]
