"""What has changed and is asked of tasks, for the supervisor to follow up.

`task.dirty` counts the changes of a row that nobody has followed up yet (a PID-file to write); it
goes back to 0 only where it still has the value that was followed up. What is asked of a task
stands in `task.request`, whether the row counts as changed or not.
"""

from typing import Any, NamedTuple

from ltspec.catalogue.store import Store


def dirty_rows(store: Store, limit: int) -> list[tuple[Any, ...]]:
    """Rows to follow up: key, dirty, status, request, manager, queue, id, file, detail, made, spec,
    and of the last attempt finish_ok, finish_msg; in order of acceptance."""
    return store.execute(
        "SELECT task.key, dirty, task.status, request, manager, queue, id, file, task.detail, made,"
        " spec, finish_ok, finish_msg FROM task LEFT JOIN attempt"
        " ON attempt.task = task.key AND attempt.number = task.attempts"
        " WHERE dirty > 0 ORDER BY task.key LIMIT ?", (limit,),
    ).fetchall()


def republish(store: Store, key: int) -> None:
    """Its PID-file is not what its row says: it is to be written again."""
    store.execute("UPDATE task SET dirty = dirty + 1 WHERE key = ?", (key,))


def clean(store: Store, followed: list[tuple[int, int, int]]) -> None:
    """Mark (made, key, dirty) as followed up, where nothing has changed in between; `made` tells
    whether the PID-file in place is ours."""
    store.executemany(
        "UPDATE task SET dirty = 0, made = ? WHERE key = ? AND dirty = ?", followed
    )


def unsettled(store: Store) -> list[int]:
    """Waiting tasks that are held by their needs and have just been taken in or changed."""
    rows = store.execute(
        "SELECT key FROM task WHERE dirty > 0 AND status = 'QUE' AND held & 1"
    ).fetchall()
    return [row[0] for row in rows]


class Request(NamedTuple):
    """What somebody asks of a task that waits, runs or has ended: `stop`, `remove`, `replace`."""

    key: int
    what: str
    status: str
    manager: str
    queue: str
    id: str
    file: str
    made: int
    attempts: int


def requests(store: Store, limit: int) -> list[Request]:
    """What is asked and not being carried out: nobody ends the attempt yet."""
    rows = store.execute(
        "SELECT key, request, status, manager, queue, id, file, made, attempts FROM task"
        " WHERE request <> '' AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.task = task.key"
        " AND number = attempts AND ended IS NULL AND ended_by <> '') ORDER BY key LIMIT ?",
        (limit,),
    )
    return [Request(*row) for row in rows]


def delete(store: Store, key: int) -> None:
    """Take the row away with its attempts, needs and reports."""
    store.execute("DELETE FROM task WHERE key = ?", (key,))
