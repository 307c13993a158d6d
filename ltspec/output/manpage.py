"""Manual pages in man(7)'s macros, from a command's parser: nothing is said twice."""

from __future__ import annotations

from ltspec import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

_EXIT = (
    ("0", "done"), ("1", "the answer is no: invalid specs, a failed task, not found"),
    ("2", "wrong usage"), ("3", "a bug of ltspec; a report was written"),
    ("4", "plan --detailed-exitcode: changes are pending"),
    ("5", "could not do it: permission, disk, supervisor, time limit"), ("130", "interrupted"),
)


def overview(commands: Mapping[str, str]) -> str:
    """ltspec(1)."""
    lines = _head("ltspec", "declarative job specs for long background tasks")
    lines += [".SH SYNOPSIS", ".B ltspec", "[--config FILE] COMMAND ...", ".SH COMMANDS"]
    for name, summary in commands.items():
        lines += [".TP", f".BR {_plain(f'ltspec-{name}')} (1)", _plain(summary)]
    lines += _exit_status()
    return "\n".join(lines)


def of_command(
    name: str, summary: str, parser: argparse.ArgumentParser, examples: Sequence[tuple[str, str]]
) -> str:
    """The page of one command."""
    lines = _head(f"ltspec-{name}", summary)
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    lines += [".SH SYNOPSIS", _plain(usage), ".SH DESCRIPTION"]
    lines += [_plain(line) or ".PP" for line in (parser.description or "").split("\n")]
    lines += [".SH OPTIONS", *_arguments(parser)]
    for part_name, part in _parts(parser).items():
        lines += [f".SS {_plain(part_name)}", _plain(part.description or ""), *_arguments(part)]
    if examples:
        lines.append(".SH EXAMPLES")
    for command, what in examples:
        lines += [".TP", f".B {_plain(command)}", _plain(what)]
    lines += _exit_status()
    lines += [".SH SEE ALSO", ".BR ltspec (1)"]
    return "\n".join(lines)


def _head(name: str, summary: str) -> list[str]:
    title = f'.TH "{_plain(name.upper())}" "1" "" "ltspec {__version__}" "ltspec"'
    return [title, ".SH NAME", rf"{_plain(name)} \- {_plain(summary)}"]


def _exit_status() -> list[str]:
    lines = [".SH EXIT STATUS"]
    for code, what in _EXIT:
        lines += [".TP", f".B {code}", _plain(what)]
    return lines


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    lines = []
    formatter = parser._get_formatter()  # argparse gives help's words no other way
    for action in parser._actions:
        if isinstance(action.choices, dict):
            continue
        lines += [".TP", f".B {_plain(formatter._format_action_invocation(action))}"]
        lines.append(_plain(formatter._expand_help(action) if action.help else ""))
    return lines


def _parts(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action.choices, dict):
            return dict(action.choices)
    return {}


def _plain(text: str) -> str:
    """Text that roff takes as it is."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    escaped = escaped.replace("'", r"\(aq").replace("`", r"\(ga").replace("…", "...")
    return r"\&" + escaped if escaped.startswith(".") else escaped
