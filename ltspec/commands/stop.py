"""`ltspec stop`: end running tasks, take waiting ones out of their queue."""

from __future__ import annotations

from ltspec.catalogue import details, enqueue, finding, listing, queues
from ltspec.commands import arguments, session
from ltspec.commands.asking import asking
from ltspec.errors import UsageError
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ltspec.catalogue import Store
    from ltspec.model import Task
    from ltspec.paths import Places

EXAMPLES = (
    ("ltspec stop backups/backup-u1001", "ask it to end, force it after its `kill` time"),
    ("ltspec stop -q backups", "everything that runs or waits in a queue"),
    ("ltspec stop --no-wait backups/backup-u1001", "do not wait for the end"),
)
DESCRIPTION = (
    "End tasks with the signals of their `kill` (default TERM, after 10 s KILL), for the whole\n"
    "process group and what is left of the session. A waiting task becomes ERR stopped at once.\n"
    "Returns when they have ended; what could not be ended is named, and the exit code is 1."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_tasks(parser, optional=True)
    arguments.add_queue(parser, "everything of this queue")
    parser.add_argument("--no-wait", action="store_true", help="return when it was asked for")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Stop; 0 where all have ended."""
    if bool(args.tasks) == bool(args.queue):
        raise UsageError("name tasks, or a queue with -q")
    with asking(args) as (where, store):
        tasks = _chosen(args, where, store)
        asked = [task for task in tasks if enqueue.request(store, task.key, "stop")]
    for task in tasks:
        if task not in asked and not args.json:
            plain.note(f"{task.reference} has ended already: {task.status} {task.detail}".rstrip())
    store = session.existing(where)
    if asked and not args.no_wait:
        _until_ended(where, store, [task.key for task in asked])
    return _tell(args, where, store, tasks, asked)


def _chosen(args: argparse.Namespace, where: Places, store: Store) -> list[Task]:
    if args.tasks:
        return finding.named(store, args.tasks, where.run_dir)
    queues.require(store, args.queue)
    wanted = listing.Filter(queue=args.queue)
    waiting = [task for task, _ in listing.waiting(store, wanted, 10**9)]
    return [*waiting, *listing.running(store, wanted, 10**9)]


def _until_ended(where: Places, store: Store, keys: Sequence[int]) -> None:
    from ltspec.commands.waiting import Watched, until_ended
    from ltspec.output.waitview import View

    try:
        until_ended(where, Watched(store, keys), View(where, store))
    except KeyboardInterrupt:
        plain.note("no longer waiting; the tasks are being stopped")
        raise


def _tell(
    args: argparse.Namespace, where: Places, store: Store, tasks: list[Task], asked: list[Task]
) -> int:
    left = {}
    now_known = {task.key: task for task in listing.by_keys(store, [t.key for t in tasks])}
    for task in asked:
        attempts = details.attempts(store, task.key)
        if attempts and attempts[-1].survivors:
            left[task.key] = attempts[-1].survivors
    if args.json:
        _json(where, tasks, now_known, left)
    else:
        for task in asked:
            new = now_known.get(task.key)
            word = "gone" if new is None else f"{new.status} {new.detail}".rstrip()
            plain.line(f"{plain.safe(task.reference)}: {plain.safe(word)}")
        for key, survivors in left.items():
            plain.warning(f"still alive of {now_known[key].reference}: {survivors}")
    return 1 if left else 0


def _json(
    where: Places, tasks: list[Task], known: dict[int, Task], left: dict[int, str]
) -> None:
    from ltspec import clock
    from ltspec.output import records

    now = clock.now().wall
    rows = [
        {**records.task(known.get(task.key, task), where, now, progress=None),
         "survivors": left.get(task.key, "")}
        for task in tasks
    ]
    records.document({"tasks": rows})
