"""The outbox: reports that wait to be sent, and what became of the others (DESIGN 8).

A report is written in the transaction that ends its task (`lifecycle`) and sent at least once: a
sender that is killed between the panel's answer and its record sends again. States:

    pending --sent--> sent
    pending --refused three times--> failed
    pending --a newer end of the same task--> superseded
    any --resend--> pending

Only the newest end of a task is ever pending, so the order of one task's ends is kept.
"""

from typing import NamedTuple

from ltspec.catalogue.store import Store
from ltspec.model import Report

REFUSALS = 3           # an `ERROR` answer is final after so many
FIRST_DELAY = 5.0      # seconds until the second try; each further one waits three times as long
LONGEST_DELAY = 3600.0

_REPORT = (
    "report.key, report.task, report.attempt, report.state, report.tries, report.created,"
    " report.next_try, report.status, report.errmsg, report.answer"
)


class Due(NamedTuple):
    """A report to send now, with where to and about which PID-file."""

    key: int
    manager: str
    queue: str
    file: str
    status: str                   # ok or err
    errmsg: str
    tries: int
    refused: int
    mgrctl: str                   # "" where the task has been told to report nowhere since
    form: str                     # arguments or joined


class Listed(NamedTuple):
    """A report with the task that it is about, for a person."""

    manager: str
    queue: str
    id: str
    report: Report


def due(store: Store, now: float) -> list[Due]:
    """What is to be sent at the wall-clock time `now`, the longest waiting first: what was never
    tried, and what has waited for its delay. What seems to wait longer than any delay is due too:
    the clock was set back."""
    rows = store.execute(
        "SELECT report.key, manager, queue, file, report.status, report.errmsg, tries, refused,"
        " coalesce(spec ->> '$.mgrctl', ''), coalesce(spec ->> '$.mgrctl_form', 'arguments')"
        " FROM report JOIN task ON task.key = report.task"
        " WHERE state = 'pending' AND (tries = 0 OR next_try <= ? OR next_try > ?)"
        " ORDER BY next_try, report.key", (now, now + LONGEST_DELAY),
    )
    return [Due(*row) for row in rows]


def next_due(store: Store) -> float | None:
    """When the sender has work next (wall clock), 0 for at once; None where nothing waits."""
    newest = store.row(
        "SELECT tries FROM report WHERE key = (SELECT max(key) FROM report WHERE state = 'pending')"
    )
    if newest is None:
        return None
    if newest[0] == 0:
        return 0.0
    return float(store.row("SELECT min(next_try) FROM report WHERE state = 'pending'")[0])


def sent(store: Store, key: int, answer: str) -> None:
    """The panel has it. Also where a newer end came while it was under way; it was delivered."""
    store.execute(
        "UPDATE report SET state = 'sent', tries = tries + 1, answer = ? WHERE key = ?"
        " AND state IN ('pending', 'superseded')", (answer, key),
    )


def refused(store: Store, report: Due, answer: str, *, now: float) -> None:
    """The panel answered `ERROR`: final after three times, tried again before."""
    state = "failed" if report.refused + 1 >= REFUSALS else "pending"
    store.execute(
        "UPDATE report SET state = ?, tries = tries + 1, refused = refused + 1, answer = ?,"
        " next_try = ? WHERE key = ? AND state = 'pending'",
        (state, answer, now + delay(report.refused), report.key),
    )


def unanswered(store: Store, report: Due, reason: str, *, now: float) -> None:
    """Nobody answered: tried again for ever, with growing delays."""
    store.execute(
        "UPDATE report SET tries = tries + 1, answer = ?, next_try = ?"
        " WHERE key = ? AND state = 'pending'",
        (reason, now + delay(report.tries), report.key),
    )


def given_up(store: Store, key: int, reason: str) -> None:
    """It cannot be sent any more, whatever is tried."""
    store.execute(
        "UPDATE report SET state = 'failed', answer = ? WHERE key = ? AND state = 'pending'",
        (reason, key),
    )


def delay(tries: int) -> float:
    """Seconds until the next try after `tries` earlier ones: 5, 15, 45, … at most an hour."""
    return min(LONGEST_DELAY, FIRST_DELAY * 3.0 ** min(tries, 10))


def resend(store: Store, task: int, *, now: float) -> bool:
    """Send the task's newest report (again), at once; call it inside `write`.

    False: it has none, because it has not ended since or reports nowhere. An older report than
    the newest is never sent again: the panel would show a state that is over.
    """
    return bool(
        store.execute(
            "UPDATE report SET state = 'pending', refused = 0, tries = 0, next_try = ?"
            " WHERE key = (SELECT max(key) FROM report WHERE task = ?)"
            " AND EXISTS (SELECT 1 FROM task WHERE key = ? AND status IN ('OK', 'ERR'))",
            (now, task, task),
        ).rowcount
    )


def failed_tasks(store: Store) -> list[int]:
    """The tasks whose newest report has failed, in the order of those reports."""
    rows = store.execute(
        "SELECT task FROM report WHERE state = 'failed'"
        " AND key IN (SELECT max(key) FROM report GROUP BY task) ORDER BY key"
    )
    return [row[0] for row in rows]


def listed(store: Store, states: tuple[str, ...] = (), limit: int = -1) -> list[Listed]:
    """Reports in these states (none given: all), the newest first."""
    marks = ", ".join("?" * len(states))
    where = f"WHERE state IN ({marks})" if states else ""
    rows = store.execute(
        f"SELECT manager, queue, id, {_REPORT} FROM report JOIN task ON task.key = report.task"  # noqa: S608 - constant columns and question marks
        f" {where} ORDER BY report.key DESC LIMIT ?", (*states, limit),
    )
    return [Listed(row[0], row[1], row[2], Report(*row[3:])) for row in rows]
