"""Catalogues with many tasks, made in seconds: copies of rows that ltspec itself has written.

One task is applied and runs, one waits; the rest are their rows again with other ids. What copies
do not have of their own is left as it was, so a new column of the catalogue needs nothing here.
"""

import contextlib
import sqlite3

from benchmarks import specs
from benchmarks.site import Site

QUEUE = "q"
PAUSED = "queues: {q: {paused: true}}\n"
_AGE_SECONDS = 10 * 86400


def fill(site: Site, *, waiting: int, ended: int = 0) -> None:
    """A catalogue with so many tasks in a paused queue, ids t0, t1, … and e0, e1, …; a supervisor
    runs when this returns, and every PID-file of a waiting task is there."""
    site.configure(PAUSED)
    site.supervise()
    if ended:
        site.ltspec("run", "--id", "e0", "-q", QUEUE, "--wait", "--", "true")
    if waiting:
        site.ltspec("apply", specs.loop(site.root, 1, queue=QUEUE, name="waiting.yml"))
    site.end()
    with contextlib.closing(site.open(read_only=False)) as connection, connection:
        if ended:
            copy(connection, "e", ended)
        if waiting:
            copy(connection, "t", waiting)
    site.configure("")      # the queue stays paused
    site.supervise()
    with site.connect() as connection_to_supervisor:
        connection_to_supervisor.sync()


def copy(connection: sqlite3.Connection, letter: str, count: int, start: int = 1) -> None:
    """Copy task LETTER0 and its attempts as LETTER`start` and so on, until there are `count`; the
    ended ones have ended within ten days."""
    numbers = "WITH RECURSIVE n (i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
    first, last = connection.execute("SELECT max(key), max(position) FROM task").fetchone()
    seed = connection.execute("SELECT key FROM task WHERE id = ?", (f"{letter}0",)).fetchone()[0]
    name = f"'{letter}' || i"
    connection.execute(
        numbers + _insert(connection, "task", {
            "key": f"{first} + i", "position": f"{last} + i", "id": name, "file": name,
            "ended": f"ended - i * {_AGE_SECONDS} / {count}",
        }) + " FROM task, n WHERE key = ? ORDER BY i",
        (start, count - 1, seed),
    )
    connection.execute(
        numbers + _insert(connection, "attempt", {"task": f"{first} + i"})
        + " FROM attempt, n WHERE task = ?",
        (start, count - 1, seed),
    )


def _insert(connection: sqlite3.Connection, table: str, other: dict[str, str]) -> str:
    """INSERT … SELECT with every column of the row but those that are another expression."""
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = [other.get(name, name) for name in names]
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)}"
