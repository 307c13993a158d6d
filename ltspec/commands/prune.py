"""`ltspec prune`: take old history away; never a task that waits, runs, or is in a file."""

from __future__ import annotations

import contextlib
import re

from ltspec import clock
from ltspec.commands import arguments, session
from ltspec.errors import UsageError
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.supervisor.retention import Chosen

EXAMPLES = (
    ("ltspec prune --older-than 30d", "what ended more than 30 days ago"),
    ("ltspec prune --older-than 30d --dry-run", "only say what would go"),
    ("ltspec prune --max-size 1GiB", "the oldest logs, until all fit into this"),
    ("ltspec prune", "as the configuration's `retention` says"),
)
DESCRIPTION = (
    "Take old attempts and their logs away. A task that a spec file declares stays known, so that\n"
    "the next apply does not run it again; one of `ltspec run`, or of a file that is gone, goes\n"
    "whole. Without a limit those of the configuration's `retention` are used."
)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("--older-than", metavar="D", type=arguments.seconds,
                        help="what ended longer ago (30d, 12h)")
    parser.add_argument("--keep", metavar="N", type=arguments.whole,
                        help="no more than N ended tasks that no file declares")
    parser.add_argument("--max-size", metavar="SIZE", type=_size,
                        help="the oldest logs until the rest is within SIZE (64MiB, 2GiB)")
    arguments.add_queue(parser, "only of this queue")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    arguments.add_json(parser)


def _size(text: str) -> int:
    import argparse

    found = re.fullmatch(r"(\d+)\s*([kmgt]?)(?:i?b)?", text.lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 64MiB or 2GiB")
    return int(found[1]) * _UNITS[found[2]]


def run(args: argparse.Namespace) -> int:
    """Prune, or say what would go."""
    from ltspec.supervisor import retention

    config = session.config_of(args)
    where = session.places_from(config)
    limits = retention.Limits(args.older_than, args.keep, args.max_size)
    if limits == retention.Limits():
        limits = retention.Limits(*config.retention)
    if limits == retention.Limits():
        raise UsageError("no limit: name --older-than, --keep or --max-size, or `retention` in"
                         " ltspec.yml")
    now = clock.now().wall
    with contextlib.closing(session.existing(where)) as store:
        chosen = retention.choose(store, where, limits, now, args.queue)
    if not args.dry_run and (chosen.attempts or chosen.tasks):
        with session.connect(where, idle_exit=config.idle_exit) as connection:
            with contextlib.closing(session.writer(where)) as store:
                retention.forget(store, where, chosen)
            session.tell(where, connection)
    _tell(args, chosen)
    return 0


def _tell(args: argparse.Namespace, chosen: Chosen) -> None:
    if args.json:
        from ltspec.output import records

        records.document({
            "attempts": len(chosen.attempts),
            "tasks": [task.reference for task in chosen.tasks],
            "bytes": chosen.bytes,
            "dry_run": args.dry_run,
        })
        return
    words = "would go" if args.dry_run else "gone"
    plain.line(
        f"{words}: {plain.plural(len(chosen.attempts), 'attempt')},"
        f" {plain.plural(len(chosen.tasks), 'task')}, {plain.size(chosen.bytes)} of logs"
    )
