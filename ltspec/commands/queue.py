"""`ltspec queue`: what queues there are, and their settings while they run."""

from __future__ import annotations

from ltspec import clock
from ltspec.catalogue import finding, listing, queues
from ltspec.commands import arguments, session
from ltspec.commands.asking import asking
from ltspec.errors import CannotDo, UsageError
from ltspec.output import plain, tasklist

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ltspec.catalogue import Store
    from ltspec.catalogue.queues import QueueState
    from ltspec.model import Queue
    from ltspec.paths import Places

EXAMPLES = (
    ("ltspec queue list", "slots, running, waiting, paused, oldest wait of each"),
    ("ltspec queue slots backups 3", "let three of its tasks run at once, from now on"),
    ("ltspec queue pause backups", "start nothing more of it; what runs runs on"),
    ("ltspec queue resume backups", "go on, and take new tasks again after a drain"),
    ("ltspec queue drain backups --wait", "take nothing new, run what waits, tell when empty"),
    ("ltspec queue move backups/b --first", "let one go before the others of its priority"),
    ("ltspec queue move backups/b --before backups/a", "or before a certain one"),
)
DESCRIPTION = "Look at queues, and change them while they run."
_HEAD = ("QUEUE", "SLOTS", "RUNNING", "WAITING", "HELD", "OLDEST WAIT", "STATE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command and its parts."""
    parts = parser.add_subparsers(dest="part", metavar="ACTION", required=True)

    def part(name: str, what: str) -> argparse.ArgumentParser:
        made = parts.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        arguments.add_json(made)
        return made

    part("list", "show every queue")
    slots = part("slots", "let N tasks of a queue run at once")
    _add_queue(slots)
    slots.add_argument("slots", metavar="N", type=arguments.whole, help="0 lets none start")
    _add_queue(part("pause", "start nothing more of a queue"))
    _add_queue(part("resume", "start tasks of a queue again, and take new ones"))
    drain = part("drain", "take nothing new into a queue, run what waits")
    _add_queue(drain)
    drain.add_argument("--wait", action="store_true", help="until nothing waits or runs in it")
    arguments.add_limit(drain)
    move = part("move", "change the place of a waiting task within its priority")
    arguments.add_tasks(move, many=False)
    place = move.add_mutually_exclusive_group(required=True)
    place.add_argument("--first", action="store_true", help="before all others of its priority")
    arguments.add_completed(place, "task", "--before", metavar="TASK",
                            help="right before this one")


def _add_queue(parser: argparse.ArgumentParser) -> None:
    arguments.add_completed(parser, "queue", "queue", metavar="QUEUE",
                            help="its name, or MANAGER/NAME")


def run(args: argparse.Namespace) -> int:
    """Do the chosen part."""
    if args.part == "list":
        return _list(args)
    if args.part == "move":
        return _move(args)
    changes: dict[str, Callable[[Store, Queue], None]] = {
        "slots": lambda store, queue: queues.set_slots(store, queue, args.slots),
        "pause": lambda store, queue: queues.set_paused(store, queue, paused=True),
        "resume": _resume,
        "drain": lambda store, queue: queues.set_draining(store, queue, draining=True),
    }
    if getattr(args, "timeout", None) is not None and not args.wait:
        raise UsageError("--timeout is the time limit of --wait")
    with asking(args) as (where, store):
        queue = queues.find_queue(store, args.queue)
        changes[args.part](store, queue)
    if args.part == "drain" and args.wait:
        _until_empty(where, queue, args.timeout)
    _tell(args, where, queue)
    return 0


def _resume(store: Store, queue: Queue) -> None:
    queues.set_paused(store, queue, paused=False)
    queues.set_draining(store, queue, draining=False)


def _tell(args: argparse.Namespace, where: Places, queue: Queue) -> None:
    state = queues.state_of(session.existing(where), queue.manager, queue.name)
    if state is not None:
        _show(args, [state])


def _list(args: argparse.Namespace) -> int:
    where = session.places_of(args)
    store = session.reader(where)
    states = queues.queue_states(store) if store is not None else []
    if not states and not args.json:
        plain.line("no queues yet: a queue is there when its first task is applied")
        return 0
    _show(args, states)
    if store is not None:
        session.tell_if_nobody_works(where, store)
    return 0


def _show(args: argparse.Namespace, states: list[QueueState]) -> None:
    if args.json:
        from ltspec.output import records

        records.document({"queues": [records.queue(state) for state in states]})
        return
    now = clock.now().wall
    managers = {state.queue.manager for state in states}
    rows = [_row(state, now, with_manager=len(managers) > 1) for state in states]
    tasklist.show(rows, "", _HEAD)


def _row(state: QueueState, now: float, *, with_manager: bool) -> tuple[str, ...]:
    queue = state.queue
    words = [word for word, is_on in (("paused", queue.paused), ("draining", queue.draining))
             if is_on]
    name = f"{queue.manager}/{queue.name}" if with_manager else queue.name
    oldest = plain.duration(now - state.oldest) if state.oldest is not None else "-"
    return (name, str(queue.slots), str(state.running), str(state.waiting), str(state.held),
            oldest, " ".join(words) or "open")


def _move(args: argparse.Namespace) -> int:
    with asking(args) as (where, store):
        task = finding.find(store, args.task, where.run_dir)
        if args.first:
            queues.move_first(store, task.key)
        else:
            queues.move_before(store, task.key, finding.find(store, args.before, where.run_dir).key)
    store = session.existing(where)
    moved = listing.by_key(store, task.key)
    turn = listing.turn(store, moved) if moved is not None and moved.status == "QUE" else None
    if args.json:
        from ltspec.output import records

        records.document({"reference": task.reference, "number_in_queue": turn})
    else:
        words = f"is number {turn} in its queue" if turn is not None else "has started meanwhile"
        plain.line(f"{plain.safe(task.reference)} {words}")
    return 0


def _until_empty(where: Places, queue: Queue, timeout: float | None) -> None:
    import time

    from ltspec.commands.events import Events

    limit = None if timeout is None else time.monotonic() + timeout
    store = session.existing(where)

    def left() -> int:
        state = queues.state_of(store, queue.manager, queue.name)
        return state.running + state.waiting if state is not None else 0

    try:
        with Events(where) as events:
            while count := left():
                rest = None if limit is None else limit - time.monotonic()
                if rest is not None and rest <= 0:
                    tasks = plain.plural(count, "task")
                    raise CannotDo(f"{tasks} of {queue.name} not ended in time; it drains on")
                events.wait(rest)
    except KeyboardInterrupt:
        plain.note("no longer waiting; the queue drains on, `ltspec queue resume` opens it again")
        raise
