"""Old history: which attempts and ended tasks may be forgotten, and forgetting them.

A task that a spec file declares stays known: without its row the next `apply` would take it for
new and run it again. What goes is its old attempts and their logs. A task of `ltspec run`, or one
whose file is gone, may go whole.
"""

from typing import NamedTuple

from ltspec.catalogue.store import Store


class Old(NamedTuple):
    """One ended attempt. `last`: it is its task's newest, whose row stays with the task."""

    key: int
    number: int
    manager: str
    queue: str
    id: str
    ended: float
    last: bool


class Forgettable(NamedTuple):
    """One ended task."""

    key: int
    reference: str
    source: str
    ended: float


def ended_attempts(
    store: Store, before: float | None = None, queue: str | None = None
) -> list[Old]:
    """Ended attempts, the oldest first; `before` only those that ended earlier."""
    rows = store.execute(
        "SELECT task.key, number, manager, queue, id, attempt.ended, number = attempts FROM attempt"
        " JOIN task ON task.key = attempt.task WHERE attempt.ended IS NOT NULL"
        " AND (? IS NULL OR attempt.ended < ?) AND (? IS NULL OR queue = ?)"
        " ORDER BY attempt.ended, task.key, number", (before, before, queue, queue),
    )
    return [Old._make((*row[:6], bool(row[6]))) for row in rows]


def ended_tasks(store: Store, queue: str | None = None) -> list[Forgettable]:
    """Ended tasks that nothing which waits needs, the newest first."""
    rows = store.execute(
        "SELECT key, queue, id, source, ended FROM task WHERE ended IS NOT NULL"
        " AND status IN ('OK', 'ERR') AND request = '' AND (? IS NULL OR queue = ?)"
        " AND NOT EXISTS (SELECT 1 FROM need JOIN task AS other ON other.key = need.task"
        " WHERE need.needed = task.key AND other.status = 'QUE')"
        " AND NOT EXISTS (SELECT 1 FROM report WHERE report.task = task.key"
        " AND report.state = 'pending')"
        " AND NOT EXISTS (SELECT 1 FROM hook WHERE hook.task = task.key"
        " AND hook.state IN ('pending', 'running')) ORDER BY ended DESC, key DESC",
        (queue, queue),
    )
    return [Forgettable(r[0], f"{r[1]}/{r[2]}" if r[1] else r[2], r[3], r[4]) for r in rows]


def forget_attempts(store: Store, old: list[Old]) -> None:
    """Take the rows away, but for a task's newest attempt; call it inside `write`."""
    store.executemany(
        "DELETE FROM hook WHERE task = ? AND attempt = ? AND state IN ('done', 'failed')"
        " AND attempt < (SELECT attempts FROM task WHERE key = hook.task)",
        [(one.key, one.number) for one in old],
    )
    store.executemany(
        "DELETE FROM attempt WHERE task = ? AND number = ? AND ended IS NOT NULL"
        " AND number < (SELECT attempts FROM task WHERE key = attempt.task)",
        [(one.key, one.number) for one in old],
    )
