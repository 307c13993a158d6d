"""PID-files that were taken away by others: which of our tasks have to be published again (C22).

Only live tasks: who removes the PID-file of an ended one wants it gone. `made` is taken back, so
that in a panel's directory a name that somebody has used since is left alone.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ltspec.catalogue.store import Store

_LOST = "UPDATE task SET dirty = dirty + 1, made = 0 WHERE status IN ('QUE', 'RUN')"


class Line(NamedTuple):
    """One directory of PID-files; `queue` "" holds a manager's common tasks."""

    manager: str
    queue: str


def live_lines(store: Store) -> list[Line]:
    """Every line with a live task."""
    rows = store.execute(
        "SELECT manager, name FROM queue WHERE EXISTS (SELECT 1 FROM task WHERE status IN"
        " ('QUE', 'RUN') AND task.manager = queue.manager AND task.queue = queue.name)"
    )
    return [Line(*row) for row in rows]


def published_names(store: Store, line: Line) -> list[str]:
    """The names that ought to be in the line's directory now."""
    rows = store.execute(
        "SELECT file FROM task WHERE manager = ? AND queue = ? AND status IN ('QUE', 'RUN')"
        " AND dirty = 0", line,
    )
    return [row[0] for row in rows]


def every_file(store: Store) -> set[tuple[str, str, str]]:
    """(manager, queue, name) of every PID-file that a task of ours has or had."""
    return set(store.execute("SELECT manager, queue, file FROM task"))


def names_lost(store: Store, line: Line, names: Iterable[str]) -> list[int]:
    """These PID-files of the line are gone; returns the keys of the live tasks among them."""
    found: list[int] = []
    for name in names:
        found += _keys(store, " AND manager = ? AND queue = ? AND file = ?", (*line, name))
    return found


def line_lost(store: Store, line: Line) -> list[int]:
    """The line's whole directory is gone."""
    return _keys(store, " AND manager = ? AND queue = ?", line)


def manager_lost(store: Store, manager: str) -> list[int]:
    """The directory of a manager is gone, with the queues in it."""
    return _keys(store, " AND manager = ?", (manager,))


def all_lost(store: Store) -> list[int]:
    """The run directory is gone, or so much happened that nobody knows what."""
    return _keys(store, "", ())


def _keys(store: Store, which: str, values: tuple[str, ...]) -> list[int]:
    rows = store.execute(f"{_LOST}{which} RETURNING key", values).fetchall()
    return [row[0] for row in rows]
