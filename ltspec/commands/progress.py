"""`ltspec progress`: a task says how far it is. Writes one line, asks nobody."""

from __future__ import annotations

import os

from ltspec.commands import arguments
from ltspec.errors import CannotDo, UsageError
from ltspec.output.progress import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (("ltspec progress 40 copying", "inside a task: 40 per cent done, copying"),)
DESCRIPTION = (
    "Say from inside a task how far it is; `list`, `show` and `wait` show it. The same as writing\n"
    "the line `40% copying` to the file that $LTSPEC_PROGRESS names."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("percent", metavar="PERCENT", type=arguments.whole, help="from 0 to 100")
    parser.add_argument("text", metavar="TEXT", nargs="*", help="what is being done")


def run(args: argparse.Namespace) -> int:
    """Add the line."""
    path = os.environ.get("LTSPEC_PROGRESS", "")
    if not path:
        raise UsageError("this is not a task: $LTSPEC_PROGRESS is not set")
    text = " ".join(args.text).replace("\n", " ")
    line = f"{args.percent}% {text}".rstrip()
    if parse(line) is None:
        raise UsageError(f"{args.percent} is more than 100 per cent")
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        handle = os.open(path, flags, 0o600)
        try:
            os.write(handle, (line + "\n").encode(errors="replace"))
        finally:
            os.close(handle)
    except OSError as error:
        raise CannotDo(f"cannot write {path}: {error.strerror}") from error
    return 0
