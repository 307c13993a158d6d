"""Gathers what `show` and `why` tell of a task."""

from __future__ import annotations

from ltspec.catalogue import details, hooks, listing, queues
from ltspec.commands import session
from ltspec.output import logfile, progress
from ltspec.output.taskpage import Facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ltspec.catalogue import Store
    from ltspec.model import Task
    from ltspec.paths import Places

_DEFAULT_MAX_RUNNING = "500"


def gather(store: Store, where: Places, task: Task, *, lines: int) -> Facts:
    """All of it, from one look at the catalogue; `lines` of a failed task's log."""
    spec = details.spec_of(store, task.key)
    ready = task.status == "QUE" and not task.held and bool(task.queue)
    tail: list[str] = []
    if task.status == "ERR" and task.attempts and not spec.no_log:
        tail = logfile.last_lines(
            where.log(task.manager, task.queue, task.id, task.attempts), lines
        )
    return Facts(
        task=task,
        spec=spec,
        attempts=details.attempts(store, task.key),
        reports=details.reports(store, task.key),
        hooks=hooks.of_task(store, task.key),
        needs=details.needs(store, task.key),
        needed_by=details.needed_by(store, task.key),
        history=details.history(store, task.key),
        queue=queues.state_of(store, task.manager, task.queue),
        turn=listing.turn(store, task) if ready else None,
        progress=progress.of_task(where, task),
        last_lines=tail,
        supervisor=_supervisor_runs(where, task),
        running_total=listing.running_total(store),
        max_running=int(store.setting("max_running", _DEFAULT_MAX_RUNNING)),
    )


def _supervisor_runs(where: Places, task: Task) -> bool:
    """Asked only where it matters: for a task that waits or runs."""
    return task.status.is_final or session.supervisor_runs(where)
