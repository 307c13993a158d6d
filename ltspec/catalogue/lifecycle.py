"""Every change of a task's status, each a named function that checks the old one (DESIGN 4).

    QUE --record_start---> RUN --end_attempt--> OK | ERR | QUE (retry, replace) | gone (remove)
    QUE --end_waiting----> ERR (stopped, skipped, not started)
    ERR skipped --settle--> QUE (what it needed has ended well after all)

Only the supervisor calls these (and `finish`, which the task itself reaches), inside `Store.write`.
"""

from typing import Any, NamedTuple

from ltspec.catalogue import hooks
from ltspec.catalogue.enqueue import requeue
from ltspec.catalogue.republish import live_lines
from ltspec.catalogue.store import Store
from ltspec.clock import Now
from ltspec.model import HELD_NEEDS, HELD_TIME, TaskSpec
from ltspec.states import End, Finish, Outcome, Status


class Committed(NamedTuple):
    """What an end came to: "final", "retry", "replaced" or "removed"; `dirty` is the row's count
    after it where it is final (what `clean` wants), else 0."""

    what: str
    dirty: int = 0


class Ready(NamedTuple):
    """A task that may start."""

    key: int
    manager: str
    queue: str
    id: str
    file: str
    attempts: int
    retried: int
    made: int
    dirty: int
    spec: str
    needed: int                   # others need it: its end decides about them
    slots: int                    # of its line; 0 while that is paused


def ready_lines(store: Store) -> list[tuple[str, str]]:
    """(manager, queue) of every line with a ready task; queue "" are the common ones. Its cost
    grows with the number of lines, not of tasks."""
    return store.execute(
        "SELECT manager, name FROM queue WHERE paused = 0 AND EXISTS (SELECT 1 FROM task WHERE"
        " status = 'QUE' AND held = 0 AND task.manager = queue.manager AND task.queue = queue.name)"
    ).fetchall()


def next_ready(store: Store, manager: str, queue: str) -> Ready | None:
    """The task whose turn it is: the highest priority, then the lowest position (DESIGN 4)."""
    row = store.row(
        "SELECT key, manager, queue, id, file, attempts, retried, made, dirty, spec,"
        " EXISTS (SELECT 1 FROM need WHERE needed = task.key),"
        " coalesce((SELECT slots FROM queue WHERE queue.manager = task.manager"
        " AND name = task.queue AND paused = 0), 0) FROM task"
        " WHERE status = 'QUE' AND held = 0 AND request = '' AND manager = ? AND queue = ?"
        " ORDER BY priority DESC, position LIMIT 1",
        (manager, queue),
    )
    return Ready(*row) if row else None


class Start(NamedTuple):
    """A start as it happened. `hash` is that of the definition that was started; without a `pid`
    nobody knows its process. `published`: its PID-file says RUN, nothing is left to follow up."""

    key: int
    number: int
    token: str
    boot_id: str
    wall: float
    boot: float
    hash: str
    pid: int | None = None
    ticks: int | None = None
    published: bool = False


def record_start(store: Store, start: Start) -> None:
    """QUE -> RUN with its attempt.

    It is a fact and overrules the row: one whose definition was changed since (only where this was
    tried before and failed) is run again afterwards.
    """
    store.execute(
        "UPDATE task SET status = 'RUN', attempts = ?, started = ?, ended = NULL, outcome = NULL,"
        " detail = '', due = NULL, due_boot = NULL, made = max(made, ?),"
        " dirty = CASE WHEN ? THEN 0 ELSE dirty + 1 END,"
        " next_spec = CASE WHEN hash = ? OR request <> '' THEN next_spec ELSE spec END,"
        " request = CASE WHEN hash = ? OR request <> '' THEN request ELSE 'replace' END"
        " WHERE key = ?",
        (start.number, start.wall, start.published, start.published, start.hash, start.hash,
         start.key),
    )
    store.execute(
        "INSERT INTO attempt (task, number, token, boot_id, started, started_boot, pid,"
        " start_ticks) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (start.key, start.number, start.token, start.boot_id, start.wall, start.boot, start.pid,
         start.ticks),
    )


