"""Everything that is known of one task beyond its row. Changes nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from ltspec.catalogue.listing import by_keys
from ltspec.catalogue.store import Store
from ltspec.errors import NotFound
from ltspec.model import Attempt, Report, Task, TaskSpec
from ltspec.states import Outcome, Status


def spec_of(store: Store, key: int) -> TaskSpec:
    """The stored definition. Raises NotFound where the task is gone."""
    row = store.row("SELECT spec FROM task WHERE key = ?", (key,))
    if row is None:
        raise NotFound("the task is no longer in the catalogue")
    return TaskSpec.from_json(row[0])


def definition(store: Store, manager: str, queue: str, task_id: str) -> TaskSpec | None:
    """The stored definition by the task's identity, or None."""
    row = store.row(
        "SELECT spec FROM task WHERE manager = ? AND queue = ? AND id = ?",
        (manager, queue, task_id),
    )
    return TaskSpec.from_json(row[0]) if row else None


def attempts(store: Store, key: int) -> list[Attempt]:
    """Every attempt that history still has, the first one first."""
    rows = store.execute(
        "SELECT task, number, pid, started, ended, status, outcome, detail, code, signal,"
        " finish_ok, finish_msg, survivors FROM attempt WHERE task = ? ORDER BY number",
        (key,),
    )
    return [
        Attempt._make((*row[:5], row[5] and Status(row[5]), row[6] and Outcome(row[6]), *row[7:]))
        for row in rows
    ]


def reports(store: Store, key: int | None = None, *, states: Sequence[str] = ()) -> list[Report]:
    """Reports of one task, or of all; the oldest first."""
    columns = (
        "SELECT key, task, attempt, state, tries, created, next_try, status, errmsg, answer"
        " FROM report "
    )
    if key is None:
        rows = store.execute(columns + "ORDER BY key")
    else:
        rows = store.execute(columns + "WHERE task = ? ORDER BY key", (key,))
    return [Report(*row) for row in rows if not states or row[3] in states]


class NeedState(NamedTuple):
    """One entry of a task's needs with the present state of what it needs."""

    task: Task
    want: str


def needs(store: Store, key: int) -> list[NeedState]:
    """What the task needs, as it is now."""
    rows = store.execute("SELECT needed, want FROM need WHERE task = ? ORDER BY needed", (key,))
    wants = dict(rows.fetchall())
    return [NeedState(task, wants[task.key]) for task in by_keys(store, list(wants))]


def needed_by(store: Store, key: int) -> list[Task]:
    """The tasks that need this one."""
    rows = store.execute("SELECT task FROM need WHERE needed = ? ORDER BY task", (key,)).fetchall()
    return by_keys(store, [row[0] for row in rows])


class History(NamedTuple):
    """What earlier attempts of a task took: seconds of the succeeded ones, newest first."""

    attempts: int
    succeeded: int
    seconds: tuple[float, ...]

    @property
    def typical(self) -> float | None:
        """The median of the newest succeeded attempts; None where there is none."""
        if not self.seconds:
            return None
        return sorted(self.seconds)[len(self.seconds) // 2]

    @property
    def mean(self) -> float | None:
        """The average of the same."""
        return sum(self.seconds) / len(self.seconds) if self.seconds else None


def history(store: Store, key: int, newest: int = 20) -> History:
    """What is known of the task's ended attempts."""
    total, good = store.row(
        "SELECT count(*), coalesce(sum(status = 'OK'), 0) FROM attempt"
        " WHERE task = ? AND ended IS NOT NULL", (key,),
    )
    rows = store.execute(
        "SELECT max(0, ended - started) FROM attempt WHERE task = ? AND status = 'OK'"
        " ORDER BY number DESC LIMIT ?", (key, newest),
    )
    return History(total, good, tuple(row[0] for row in rows))
