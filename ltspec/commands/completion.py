"""`ltspec completion`: the completion script of a shell, made from the commands' own parsers.

Names of tasks and queues are asked for when the key is pressed: the script calls
`ltspec completion --names task`.
"""

from __future__ import annotations

import contextlib

from ltspec.commands import session, table
from ltspec.errors import LtspecError, UsageError
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

SHELLS = ("bash", "zsh", "fish")
EXAMPLES = (
    ("ltspec completion bash > ~/.local/share/bash-completion/completions/ltspec",
     "for bash, in new shells"),
    ("ltspec completion zsh > ~/.zfunc/_ltspec", "for zsh, where ~/.zfunc is in $fpath"),
    ("ltspec completion fish > ~/.config/fish/completions/ltspec.fish", "for fish"),
)
DESCRIPTION = (
    "Print a script that lets a shell complete commands, options, files, and the names of tasks\n"
    "and queues as they are in the catalogue when the key is pressed."
)
_NAMES = "ltspec completion --names"
_PREAMBLE = {
    "bash": "\n".join(
        f'_ltspec_{kind}() {{ compgen -W "$({_NAMES} {kind} 2>/dev/null)" -- "$1"; }}'
        for kind in ("task", "queue")
    ),
    "zsh": "\n".join(
        f'_ltspec_{kind}() {{ local -a names; names=(${{(f)"$({_NAMES} {kind} 2>/dev/null)"}});'
        " compadd -a names }"
        for kind in ("task", "queue")
    ),
}
_FILES = {"files", "paths", "config"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("shell", nargs="?", choices=SHELLS, help="for which shell")
    parser.add_argument("--names", choices=("task", "queue"),
                        help="print the names that the scripts ask for")


def run(args: argparse.Namespace) -> int:
    """Print the script, or the names."""
    if bool(args.shell) == bool(args.names):
        raise UsageError(f"name a shell: {', '.join(SHELLS)}\nsee `ltspec completion --help`")
    if args.names:
        _print_names(args)
        return 0
    import shtab

    parser = table.whole_parser()
    _mark(parser, shtab.FILE, shtab.DIRECTORY)
    plain.line(shtab.complete(parser, shell=args.shell, preamble=_PREAMBLE))  # type: ignore[arg-type]  # a mapping by shell is what its manual says
    return 0


def _print_names(args: argparse.Namespace) -> None:
    """Nothing where there is nothing to read: a key press is no place for errors."""
    from ltspec.catalogue import listing, queues

    with contextlib.suppress(LtspecError):
        store = session.reader(session.places_of(args))
        if store is None:
            return
        if args.names == "task":
            plain.lines(listing.names(store))
        else:
            plain.lines(queue.name for queue in queues.known(store))


def _mark(parser: argparse.ArgumentParser, file: object, directory: object) -> None:
    """Tell shtab what each argument is completed with."""
    for action in parser._actions:  # argparse has no public list of them
        if isinstance(action.choices, dict):
            for part in action.choices.values():
                _mark(part, file, directory)
        kind = getattr(action, "completes", "")
        if kind:
            action.complete = {  # type: ignore[attr-defined]  # what shtab reads
                "bash": f"_ltspec_{kind}", "zsh": f"_ltspec_{kind}", "fish": f"({_NAMES} {kind})",
            }
        elif action.dest in _FILES:
            action.complete = file  # type: ignore[attr-defined]  # what shtab reads
        elif action.dest == "directories":
            action.complete = directory  # type: ignore[attr-defined]  # what shtab reads