def is_recorded(store: Store, key: int, number: int) -> bool:
    """True where the catalogue has this start, or nothing of its task any more."""
    row = store.row("SELECT attempts FROM task WHERE key = ?", (key,))
    return row is None or row[0] >= number


def undo_start(store: Store, key: int, number: int, *, again: Now, boot_id: str) -> None:
    """RUN -> QUE for a start whose process could not become the task (no processes or memory left
    for its user): it waits until `again`."""
    store.execute("DELETE FROM attempt WHERE task = ? AND number = ?", (key, number))
    store.execute(
        "UPDATE task SET status = 'QUE', attempts = attempts - 1, started = NULL, held = ?,"
        " due = ?, due_boot = ?, boot_id = ?, dirty = dirty + 1 WHERE key = ? AND status = 'RUN'",
        (HELD_TIME, again.wall, again.boot, boot_id, key),
    )


def record_ended_by(store: Store, key: int, number: int, reason: str) -> None:
    """Remember before the first signal that ltspec ends this attempt, and why."""
    store.execute(
        "UPDATE attempt SET ended_by = ? WHERE task = ? AND number = ? AND ended_by = ''",
        (reason, key, number),
    )


def finish(store: Store, key: int, said: Finish) -> bool:
    """Keep what the running attempt says of itself; the first call is final (C11, C13).

    False: the task is not running, the call is refused.
    """
    row = store.row(
        "SELECT attempts FROM task WHERE key = ? AND status = 'RUN'", (key,)
    )
    if row is None:
        return False
    changed = store.execute(
        "UPDATE attempt SET finish_ok = ?, finish_msg = ?"
        " WHERE task = ? AND number = ? AND ended IS NULL AND finish_ok IS NULL",
        (int(said.ok), said.errmsg, key, row[0]),
    ).rowcount
    if changed:
        store.execute("UPDATE task SET dirty = dirty + 1 WHERE key = ?", (key,))
    return True


def before_end(store: Store, key: int, number: int) -> tuple[Finish | None, bool]:
    """What the running attempt said of itself, or None; and whether its end decides what is next in
    a line: others need it, or something was asked of it."""
    ok, message, decides = store.row(
        "SELECT finish_ok, finish_msg, request <> ''"
        " OR EXISTS (SELECT 1 FROM need WHERE needed = task.key)"
        " FROM task JOIN attempt ON attempt.task = task.key WHERE key = ? AND number = ?",
        (key, number),
    )
    return None if ok is None else Finish(bool(ok), message), bool(decides)


def end_attempt(
    store: Store,
    key: int,
    number: int,
    end: End,
    *,
    now: Now,
    boot_id: str,
    retry_delay: float | None = None,
    survivors: str = "",
) -> Committed:
    """RUN -> OK or ERR, or back to QUE for a retry or a replacement."""
    request = store.row(
        "UPDATE attempt SET ended = ?, status = ?, outcome = ?, detail = ?, code = ?, signal = ?,"
        " survivors = ? WHERE task = ? AND number = ?"
        " RETURNING (SELECT request FROM task WHERE key = attempt.task)",
        (
            now.wall, end.status, end.outcome, end.detail, end.code, end.signal, survivors,
            key, number,
        ),
    )[0]
    if request == "replace":
        next_spec = store.row("SELECT next_spec FROM task WHERE key = ?", (key,))[0]
        requeue(store, key, TaskSpec.from_json(next_spec), now=now, boot_id=boot_id)
        return Committed("replaced")
    if retry_delay is not None and not request:
        store.execute(
            "UPDATE task SET status = 'QUE', outcome = ?, detail = ?, ended = NULL, held = ?,"
            " due = ?, due_boot = ?, boot_id = ?, retried = retried + 1, dirty = dirty + 1"
            " WHERE key = ?",
            (end.outcome, end.detail, HELD_TIME, now.wall + retry_delay, now.boot + retry_delay,
             boot_id, key),
        )
        return Committed("retry")
    dirty = _finalise(store, key, end, now=now, attempt=number, ran=True)
    return Committed("removed" if request == "remove" else "final", dirty)


