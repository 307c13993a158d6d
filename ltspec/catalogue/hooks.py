"""`on_finish` commands that wait to be run, and what became of the others.

A row is written in the transaction that ends its task. It is run at most once: its start is
committed before the command exists, so a runner that is killed leaves one whose end was not seen.

    pending --start--> running --end--> done | failed
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ltspec.catalogue.store import Store
from ltspec.clock import Now
from ltspec.model import Hook
from ltspec.states import End, Status

UNSEEN = "its end was not seen: ltspec was killed while it ran"


class Pending(NamedTuple):
    """A command to run now."""

    key: int
    attempt: int
    moment: str
    command: tuple[str, ...]
    facts: Mapping[str, str]
    file: str                     # the PID-file's name
    spec: str                     # the task's stored definition


def write(
    store: Store,
    key: int,
    wanted: Sequence[Mapping[str, Any]],
    end: End,
    *,
    now: Now,
    attempt: int,
    started: float | None,
) -> None:
    """Keep the commands of this final end; call it inside the transaction that ends the task.

    `wanted` is the spec's `on_finish`; `started` is None where no attempt of it ran.
    """
    fitting = {"always", "success" if end.status is Status.OK else "failure"}
    facts = json.dumps(_facts(end, now=now, started=started))
    for one in wanted:
        if one["when"] in fitting:
            store.execute(
                "INSERT INTO hook (task, attempt, moment, command, facts, created)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (key, attempt, one["when"], json.dumps(one["command"]), facts, now.wall),
            )


def _facts(end: End, *, now: Now, started: float | None) -> dict[str, str]:
    def text(value: object) -> str:
        return "" if value is None else str(value)

    return {
        "LTSPEC_STATUS": str(end.status),
        "LTSPEC_OUTCOME": str(end.outcome),
        "LTSPEC_DETAIL": end.detail,
        "LTSPEC_EXIT_CODE": text(end.code),
        "LTSPEC_SIGNAL": text(end.signal),
        "LTSPEC_STARTED": text(None if started is None else int(started)),
        "LTSPEC_ENDED": text(int(now.wall)),
        "LTSPEC_SECONDS": "" if started is None else f"{max(0.0, now.wall - started):.3f}",
    }


def next_due(store: Store) -> float | None:
    """0, which is at once, where a command waits or runs; None where there is none."""
    waits = store.row("SELECT 1 FROM hook WHERE state IN ('pending', 'running') LIMIT 1")
    return 0.0 if waits else None


def pending(store: Store, limit: int, busy: Iterable[int] = ()) -> list[Pending]:
    """The longest waiting ones but those of tasks whose earlier one (`busy`: keys of hooks) runs:
    the commands of one task come one after the other."""
    marks = ", ".join(str(int(key)) for key in busy)
    rows: list[Any] = store.execute(
        "SELECT min(hook.key), attempt, moment, command, facts, file, spec FROM hook"  # noqa: S608 - whole numbers
        " JOIN task ON task.key = hook.task WHERE state = 'pending' AND hook.task NOT IN"
        f" (SELECT task FROM hook WHERE key IN ({marks}))"
        " GROUP BY hook.task ORDER BY hook.created, hook.key LIMIT ?", (limit,),
    ).fetchall()
    return [
        Pending(row[0], row[1], row[2], tuple(json.loads(row[3])), json.loads(row[4]), *row[5:])
        for row in rows
    ]


def start(store: Store, key: int, *, now: Now) -> None:
    """It is about to be started; after this it is never started again."""
    store.execute(
        "UPDATE hook SET state = 'running', started = ? WHERE key = ?", (now.wall, key)
    )


def end(store: Store, key: int, problem: str, *, now: Now) -> None:
    """It has ended; `problem` is "" where all went well."""
    store.execute(
        "UPDATE hook SET state = ?, ended = ?, detail = ? WHERE key = ?",
        ("failed" if problem else "done", now.wall, problem, key),
    )


def give_up_unseen(store: Store, *, now: Now) -> list[int]:
    """Those that a killed runner has left; nobody can tell how they ended."""
    rows = store.execute(
        "UPDATE hook SET state = 'failed', ended = ?, detail = ? WHERE state = 'running'"
        " RETURNING key", (now.wall, UNSEEN),
    ).fetchall()
    return [row[0] for row in rows]


def of_task(store: Store, key: int) -> list[Hook]:
    """All that are known of one task, the oldest first."""
    rows = store.execute(
        "SELECT key, attempt, moment, state, created, started, ended, detail FROM hook"
        " WHERE task = ? ORDER BY key", (key,),
    )
    return [Hook(*row) for row in rows]
