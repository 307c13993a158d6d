"""`ltspec wait`: block until tasks have ended; the exit code says how (DESIGN 9)."""

from __future__ import annotations

from ltspec.catalogue import finding
from ltspec.commands import arguments, session
from ltspec.commands.waiting import wait_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (
    ("ltspec wait dumps/dump-u1001", "until it is OK or ERR; its own exit code"),
    ("ltspec wait backups/a backups/b --any", "until one of them has ended"),
    ("ltspec wait dumps/dump-u1001 --timeout 10m", "exit code 5 where that is too short"),
    ("ltspec wait dumps/dump-u1001 --json", "an event a line, for a program"),
)
DESCRIPTION = (
    "Wait until tasks are at a final status (not between the attempts of one). The exit code is\n"
    "0 for OK; for ERR the task's own code, or 1; 124 for a timeout; 125 for stopped, skipped,\n"
    "not started and lost; 128+N for signal N; of several tasks 1 where any is not OK.\n"
    "Ctrl-C leaves the tasks running."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_tasks(parser)
    parser.add_argument("--any", action="store_true", help="until the first of them has ended")
    arguments.add_limit(parser)
    arguments.add_json(parser, "an event a line, as JSON Lines")


def run(args: argparse.Namespace) -> int:
    """Wait; the exit code tells of the tasks."""
    where = session.places_of(args)
    store = session.existing(where)
    keys = [task.key for task in finding.named(store, args.tasks, where.run_dir)]
    return wait_for(where, store, keys, json=args.json, timeout=args.timeout, any_one=args.any)
