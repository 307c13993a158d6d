"""The JSON forms of docs/commands.md: dictionaries with stable keys, times as RFC 3339 in UTC.

A key is never left out: what is not there is null. New keys may come, none goes or changes.
"""

from __future__ import annotations

import json
import time

from ltspec.output import plain
from ltspec.paths import HOOK_SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ltspec.catalogue.queues import QueueState
    from ltspec.model import Attempt, Hook, Report, Task
    from ltspec.output.progress import Progress
    from ltspec.output.taskpage import Facts
    from ltspec.paths import Places


def stamp(instant: float | None) -> str | None:
    """RFC 3339 with milliseconds, or null."""
    if instant is None:
        return None
    milliseconds = int(instant * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{whole}.{milliseconds % 1000:03d}Z"


def task(
    one: Task, where: Places, now: float, *, turn: int | None = None, progress: Progress | None
) -> dict[str, Any]:
    """One task as list, show and wait give it."""
    end = one.ended if one.ended is not None else now
    return {
        "reference": one.reference,
        "manager": one.manager,
        "queue": one.queue or None,
        "id": one.id,
        "name": one.name or one.id,
        "status": str(one.status),
        "outcome": str(one.outcome) if one.outcome else None,
        "detail": one.detail,
        "exit_code": one.code,
        "signal": one.signal,
        "pid": one.pid if one.status == "RUN" else None,
        "attempts": one.attempts,
        "priority": one.priority,
        "number_in_queue": turn,
        "waits_for": waits_for(one),
        "due": stamp(one.due),
        "accepted": stamp(one.accepted),
        "started": stamp(one.started),
        "ended": stamp(one.ended),
        "seconds": round(max(0.0, end - one.started), 3) if one.started is not None else None,
        "progress": {"percent": progress.percent, "text": progress.text} if progress else None,
        "requested": one.request or None,
        "pidfile": one.pidfile(where.run_dir),
        "log": where.log(one.manager, one.queue, one.id, one.attempts) if one.attempts else None,
        "source": one.source or None,
    }


def waits_for(one: Task) -> list[str]:
    """What holds a waiting task: "needs", "time", or "turn"; nothing where it does not wait."""
    from ltspec.model import HELD_NEEDS, HELD_TIME

    if one.status != "QUE":
        return []
    held = [word for bit, word in ((HELD_NEEDS, "needs"), (HELD_TIME, "time")) if one.held & bit]
    return held or ["turn"]


def attempt(one: Attempt, log: str) -> dict[str, Any]:
    """One attempt as `show` gives it."""
    return {
        "number": one.number,
        "pid": one.pid,
        "started": stamp(one.started),
        "ended": stamp(one.ended),
        "seconds": round(max(0.0, one.ended - one.started), 3) if one.ended is not None else None,
        "status": str(one.status) if one.status else "RUN",
        "outcome": str(one.outcome) if one.outcome else None,
        "detail": one.detail,
        "exit_code": one.code,
        "signal": one.signal,
        "reported": None if one.finish_ok is None else ("ok" if one.finish_ok else "err"),
        "message": one.finish_msg,
        "survivors": one.survivors,
        "log": log,
    }


def report(one: Report) -> dict[str, Any]:
    """One report to the panel."""
    return {
        "attempt": one.attempt,
        "state": one.state,
        "status": one.status,
        "errmsg": one.errmsg,
        "tries": one.tries,
        "created": stamp(one.created),
        "next_try": stamp(one.next_try) if one.state == "pending" else None,
        "answer": one.answer,
    }


def hook(one: Hook, log: str) -> dict[str, Any]:
    """One `on_finish` command."""
    return {
        "attempt": one.attempt,
        "when": one.moment,
        "state": one.state,
        "detail": one.detail,
        "started": stamp(one.started),
        "ended": stamp(one.ended),
        "log": log,
    }


def queue(one: QueueState) -> dict[str, Any]:
    """One queue as `queue list` gives it."""
    return {
        "manager": one.queue.manager,
        "queue": one.queue.name,
        "slots": one.queue.slots,
        "running": one.running,
        "waiting": one.waiting,
        "held": one.held,
        "paused": one.queue.paused,
        "draining": one.queue.draining,
        "on_reboot": one.queue.on_reboot,
        "oldest_accepted": stamp(one.oldest),
    }


def document(value: object) -> None:
    """One JSON document on stdout."""
    plain.line(json.dumps(value, indent=2))


def stream(value: object) -> None:
    """One line of JSON Lines, let out at once."""
    plain.line(json.dumps(value, separators=(",", ":")))
    plain.flush()


def page(facts: Facts, where: Places, now: float) -> dict[str, Any]:
    """One task as `show --json` gives it: the record of `list` and what belongs to it."""
    one, spec = facts.task, facts.spec
    hidden = spec.no_log

    def log(number: int) -> str:
        return where.log(one.manager, one.queue, one.id, number)

    return {
        **task(one, where, now, turn=facts.turn, progress=facts.progress),
        "command": None if hidden else list(spec.command),
        "script": None if hidden else spec.script,
        "parameters": None if hidden else list(spec.parameters),
        "cwd": spec.cwd,
        "user": spec.user,
        "tags": list(spec.tags),
        "timeout": spec.timeout,
        "needs": [
            {"reference": n.task.reference, "want": n.want, "status": str(n.task.status)}
            for n in facts.needs
        ],
        "needed_by": [other.reference for other in facts.needed_by],
        "attempts_list": [attempt(a, log(a.number)) for a in facts.attempts],
        "reports": [report(r) for r in facts.reports],
        "on_finish": [hook(h, log(h.attempt) + HOOK_SUFFIX) for h in facts.hooks],
        "history": {
            "attempts": facts.history.attempts,
            "succeeded": facts.history.succeeded,
            "typical_seconds": facts.history.typical,
            "mean_seconds": facts.history.mean,
        },
        "last_lines": list(facts.last_lines),
    }
