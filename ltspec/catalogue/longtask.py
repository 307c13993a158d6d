"""What the mgrctl functions ask of the catalogue: tasks by their PID-file, as LongTask shows them.

A task is looked for by where its PID-file stands, never by opening that file: the file is output.
What a running task has said of itself is shown at once (C11), before its process has ended.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from ltspec.catalogue import lifecycle
from ltspec.catalogue.store import Store
from ltspec.model import TaskSpec
from ltspec.states import Finish, Status

_SHOWN = (
    "CASE WHEN task.status = 'RUN' AND finish_ok IS NOT NULL"
    " THEN CASE finish_ok WHEN 1 THEN 'ok' ELSE 'err' END ELSE lower(task.status) END"
)
_INFO = (
    "CASE WHEN task.status = 'RUN' THEN coalesce(finish_msg, '') ELSE task.detail END"
)
_NEEDS = (
    "coalesce((SELECT group_concat(CASE WHEN needed.queue = '' THEN needed.id"
    " ELSE needed.queue || '/' || needed.id END, ', ') FROM need JOIN task AS needed"
    " ON needed.key = need.needed WHERE need.task = task.key), '')"
)
_NUMBER = (
    "CASE WHEN task.queue = '' OR task.status <> 'QUE' THEN '' ELSE (SELECT count(*) || ''"
    " FROM task AS other WHERE other.manager = task.manager AND other.queue = task.queue"
    " AND other.status = 'QUE' AND (other.priority > task.priority"
    " OR (other.priority = task.priority AND other.position <= task.position))) END"
)


class Row(NamedTuple):
    """A task as LongTask lists it. Times are seconds since 1970."""

    key: int
    manager: str
    queue: str
    id: str
    file: str
    status: str                   # que, run, ok, err
    info: str                     # the error text
    needs: str
    number: str                   # place among those that wait in its queue, "" elsewhere
    started: float | None
    ended: float | None
    realname: str                 # the binary as given
    spec: str

    def pidfile(self, run_dir: str) -> str:
        """The path of its PID-file."""
        return "/".join(part for part in (run_dir, self.manager, self.queue, self.file) if part)

    def task_spec(self) -> TaskSpec:
        """The stored definition."""
        return TaskSpec.from_json(self.spec)


class Stored(NamedTuple):
    """A task as it is declared."""

    key: int
    status: Status
    spec: TaskSpec


_ROW = (
    f"task.key, task.manager, task.queue, task.id, task.file, {_SHOWN}, {_INFO}, {_NEEDS}"
)
_REST = (
    "task.started, task.ended, CASE WHEN task.spec ->> '$.script' IS NOT NULL THEN 'script'"
    " ELSE coalesce(task.spec ->> '$.command[0]', 'script') END, task.spec"
)
_FROM = (
    " FROM task LEFT JOIN attempt ON attempt.task = task.key AND attempt.number = task.attempts"
)


def tasks(store: Store, manager: str, state: str = "", queue: str | None = None) -> list[Row]:
    """The manager's tasks (all managers' where it is ""), in the order of their places.

    `state` is one of que, run, ok, err, or "" for all; `queue` None for all, "" the common ones.
    """
    where, values = ["1"], []
    for clause, value in (
        ("task.manager = ?", manager or None), (f"{_SHOWN} = ?", state or None),
        ("task.queue = ?", queue),
    ):
        if value is not None:
            where.append(clause)
            values.append(value)
    rows = store.execute(
        "WITH place AS (SELECT key, row_number() OVER (PARTITION BY manager, queue"  # noqa: S608 - constant SQL; every value is a parameter
        " ORDER BY priority DESC, position) AS number FROM task WHERE status = 'QUE'"
        " AND queue <> '')"
        f" SELECT {_ROW}, coalesce(place.number || '', ''), {_REST}{_FROM}"
        " LEFT JOIN place ON place.key = task.key"
        f" WHERE {' AND '.join(where)} ORDER BY task.position", values,
    )
    return [Row._make(row) for row in rows]


def find(store: Store, run_dir: str, elids: Sequence[str]) -> Row | None:
    """The task whose PID-file's path is one of `elids`, the first that is known; None for none.

    The run directory may be reached through a symbolic link (/var/run); nothing below it is.
    """
    for elid in elids:
        place = _place(run_dir, elid)
        if place is None:
            continue
        row = store.row(
            f"SELECT {_ROW}, {_NUMBER}, {_REST}{_FROM}"
            " WHERE task.manager = ? AND task.queue = ? AND task.file = ?", place,
        )
        if row is not None:
            return Row._make(row)
    return None


def _place(run_dir: str, elid: str) -> tuple[str, str, str] | None:
    """(manager, queue, file name) of RUN_DIR/MANAGER[/QUEUE]/FILE; None for any other path."""
    if not elid.startswith("/") or "\0" in elid:
        return None
    parts = elid.split("/")
    for depth in (3, 2):
        place = parts[-depth:]
        root = "/".join(parts[:-depth])
        if len(parts) <= depth or not all(place):
            continue
        if root == run_dir or os.path.realpath(root) == os.path.realpath(run_dir):
            return (place[0], place[1], place[2]) if depth == 3 else (place[0], "", place[1])
    return None


def finish(store: Store, key: int, said: Finish, token: str = "") -> bool:
    """Keep what the task says of itself; call it inside `write`.

    `token` is the caller's mark, where it has one: a process that an earlier attempt has left
    behind does not speak for the present one. False: the task does not run, or that is so.
    """
    if token:
        row = store.row("SELECT number FROM attempt WHERE task = ? AND token = ?", (key, token))
        if row is not None and row[0] != store.row(
            "SELECT attempts FROM task WHERE key = ?", (key,)
        )[0]:
            return False
    return lifecycle.finish(store, key, said)


def managers(store: Store) -> list[str]:
    """Every manager that has a task or a queue, sorted."""
    rows = store.execute("SELECT manager FROM task UNION SELECT manager FROM queue ORDER BY 1")
    return [row[0] for row in rows]


def same(store: Store, spec: TaskSpec) -> Stored | None:
    """The task with this manager, queue and id, or None."""
    row = store.row(
        "SELECT key, status, spec FROM task WHERE manager = ? AND queue = ? AND id = ?",
        (spec.manager, spec.queue, spec.id),
    )
    return Stored(row[0], Status(row[1]), TaskSpec.from_json(row[2])) if row else None
