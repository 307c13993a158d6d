"""The report for a person: `file:line:column: error: message [path]`, and on a terminal the line
itself with a caret.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from ltspec.output import plain
from ltspec.output.findings.report import Report
from ltspec.spec.problems import ERROR, Problem

_COLOURS = {"error": plain.RED, "warning": plain.YELLOW, "note": plain.CYAN}


def render(report: Report) -> str:
    """The problems, what was not checked, and the summary."""
    lines = lines_of(report.problems, strict=report.strict)
    return "\n".join((*lines, *lines_of(notes(report)), summary(report)))


def notes(report: Report) -> list[Problem]:
    """What was not checked, as notes."""
    return [problem._replace(severity="note") for problem in report.unchecked]


def show(report: Report) -> None:
    """Print it on stdout."""
    show_problems(report.problems, sys.stdout, strict=report.strict)
    show_problems(notes(report), sys.stdout)
    line = summary(report)
    if plain.coloured(sys.stdout):
        line = plain.paint(line, plain.RED if report.failed else plain.GREEN)
    print(line)


def show_problems(problems: Sequence[Problem], stream: TextIO, *, strict: bool = False) -> None:
    """Print the problems, with their lines where a person sees them."""
    terminal = stream.isatty()
    coloured = plain.coloured(stream)
    for line in lines_of(problems, strict=strict, source=terminal, coloured=coloured):
        print(line, file=stream)


def lines_of(problems: Iterable[Problem], *, strict: bool = False, source: bool = False,
             coloured: bool = False) -> list[str]:
    """The problems as lines."""
    lines: list[str] = []
    for problem in problems:
        lines.append(_line(problem, strict=strict, coloured=coloured))
        if source and problem.source_line.strip():
            lines += _caret(problem)
        if problem.hint:
            hint = f"    hint: {plain.safe(problem.hint)}"
            lines.append(plain.paint(hint, plain.CYAN) if coloured else hint)
    return lines


def place(problem: Problem) -> str:
    """`file:line:column`, as far as it is known."""
    parts = [problem.file] if problem.file else []
    if problem.line:
        parts += [str(problem.line), str(problem.column)]
    return ":".join(parts)


def _line(problem: Problem, *, strict: bool, coloured: bool) -> str:
    level = ERROR if strict else problem.severity
    where = plain.safe(place(problem))
    path = f" [{plain.safe(problem.path)}]" if problem.path else ""
    word = level
    if coloured:
        where = plain.paint(where, plain.BOLD) if where else ""
        word = plain.paint(level, _COLOURS[level])
    head = f"{where}: " if where else ""
    return f"{head}{word}: {plain.safe(problem.message)}{path} ({problem.code})"


def _caret(problem: Problem) -> list[str]:
    # Tabs and wide characters: the line before the caret is repeated blank by blank.
    text = problem.source_line
    before = text[: problem.column - 1]
    blanks = "".join("\t" if char == "\t" else " " * _width(char) for char in before)
    shown = "".join(char if char == "\t" else plain.safe(char) for char in text)
    return [f"    {shown}", f"    {blanks}^"]


def _width(char: str) -> int:
    import unicodedata

    if not char.isprintable():
        return len(plain.safe(char))
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def summary(report: Report) -> str:
    """One line: what was looked at, and how it ended."""
    files = plain.plural(len(report.files), "file")
    tasks = plain.plural(report.tasks, "task")
    more = f", {report.skipped} skipped" if report.skipped else ""
    if report.unknown:
        more += f", {report.unknown} more not checked in full"
    seen = f"{files}, {tasks}{more}"
    if not report.problems:
        return f"{seen}: no problems"
    found = []
    errors = len(report.problems) if report.strict else report.errors
    if errors:
        found.append(plain.plural(errors, "error"))
    if len(report.problems) > errors:
        found.append(plain.plural(len(report.problems) - errors, "warning"))
    return f"{seen}: {', '.join(found)}"
