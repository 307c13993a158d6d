"""Waits for the ends of tasks, and turns them into an exit code (DESIGN 9). Used by `wait`, `stop`,
`apply --wait`, `retry --wait` and the Python API.

A look at the catalogue follows each event of the supervisor. With thousands of tasks a look costs
milliseconds, so the next one waits for twenty times what the last one took: a waiter never takes
more than a twentieth of a processor, and none of the looks is on a clock.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from ltspec.catalogue import listing
from ltspec.commands.events import Events
from ltspec.errors import CannotDo
from ltspec.model import Task
from ltspec.output import plain
from ltspec.states import Outcome, wait_exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltspec.catalogue import Store
    from ltspec.output.waitview import View
    from ltspec.paths import Places

GONE = 125
_SHARE = 20.0


class Change(NamedTuple):
    """One thing that happened to a task: state, waiting, started, ended, removed."""

    event: str
    task: Task


class Watched:
    """The tasks waited for, and what was last seen of them."""

    def __init__(self, store: Store, keys: Sequence[int]) -> None:
        self.store = store
        self.tasks: dict[int, Task] = {t.key: t for t in listing.by_keys(store, keys)}
        self.open = [key for key, task in self.tasks.items() if not task.status.is_final]
        self.gone: set[int] = {key for key in keys if key not in self.tasks}
        self.took = 0.0
        self.looked = time.monotonic()

    def look(self) -> list[Change]:
        """Read the unfinished tasks again; what has changed."""
        begin = time.monotonic()
        found = {task.key: task for task in listing.by_keys(self.store, self.open)}
        changes = []
        for key in self.open:
            new = found.get(key)
            if new is None:
                self.gone.add(key)
                changes.append(Change("removed", self.tasks[key]))
                continue
            event = _event(self.tasks[key], new)
            self.tasks[key] = new
            if event:
                changes.append(Change(event, new))
        self.open = [k for k in self.open if k in found and not found[k].status.is_final]
        self.looked = time.monotonic()
        self.took = self.looked - begin
        changes.sort(key=lambda change: change.task.ended or change.task.started or 0.0)
        return changes

    def rest(self) -> float:
        """Seconds until the next look may be taken."""
        return max(0.0, self.looked + self.took * _SHARE - time.monotonic())

    def ended(self) -> list[Task]:
        """The tasks that are at a final status, the first ended first."""
        final = [task for task in self.tasks.values() if task.status.is_final]
        return sorted(final, key=lambda task: task.ended or 0.0)


def _event(old: Task, new: Task) -> str:
    if new.status.is_final:
        return "ended"
    if new.status == "RUN" and (old.status != "RUN" or old.attempts != new.attempts):
        return "started"
    if new.status == "QUE" and old.status != "QUE":
        return "waiting"
    return ""


def wait_for(
    where: Places, store: Store, keys: Sequence[int], *, json: bool, timeout: float | None = None,
    any_one: bool = False,
) -> int:
    """Block until all tasks (or any one) have ended, showing them; the exit code of `wait`.

    Raises CannotDo at the time limit. KeyboardInterrupt leaves the tasks running and says so.
    """
    from ltspec.output.waitview import make_view

    watched = Watched(store, keys)
    with make_view(where, store, watched, json=json) as view:
        try:
            until_ended(where, watched, view, timeout=timeout, any_one=any_one)
        except KeyboardInterrupt:
            view.close()
            _say_they_run_on(watched)
            raise
    view.summary(watched)
    return exit_code(watched, any_one=any_one)


def until_ended(
    where: Places, watched: Watched, view: View, *, timeout: float | None = None,
    any_one: bool = False,
) -> None:
    """Block until all tasks (or any one) have ended, telling `view`; CannotDo at the limit."""

    def done() -> bool:
        return not watched.open or (any_one and len(watched.open) < len(watched.tasks))

    view.begin(watched)
    if done():
        return
    limit = None if timeout is None else time.monotonic() + timeout
    with Events(where) as events:
        _look(watched, view)      # what happened before we listened
        while not done():
            left = None if limit is None else limit - time.monotonic()
            if left is not None and left <= 0:
                view.close()
                _raise_limit(watched, timeout)
            if events.wait(_shortest(left, view.tick)):
                _rest(watched, view, limit)
                _look(watched, view)
            else:
                view.draw(watched)


def _shortest(*seconds: float | None) -> float | None:
    known = [one for one in seconds if one is not None]
    return min(known) if known else None


def _rest(watched: Watched, view: View, limit: float | None) -> None:
    """Keep to our share of the processor: further events gather meanwhile."""
    until = time.monotonic() + watched.rest()
    if limit is not None:
        until = min(until, limit)
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, view.tick or left))
        view.draw(watched)


def _look(watched: Watched, view: View) -> None:
    for change in watched.look():
        view.happened(change.event, change.task)
    view.draw(watched)


def _raise_limit(watched: Watched, timeout: float | None) -> None:
    names = [watched.tasks[key].reference for key in watched.open]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    raise CannotDo(
        f"not ended within {plain.duration(timeout or 0)}: {', '.join(names[:3])}{more}\n"
        "they go on; `ltspec wait` waits again"
    )


def _say_they_run_on(watched: Watched) -> None:
    names = [watched.tasks[key].reference for key in watched.open]
    if not names:
        return
    what = names[0] if len(names) == 1 else f"{len(names)} tasks"
    verb = "goes" if len(names) == 1 else "go"
    example = " ".join(names[:2]) + (" …" if len(names) > 2 else "")
    plain.note(
        f"interrupted; {what} {verb} on\n"
        f"`ltspec wait {example}` waits again, `ltspec stop {example}` ends them"
    )


def exit_code(watched: Watched, *, any_one: bool) -> int:
    """DESIGN 9: of one task its own code, of several 1 where any is not OK."""
    ended = watched.ended()
    if any_one and ended:
        return task_code(ended[0])
    if len(watched.tasks) + len(watched.gone - watched.tasks.keys()) == 1:
        return GONE if watched.gone else task_code(ended[0])
    bad = any(task.status != "OK" for task in ended) or bool(watched.gone)
    return 1 if bad else 0


def task_code(task: Task) -> int:
    """The exit code that tells how a task ended."""
    return wait_exit_code(task.status, task.outcome or Outcome.LOST, task.code, task.signal)