def end_waiting(store: Store, key: int, end: End, *, now: Now) -> bool:
    """QUE -> ERR without an attempt: stopped, skipped, or failed at a reboot."""
    row = store.row("SELECT attempts FROM task WHERE key = ? AND status = 'QUE'", (key,))
    if row is None:
        return False
    _finalise(store, key, end, now=now, attempt=row[0])
    return True


def _finalise(
    store: Store, key: int, end: End, *, now: Now, attempt: int, ran: bool = False
) -> int:
    """The one place where a task gets a final status: its report, its `on_finish` commands and its
    dependants follow."""
    dirty, text, started, needed = store.row(
        "UPDATE task SET status = ?, outcome = ?, detail = ?, ended = ?, held = 0, due = NULL,"
        " due_boot = NULL, dirty = dirty + 1,"
        " request = CASE request WHEN 'remove' THEN 'remove' ELSE '' END WHERE key = ?"
        " RETURNING dirty, spec, started,"
        " EXISTS (SELECT 1 FROM need WHERE need.needed = task.key)",
        (end.status, end.outcome, end.detail, now.wall, key),
    )
    if '"mgrctl"' in text or '"on_finish"' in text:      # else it is not worth parsing
        spec = TaskSpec.from_json(text)
        if spec.mgrctl and spec.report != "none":
            _write_report(store, key, end, now=now, attempt=attempt)
            store.errands_written = True
        if spec.on_finish:
            hooks.write(store, key, spec.on_finish, end, now=now, attempt=attempt,
                        started=started if ran else None)
            store.errands_written = True
    if needed:
        dependants = store.execute("SELECT task FROM need WHERE needed = ?", (key,)).fetchall()
        for (dependant,) in dependants:
            settle(store, dependant, now=now)
    return int(dirty)


def _write_report(store: Store, key: int, end: End, *, now: Now, attempt: int) -> None:
    store.execute(
        "UPDATE report SET state = 'superseded' WHERE task = ? AND state = 'pending'", (key,)
    )
    store.execute(
        "INSERT INTO report (task, attempt, created, next_try, status, errmsg)"
        " VALUES (?,?,?,?,?,?)",
        (key, attempt, now.wall, now.wall, "ok" if end.status is Status.OK else "err", end.detail),
    )


def need_state(store: Store, key: int) -> tuple[str, str]:
    """("met" | "wait" | "never", the reference of the needed task that decides it)."""
    state, name = "met", ""
    for queue, task_id, status, want in store.execute(
        "SELECT needed.queue, needed.id, needed.status, need.want FROM need"
        " JOIN task AS needed ON needed.key = need.needed WHERE need.task = ?", (key,),
    ):
        reference = f"{queue}/{task_id}" if queue else task_id
        if status in ("QUE", "RUN"):
            if state == "met":
                state, name = "wait", reference
        elif want != "any" and status != want.upper():
            return "never", reference
    return state, name


def settle(store: Store, key: int, *, now: Now) -> None:
    """Bring a task with `needs` to where their present status puts it; its dependants follow.

    Waiting and met: ready. Waiting and never to be met: `ERR skipped: needs ID`. Skipped and no
    longer hopeless: back to QUE, last in its queue, and so are those that were skipped after it.
    """
    row = store.row(
        "SELECT status, outcome, held, spec, manager, queue FROM task WHERE key = ?", (key,)
    )
    if row is None:
        return
    status, outcome, held, spec, *line = row
    store.released.add((line[0], line[1]))
    state, name = need_state(store, key)
    if status == "QUE" and state == "never":
        end_waiting(store, key, End(Status.ERR, Outcome.SKIPPED, f"skipped: needs {name}"), now=now)
    elif status == "QUE" and bool(held & HELD_NEEDS) != (state == "wait"):
        held = held ^ HELD_NEEDS
        store.execute("UPDATE task SET held = ?, dirty = dirty + 1 WHERE key = ?", (held, key))
    elif status == "ERR" and outcome == Outcome.SKIPPED and state != "never":
        requeue(store, key, TaskSpec.from_json(spec), now=now, boot_id="")
        if state == "met":
            store.execute("UPDATE task SET held = held & ~1 WHERE key = ?", (key,))
        for (after,) in store.execute("SELECT task FROM need WHERE needed = ?", (key,)).fetchall():
            settle(store, after, now=now)


