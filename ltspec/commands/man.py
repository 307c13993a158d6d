"""`ltspec man`: manual pages, made from the same text as `--help`."""

from __future__ import annotations

import os

from ltspec.commands import table
from ltspec.errors import CannotDo
from ltspec.output import manpage, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (
    ("ltspec man | man -l -", "read the overview"),
    ("ltspec man apply | man -l -", "read about one command"),
    ("ltspec man --output ~/.local/share/man/man1", "install all pages"),
)
DESCRIPTION = "Print the manual page of ltspec or of one command, or write all pages."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("command", nargs="?", choices=tuple(table.COMMANDS), metavar="COMMAND",
                        help="the page of this command")
    parser.add_argument("-o", "--output", metavar="DIR",
                        help="write every page into this directory")


def run(args: argparse.Namespace) -> int:
    """Print or write."""
    if args.output is None:
        plain.line(_page(args.command) if args.command else manpage.overview(table.COMMANDS))
        return 0
    pages = {"ltspec.1": manpage.overview(table.COMMANDS)}
    pages |= {f"ltspec-{name}.1": _page(name) for name in table.COMMANDS}
    try:
        os.makedirs(args.output, exist_ok=True)
        for name, text in pages.items():
            with open(os.path.join(args.output, name), "w", encoding="utf-8") as file:
                file.write(text + "\n")
    except OSError as error:
        raise CannotDo(f"cannot write {error.filename}: {error.strerror}") from error
    plain.line(f"{plain.plural(len(pages), 'page')} written to {plain.safe(args.output)}")
    return 0


def _page(name: str) -> str:
    parser = table.parser_of(name)
    return manpage.of_command(name, table.COMMANDS[name], parser, parser.examples)
