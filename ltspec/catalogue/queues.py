"""Queues: what is in them, and their settings while they run.

The supervisor acts on a change at the next `sync`. All writing is to be done inside `Store.write`.
"""

from typing import NamedTuple

from ltspec.catalogue.listing import by_key
from ltspec.catalogue.store import Store
from ltspec.errors import NotFound, Refused
from ltspec.model import Queue, Task
from ltspec.states import Status


class QueueState(NamedTuple):
    """A queue with what is in it now; `oldest` is when its longest waiting task was accepted."""

    queue: Queue
    running: int
    waiting: int
    held: int
    oldest: float | None


def queue_states(store: Store) -> list[QueueState]:
    """Every queue, by manager and name."""
    return [_queue_state(store, queue) for queue in known(store)]


def known(store: Store) -> list[Queue]:
    """The same without what is in them: its cost does not grow with the tasks."""
    rows = store.execute(
        "SELECT manager, name, slots, paused, draining, on_reboot FROM queue WHERE name <> ''"
        " ORDER BY manager, name"
    )
    return [Queue(row[0], row[1], row[2], bool(row[3]), bool(row[4]), row[5]) for row in rows]


def _queue_state(store: Store, queue: Queue) -> QueueState:
    place = (queue.manager, queue.name)
    running, waiting = (
        store.row(
            "SELECT count(*) FROM task WHERE manager = ? AND queue = ? AND status = ?",
            (*place, status),
        )[0]
        for status in ("RUN", "QUE")
    )
    # SQLite knows no sizes: by itself it would take an index that leads through all that wait.
    held = store.row(
        "SELECT count(*) FROM task INDEXED BY task_held WHERE manager = ? AND queue = ?"
        " AND status = 'QUE' AND held <> 0", place,
    )[0]
    oldest = store.row(
        "SELECT accepted FROM task INDEXED BY task_line WHERE manager = ? AND queue = ?"
        " AND status = 'QUE' AND ended IS NULL ORDER BY position LIMIT 1", place,
    )
    return QueueState(queue, running, waiting, held, oldest[0] if oldest else None)


def paused(store: Store) -> set[tuple[str, str]]:
    """(manager, name) of the paused queues."""
    return set(store.execute("SELECT manager, name FROM queue WHERE paused"))


def state_of(store: Store, manager: str, name: str) -> QueueState | None:
    """One queue with what is in it; None for the line of common tasks."""
    found = [queue for queue in known(store) if (queue.manager, queue.name) == (manager, name)]
    return _queue_state(store, found[0]) if found else None


def require(store: Store, name: str | None) -> None:
    """Raise NotFound where nobody has the named queue; None and "" (common tasks) are fine."""
    queues = known(store) if name else []
    if name and all(queue.name != name for queue in queues):
        raise _unknown(name, queues)


def _unknown(name: str, queues: list[Queue]) -> NotFound:
    import difflib

    last = name.rpartition("/")[2]
    close = difflib.get_close_matches(last, [queue.name for queue in queues], n=1)
    advice = f"did you mean {close[0]}?" if close else "`ltspec queue list` shows every queue"
    return NotFound(f"there is no queue {name!r}\n{advice}")


def find_queue(store: Store, name: str) -> Queue:
    """The queue called NAME or MANAGER/NAME. Raises NotFound, or Refused where several are."""
    manager, _, last = name.rpartition("/")
    queues = known(store)
    found = [q for q in queues if q.name == last and manager in ("", q.manager)]
    if not found:
        raise _unknown(name, queues)
    if len(found) > 1:
        names = " or ".join(f"{queue.manager}/{queue.name}" for queue in found)
        raise Refused(f"several managers have a queue {name}: write {names}")
    return found[0]


def set_slots(store: Store, queue: Queue, slots: int) -> None:
    """How many of its tasks may run at once; 0 lets none start, running ones run on."""
    _set(store, queue, "slots", slots)


def set_paused(store: Store, queue: Queue, paused: bool) -> None:  # noqa: FBT001 - a setting's value
    """A paused queue starts nothing."""
    _set(store, queue, "paused", int(paused))


def set_draining(store: Store, queue: Queue, draining: bool) -> None:  # noqa: FBT001 - a setting's value
    """A draining queue takes nothing new and runs what waits."""
    _set(store, queue, "draining", int(draining))


def _set(store: Store, queue: Queue, setting: str, value: int) -> None:
    statements = {
        "slots": "UPDATE queue SET slots = ? WHERE manager = ? AND name = ?",
        "paused": "UPDATE queue SET paused = ? WHERE manager = ? AND name = ?",
        "draining": "UPDATE queue SET draining = ? WHERE manager = ? AND name = ?",
    }
    store.execute(statements[setting], (value, queue.manager, queue.name))


def move_first(store: Store, key: int) -> None:
    """Let a waiting task be the first among those of its priority."""
    task = _waiting(store, key)
    first = store.row(
        "SELECT key FROM task WHERE status = 'QUE' AND manager = ? AND queue = ? AND priority = ?"
        " ORDER BY position LIMIT 1", (task.manager, task.queue, task.priority),
    )
    if first[0] != key:
        move_before(store, key, first[0])


def move_before(store: Store, key: int, other_key: int) -> None:
    """Let a waiting task stand right before another of the same queue and priority.

    The positions of those between are handed round, so nobody else's order changes. Raises Refused
    where one of them does not wait, or queue or priority differ.
    """
    task, other = _waiting(store, key), _waiting(store, other_key)
    if (task.manager, task.queue) != (other.manager, other.queue):
        raise Refused(f"{task.reference} and {other.reference} are not in the same queue")
    if task.priority != other.priority:
        raise Refused(
            f"{task.reference} has priority {task.priority}, {other.reference} {other.priority}\n"
            "tasks are moved within one priority: change `priority` in the spec and apply it"
        )
    if key == other_key:
        return
    low, high = sorted((task.position, other.position))
    rows = store.execute(
        "SELECT key, position FROM task WHERE status = 'QUE' AND manager = ? AND queue = ?"
        " AND priority = ? AND position BETWEEN ? AND ? ORDER BY position",
        (task.manager, task.queue, task.priority, low, high),
    ).fetchall()
    order = [row[0] for row in rows if row[0] != key]
    order.insert(order.index(other_key), key)
    store.executemany(
        "UPDATE task SET position = ? WHERE key = ?",
        [(row[1], moved) for row, moved in zip(rows, order, strict=True)],
    )


def _waiting(store: Store, key: int) -> Task:
    task = by_key(store, key)
    if task is None:
        raise NotFound("the task is no longer in the catalogue")
    if task.status is not Status.QUE:
        raise Refused(f"{task.reference} is {task.status}: only waiting tasks can be moved")
    return task
