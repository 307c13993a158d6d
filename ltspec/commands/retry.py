"""`ltspec retry`: run ended tasks again as they are stored, last in their queues."""

from __future__ import annotations

from ltspec import clock
from ltspec.catalogue import enqueue, finding, listing, queues
from ltspec.commands import arguments, session
from ltspec.commands.asking import asking
from ltspec.errors import UsageError
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.catalogue import Store
    from ltspec.model import Task
    from ltspec.paths import Places

EXAMPLES = (
    ("ltspec retry dumps/dump-u1001", "once more, as it was"),
    ("ltspec retry --failed -q dumps", "everything of a queue that is ERR"),
    ("ltspec retry dumps/dump-u1001 --wait", "and wait for the end"),
)
DESCRIPTION = (
    "Run ended tasks again with the definition that is stored, each last in its queue. All or\n"
    "none: where one of them waits or runs, none is run again."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_tasks(parser, optional=True)
    parser.add_argument("--failed", action="store_true", help="every task that is ERR")
    arguments.add_queue(parser, "--failed of this queue")
    parser.add_argument("--wait", action="store_true", help="wait until they have ended")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Queue them again."""
    if bool(args.tasks) == args.failed or (args.queue is not None and not args.failed):
        raise UsageError("name tasks, or take --failed (with -q QUEUE for one queue)")
    with asking(args) as (where, store):
        tasks = _chosen(args, where, store)
        now, boot_id = clock.now(), clock.boot_id()
        for task in tasks:
            enqueue.retry(store, task.key, now=now, boot_id=boot_id)
    if args.json and not args.wait:
        from ltspec.output import records

        records.document({"tasks": [{"reference": task.reference} for task in tasks]})
    elif not args.json:
        plain.lines(f"{plain.safe(task.reference)}: queued again" for task in tasks)
        if not tasks:
            plain.line("nothing has failed")
    if not args.wait:
        return 0
    from ltspec.commands.waiting import wait_for

    keys = [task.key for task in tasks]
    return wait_for(where, session.existing(where), keys, json=args.json) if keys else 0


def _chosen(args: argparse.Namespace, where: Places, store: Store) -> list[Task]:
    if args.failed:
        queues.require(store, args.queue)
        found = listing.ended(store, listing.Filter(queue=args.queue, statuses=("ERR",)), 10**9)
        return found[::-1]
    return finding.named(store, args.tasks, where.run_dir)