def release_due(store: Store, *, now: Now) -> list[tuple[str, str]]:
    """Free the waiting tasks whose time has come; returns their lines (manager, queue)."""
    rows = store.execute(
        "UPDATE task SET held = held & ~2, due = NULL, due_boot = NULL WHERE key IN ("
        "SELECT key FROM task WHERE status = 'QUE' AND held & 2 AND due_boot <= ?"
        " UNION ALL SELECT key FROM task WHERE status = 'QUE' AND held & 2 AND due_boot IS NULL"
        " AND due <= ?) RETURNING manager, queue",
        (now.boot, now.wall),
    ).fetchall()
    return sorted(set(rows))


def next_due(store: Store) -> tuple[float | None, float | None]:
    """(earliest boot-clock time, earliest wall-clock instant) at which a task becomes ready."""
    boot = store.row("SELECT min(due_boot) FROM task WHERE status = 'QUE' AND held & 2")[0]
    wall = store.row(
        "SELECT min(due) FROM task WHERE status = 'QUE' AND held & 2 AND due_boot IS NULL"
    )[0]
    return boot, wall


def unfinished(store: Store) -> list[tuple[Any, ...]]:
    """Attempts without an end: task key, number, token, pid, boot_id, start_ticks, started_boot,
    ended_by, spec, manager, queue, file, id, request, retried."""
    return store.execute(
        "SELECT attempt.task, number, token, attempt.pid, attempt.boot_id, start_ticks,"
        " started_boot, ended_by, spec, task.manager, queue, file, id, request, retried FROM queue"
        " CROSS JOIN task ON task.manager = queue.manager AND task.queue = queue.name"
        " AND task.status = 'RUN' JOIN attempt ON attempt.task = task.key"
        " WHERE attempt.ended IS NULL"
    ).fetchall()


def has_work(store: Store) -> bool:
    """True where something waits, runs or is to be followed up: no time to leave."""
    return (
        bool(live_lines(store))
        or store.row("SELECT 1 FROM task WHERE dirty > 0 LIMIT 1") is not None
        or store.row("SELECT 1 FROM report WHERE state = 'pending' LIMIT 1") is not None
        or hooks.next_due(store) is not None
    )


def after_reboot(store: Store, boot_id: str, *, now: Now) -> None:
    """Boot-clock times of another boot become instants; queues go on as `on_reboot` says."""
    store.execute(
        "UPDATE task SET due_boot = NULL, boot_id = NULL WHERE status = 'QUE' AND held & 2"
        " AND due_boot IS NOT NULL AND boot_id <> ?", (boot_id,),
    )
    before = store.setting("boot_id")
    store.set_setting("boot_id", boot_id)
    if before in ("", boot_id):
        return
    store.execute(
        "UPDATE queue SET paused = 1 WHERE on_reboot = 'hold' AND EXISTS (SELECT 1 FROM task"
        " WHERE task.manager = queue.manager AND task.queue = queue.name AND status = 'QUE')"
    )
    end = End(Status.ERR, Outcome.NOT_STARTED, "not started: the host was rebooted")
    for (key,) in store.execute(
        "SELECT key FROM task"
        " JOIN queue ON task.manager = queue.manager AND task.queue = queue.name"
        " WHERE on_reboot = 'fail' AND status = 'QUE' ORDER BY position"
    ).fetchall():
        end_waiting(store, key, end, now=now)
