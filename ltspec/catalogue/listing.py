"""Answers with tasks: pages of them, counts, their place in the line. Changes nothing.

Every question about one queue is answered from an index, so that it costs the same with 100,000
tasks in the catalogue. Readers need no transaction: each statement sees one state of WAL.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ltspec.catalogue.republish import live_lines
from ltspec.catalogue.store import Store
from ltspec.model import Task
from ltspec.states import Outcome, Status

TASK_COLUMNS = (
    "SELECT task.key, manager, queue, id, file, name, task.status, task.outcome, task.detail,"
    " priority, position, held, due, attempts, attempt.pid, attempt.code, attempt.signal, accepted,"
    " task.started, task.ended, source, hash, request"
    " FROM task LEFT JOIN attempt ON attempt.task = task.key AND attempt.number = task.attempts "
)
# Through the lines, each a range of the index task_line.
_RUNNING = (
    "WHERE task.key IN (SELECT one.key FROM queue CROSS JOIN task AS one"
    " ON one.manager = queue.manager AND one.queue = queue.name AND one.status = 'RUN')"
)
# A range of the index task_line for each line and status: the cheapest way to count.
_COUNT = (
    "coalesce(sum((SELECT count(*) FROM task WHERE task.manager = queue.manager"
    " AND task.queue = queue.name AND status = '{}' AND {})), 0)"
)
_LIVE = ("RUN", "QUE")
_FINAL = ("OK", "ERR")


class Filter(NamedTuple):
    """Which tasks are wanted. `queue` "" is the common ones, None any; `since`: ended after."""

    manager: str | None = None
    queue: str | None = None
    statuses: tuple[str, ...] = ()
    since: float | None = None
    tag: str | None = None


class Counts(NamedTuple):
    """How many tasks there are by status."""

    running: int
    waiting: int
    succeeded: int
    failed: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def _task(row: Sequence[Any]) -> Task:
    values = list(row)
    values[6] = Status(values[6])
    values[7] = Outcome(values[7]) if values[7] else None
    return Task(*values)


def tasks(store: Store, rest: str, values: Sequence[Any]) -> list[Task]:
    """The tasks of one query; `rest` is what follows FROM, written in this package only."""
    return [_task(row) for row in store.execute(TASK_COLUMNS + rest, tuple(values))]


def by_key(store: Store, key: int) -> Task | None:
    """The task with this key, or None where it is gone."""
    found = tasks(store, "WHERE task.key = ?", (key,))
    return found[0] if found else None


def by_keys(store: Store, keys: Sequence[int]) -> list[Task]:
    """Those of the keys that still exist, in the order of the keys."""
    found: dict[int, Task] = {}
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        marks = ",".join("?" * len(part))
        found.update((t.key, t) for t in tasks(store, f"WHERE task.key IN ({marks})", part))
    return [found[key] for key in keys if key in found]


def counts(store: Store, wanted: Filter) -> Counts:
    """How many tasks of the wanted queue there are by status, whatever their age."""
    tag, tags = _place(Filter(tag=wanted.tag))
    columns = [_COUNT.format(word, tag) for word in (*_LIVE, *_FINAL)]
    row = store.row(
        f"SELECT {', '.join(columns)} FROM queue"  # noqa: S608 - terms of this module
        " WHERE coalesce(?, manager) = manager AND coalesce(?, name) = name",
        (*tags * len(columns), wanted.manager, wanted.queue),
    )
    return Counts(*row)


def _place(wanted: Filter) -> tuple[str, tuple[str, ...]]:
    terms, values = [], []
    if wanted.manager is not None:
        terms.append("manager = ?")
        values.append(wanted.manager)
    if wanted.queue is not None:
        terms.append("queue = ?")
        values.append(wanted.queue)
    if wanted.tag is not None:
        terms.append("' ' || tags || ' ' LIKE '% ' || ? || ' %'")
        values.append(wanted.tag)
    return " AND ".join(terms) or "1", tuple(values)


def lines(store: Store, wanted: Filter) -> list[tuple[str, str]]:
    """(manager, queue) of every line that the filter may mean; the common ones have queue ""."""
    managers = [
        row[0]
        for row in store.execute(
            "WITH RECURSIVE found (next) AS (SELECT min(manager) FROM task UNION ALL"
            " SELECT (SELECT min(manager) FROM task WHERE manager > next) FROM found"
            " WHERE next IS NOT NULL) SELECT next FROM found WHERE next IS NOT NULL"
        )
        if wanted.manager in (None, row[0])
    ]
    places = [(manager, "") for manager in managers] + [
        (manager, name)
        for manager, name in store.execute(
            "SELECT manager, name FROM queue WHERE name <> '' ORDER BY manager, name"
        )
        if manager in managers
    ]
    return [place for place in places if wanted.queue in (None, place[1])]


def running(store: Store, wanted: Filter, limit: int) -> list[Task]:
    """The running tasks, the one that started last at the end."""
    where, values = _place(wanted)
    return tasks(
        store,
        f"{_RUNNING} AND {where} ORDER BY task.started, task.key LIMIT ?",
        (*values, limit),
    )


def waiting(store: Store, wanted: Filter, limit: int) -> list[tuple[Task, int | None]]:
    """Waiting tasks queue by queue in the order of their turn, each with its number in the queue.

    Those that are held (by needs or time) have no number and stand behind the ready ones.
    """
    found: list[tuple[Task, int | None]] = []
    tag, tags = _place(Filter(tag=wanted.tag))
    for place in lines(store, wanted):
        if len(found) >= limit:
            break
        ready = tasks(
            store,
            "WHERE task.status = 'QUE' AND held = 0 AND manager = ? AND queue = ?"
            f" AND {tag} ORDER BY priority DESC, position LIMIT ?", (*place, *tags, limit),
        )
        held = tasks(
            store,
            "WHERE task.status = 'QUE' AND held <> 0 AND manager = ? AND queue = ?"
            f" AND {tag} ORDER BY position LIMIT ?", (*place, *tags, limit),
        )
        found += [(task, number) for number, task in enumerate(ready, 1)]
        found += [(task, None) for task in held]
    return found[:limit]


def ended(store: Store, wanted: Filter, limit: int) -> list[Task]:
    """Ended tasks, the newest first."""
    statuses = [word for word in wanted.statuses or _FINAL if word in _FINAL]
    if len(statuses) == len(_FINAL) and wanted.manager is wanted.queue is None:
        return _ended(store, wanted, "IN ('OK', 'ERR')", limit)
    found: list[Task] = []
    for manager, queue in lines(store, wanted):
        line = wanted._replace(manager=manager, queue=queue)
        for status in statuses:
            found += _ended(store, line, f"= '{status}'", limit)
    found.sort(key=lambda task: (-(task.ended or 0.0), -task.key))
    return found[:limit]


def _ended(store: Store, wanted: Filter, statuses: str, limit: int) -> list[Task]:
    """One line's tasks of one status, or all that ended: each has an index in this order."""
    where, values = _place(wanted)
    after = wanted.since if wanted.since is not None else -1.0
    return tasks(
        store,
        f"WHERE task.status {statuses} AND {where} AND task.ended >= ?"
        " ORDER BY task.ended DESC, task.key DESC LIMIT ?", (*values, after, limit),
    )


