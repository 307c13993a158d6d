"""`ltspec remove`: forget tasks with their logs, history and PID-files."""

from __future__ import annotations

from ltspec.catalogue import enqueue, finding, listing
from ltspec.commands import arguments, session
from ltspec.commands.asking import asking
from ltspec.errors import Refused
from ltspec.output import plain
from ltspec.states import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.catalogue import Store
    from ltspec.paths import Places

EXAMPLES = (
    ("ltspec remove backups/backup-u1001", "an ended or waiting task"),
    ("ltspec remove --force backups/backup-u1001", "a running one too: it is stopped first"),
)
DESCRIPTION = (
    "Take tasks out of the catalogue, with their logs, history and PID-files. A running task is\n"
    "refused without --force, which stops it first."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_tasks(parser)
    parser.add_argument("-f", "--force", action="store_true", help="stop a running task first")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Remove all of them, or none where one runs."""
    with asking(args) as (where, store):
        tasks = finding.named(store, args.tasks, where.run_dir)
        running = [task for task in tasks if task.status is Status.RUN]
        if running and not args.force:
            raise Refused(
                f"{running[0].reference} runs\n"
                f"`ltspec stop {running[0].reference}` first, or remove it with --force"
            )
        for task in tasks:
            if not enqueue.request(store, task.key, "remove"):
                enqueue.remove_ended(store, task.key)
    store = session.existing(where)
    _until_gone(where, store, [task.key for task in tasks])
    if args.json:
        from ltspec.output import records

        records.document({"removed": [task.reference for task in tasks]})
    else:
        plain.lines(f"{plain.safe(task.reference)}: removed" for task in tasks)
    return 0


def _until_gone(where: Places, store: Store, keys: list[int]) -> None:
    if not listing.by_keys(store, keys):
        return
    from ltspec.commands.events import Events

    with Events(where) as events:
        while listing.by_keys(store, keys):
            events.wait(None)
