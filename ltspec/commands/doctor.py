"""`ltspec doctor`: what is wrong with this installation, and what to do about it.

`health` looks and changes nothing; with --fix what can be mended is mended, from the ground up, and
all is looked at once more.
"""

from __future__ import annotations

from ltspec.commands import arguments, session
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.commands.health.finding import Finding
    from ltspec.paths import Places

EXAMPLES = (
    ("ltspec doctor", "look at directories, disk, catalogue, supervisor and PID-files"),
    ("ltspec doctor --fix", "and mend what can be mended"),
    ("ltspec doctor --json", "for a program that watches this host"),
)
DESCRIPTION = (
    "Look for what keeps tasks from running: directories and files of others or open to others,\n"
    "a full or read-only disk, a damaged catalogue or one of another version, a supervisor that\n"
    "is missing, stopped or waiting, limits that are reached, PID-files that are gone. --fix\n"
    "mends modes, stopped processes, old and damaged catalogues and lost PID-files, and never\n"
    "ends or starts a task by itself. Exit code 1 where something is wrong."
)
_ROUNDS = 12      # mends in one call; each is looked for anew, a mend may bring up the next finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("--fix", action="store_true", help="mend what can be mended")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Say what was found; 0 where all is well."""
    from ltspec.commands.health import looking

    config = session.config_of(args)
    where = session.places_from(config)
    done = _fix(where, config.idle_exit) if args.fix else []
    found = list(looking.look(where))
    if args.json:
        from ltspec.output import records

        records.document({"findings": [one._asdict() for one in found], "done": done})
    else:
        plain.lines(f"{'done' if text[:1] != ' ' else '':6} {plain.safe(text)}" for text in done)
        plain.lines(line for one in found for line in _lines(one))
        mendable = sum(one.fixable for one in found)
        if mendable and not args.fix:
            plain.line(f"`ltspec doctor --fix` mends {mendable} of these")
    return 1 if any(one.problem for one in found) else 0


def _lines(finding: Finding) -> list[str]:
    word = "wrong" if finding.problem else "note" if finding.advice else "good"
    texts = [finding.what, *finding.problem.splitlines(), *finding.advice.splitlines()]
    return [f"{word if not number else '':6} {plain.safe(text)}"
            for number, text in enumerate(texts)]


def _fix(where: Places, idle_exit: float) -> list[str]:
    from ltspec.commands.health import looking, mending

    done: list[str] = []
    tried: set[tuple[str, str]] = set()
    for _ in range(_ROUNDS):
        found = next((one for one in looking.look(where)
                      if one.fixable and (one.check, one.problem) not in tried), None)
        if found is None:
            break
        tried.add((found.check, found.problem))
        done += mending.tried(found, where, idle_exit)
    return done