SORTS = {
    "queue": "manager, queue, priority DESC, position",
    "id": "id, manager, queue",
    "accepted": "accepted DESC",
    "started": "task.started DESC",
    "ended": "task.ended DESC",
    "duration": "coalesce(task.ended, ?) - task.started DESC",
}


def sorted_page(store: Store, wanted: Filter, sort: str, limit: int, now: float) -> list[Task]:
    """Tasks of any status in one of SORTS; `since` leaves out what ended before."""
    where, values = _place(wanted)
    statuses = wanted.statuses or (*_LIVE, *_FINAL)
    marks = ",".join("?" * len(statuses))
    after = wanted.since if wanted.since is not None else -1.0
    extra = (now,) if sort == "duration" else ()
    return tasks(
        store,
        f"WHERE task.status IN ({marks}) AND {where} AND (task.ended IS NULL OR task.ended >= ?)"
        f" ORDER BY {SORTS[sort]}, task.key LIMIT ?", (*statuses, *values, after, *extra, limit),
    )


def turn(store: Store, task: Task) -> int:
    """How many ready tasks of its queue go before this one, plus one (its number in the queue)."""
    ready = (
        "SELECT count(*) FROM task WHERE status = 'QUE' AND held = 0 AND manager = ? AND queue = ?"
    )
    place = (task.manager, task.queue, task.priority)
    # Two questions, each a range of the index task_ready; one with OR would look at every row.
    higher = store.row(f"{ready} AND priority > ?", place)[0]
    before = store.row(f"{ready} AND priority = ? AND position < ?", (*place, task.position))[0]
    return int(higher + before) + 1


def turns(store: Store, manager: str, queue: str) -> dict[int, int]:
    """The numbers of all ready tasks of a queue, by their keys: `turn` for many of them at once."""
    rows = store.execute(
        "SELECT key FROM task WHERE status = 'QUE' AND held = 0 AND manager = ? AND queue = ?"
        " ORDER BY priority DESC, position", (manager, queue),
    )
    return {row[0]: number for number, row in enumerate(rows, 1)}


def work_waits(store: Store) -> bool:
    """True where something waits or runs, or is to be followed up: a supervisor is needed."""
    found = store.row(
        "SELECT EXISTS (SELECT 1 FROM task WHERE dirty > 0)"
        " OR EXISTS (SELECT 1 FROM report WHERE state = 'pending')"
    )
    return bool(found[0] or live_lines(store))


def names(store: Store, limit: int = 5000) -> Iterator[str]:
    """References of the newest tasks, for the completion of a shell."""
    for queue, task_id in store.execute(
        "SELECT queue, id FROM task ORDER BY key DESC LIMIT ?", (limit,)
    ):
        yield f"{queue}/{task_id}" if queue else task_id


def running_total(store: Store) -> int:
    """How many tasks run, of all queues and common ones."""
    row = store.row(f"SELECT {_COUNT.format('RUN', 1)} FROM queue")  # noqa: S608 - our own terms
    return int(row[0])
