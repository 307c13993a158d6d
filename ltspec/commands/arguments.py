"""The parser that all commands share, and the arguments that several of them take.

Only turns words into a namespace: an error becomes UsageError, help goes out through `output`.
"""

import argparse
import os
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NoReturn

from ltspec.errors import UsageError
from ltspec.output import plain

# Its messages are in English: a look for translations would cost each start files and `locale`.
argparse._ = str  # type: ignore[attr-defined]  # its own name for gettext

Examples = Sequence[tuple[str, str]]

class _Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse makes one for every argument, and asks shutil (a fifth of a start) for the width."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width())

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """`-q, --queue QUEUE`, as argparse writes it from Python 3.13 on: pages are the same."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


@cache
def _width() -> int:
    if os.environ.get("COLUMNS", "").isdigit():
        return max(20, int(os.environ["COLUMNS"]) - 2)
    try:
        return max(20, os.get_terminal_size().columns - 2)
    except (OSError, ValueError):
        return 78


class Parser(argparse.ArgumentParser):
    """argparse with our errors, examples at the end of the help, and no abbreviations."""

    def __init__(self, *, examples: Examples = (), **options: Any) -> None:
        self.examples = tuple(examples)
        options.setdefault("epilog", _examples_text(examples))
        options.setdefault("formatter_class", _Formatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)
        self.color = False      # Python 3.14 would colour what pages are made of, too
        if options.get("add_help", True):
            self.add_argument(
                "--config", metavar="FILE", default=argparse.SUPPRESS,
                help="the configuration to use",
            )

    def error(self, message: str) -> NoReturn:
        """A wrong command line; the caller's handler prints it."""
        raise UsageError(f"{message}{self._close_option(message)}\nsee `{self.prog} --help`")

    def _close_option(self, message: str) -> str:
        if not message.startswith("unrecognized arguments: -"):
            return ""
        import difflib

        given = message.split()[2].split("=")[0]
        close = difflib.get_close_matches(given, self._option_string_actions, n=1)
        return f"\ndid you mean {close[0]}?" if close else ""

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002 - argparse's signature
        plain.line(message.rstrip("\n"))


def _examples_text(examples: Examples) -> str:
    if not examples:
        return ""
    body = "\n".join(f"  {command}\n      {what}" for command, what in examples)
    return f"examples:\n{body}"


def seconds(text: str) -> float:
    """A duration as in spec files: `90s`, `2h30m`, or a plain number of seconds."""
    from ltspec.spec.scalars import duration, is_duration

    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    if not is_duration(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 10m or 2h30m")
    return duration(text)


def instant(text: str) -> float:
    """A point in time, seconds since 1970: a date, a date and time, or a duration ago (`2h`)."""
    from datetime import datetime

    from ltspec.clock import now

    try:
        return now().wall - seconds(text)
    except argparse.ArgumentTypeError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        message = f"{text!r} is no time; write 2h (ago), 2026-11-24 or 2026-11-24T04:00"
        raise argparse.ArgumentTypeError(message) from None


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def add_json(parser: argparse.ArgumentParser, what: str = "one JSON document") -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help=f"print {what} (docs/commands.md)")


def add_completed(
    parser: argparse._ActionsContainer, kind: str, *names: str, **options: Any
) -> None:
    """An argument that a shell completes with the names of tasks or queues (`kind`)."""
    action = parser.add_argument(*names, **options)
    action.completes = kind  # type: ignore[attr-defined]  # read by the completion command


def add_queue(parser: argparse.ArgumentParser, what: str, default: str | None = None) -> None:
    """`-q QUEUE`."""
    add_completed(parser, "queue", "-q", "--queue", metavar="QUEUE", default=default, help=what)


def add_variables(parser: argparse.ArgumentParser) -> None:
    """`-e NAME=VALUE|@FILE`."""
    parser.add_argument(
        "-e", "--extra-var", dest="extra_vars", metavar="NAME=VALUE|@FILE", action="append",
        default=[], help="a variable, or a YAML or JSON file of variables; may be repeated",
    )


def add_tags(parser: argparse.ArgumentParser) -> None:
    """`--tags` and `--skip-tags`."""
    for name, what in (("--tags", "only tasks with"), ("--skip-tags", "no tasks with")):
        parser.add_argument(name, metavar="TAG,…", type=_words, default=[],
                            help=f"{what} one of these tags")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def add_limit(parser: argparse.ArgumentParser) -> None:
    """`--timeout` of a command that waits."""
    parser.add_argument("--timeout", metavar="D", type=seconds,
                        help="wait no longer than this (exit code 5)")


def add_tasks(
    parser: argparse.ArgumentParser, *, many: bool = True, optional: bool = False
) -> None:
    """The task or tasks that a command is about."""
    count = "*" if optional else "+"
    add_completed(
        parser, "task", "tasks" if many else "task", metavar="TASK", nargs=count if many else None,
        help="QUEUE/ID, an ID that only one task has, or a PID-file's path",
    )
