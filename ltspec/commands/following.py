"""Follows the logs of tasks from before their start, through retries, to their final end.

One `Follower` a task; `follow` blocks in `Events` until a log grows or a status changes.
"""

from __future__ import annotations

from ltspec.catalogue import listing
from ltspec.commands.events import Events
from ltspec.output import plain
from ltspec.output.logfile import LogFile
from ltspec.output.logwatch import LogWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ltspec.catalogue import Store
    from ltspec.model import Task
    from ltspec.output.logprint import LogPrinter
    from ltspec.paths import Places


class Follower:
    """One followed task: `attempt` is the one whose log is open or was read to its end."""

    def __init__(self, where: Places, task: Task, printer: LogPrinter, last: int | None) -> None:
        self.where = where
        self.task = task
        self.printer = printer
        self.attempt = max(0, task.attempts - 1)
        self.done = False
        self._last = last              # lines of the first log to begin with; None is all of it
        self._log: LogFile | None = None

    def step(self, task: Task | None, watch: LogWatch) -> None:
        """Print what there is; `task` as the catalogue has it now, None where it is gone."""
        self._read()
        if task is None:
            self._close()
            self.done = True
            return
        while self.attempt < task.attempts:
            self._next_attempt(task, watch)
            self._read()
        self.task = task
        if task.status.is_final:
            self._read()
            self._close()
            self.done = True

    def _next_attempt(self, task: Task, watch: LogWatch) -> None:
        self._close()
        self.attempt += 1
        if self._last is None and self.attempt > 1:
            plain.flush()
            plain.note(f"{task.reference}: attempt {self.attempt}")
        path = self.where.log(task.manager, task.queue, task.id, self.attempt)
        try:
            self._log = LogFile(path)
        except FileNotFoundError:
            return      # it could not be started, or its log was pruned: nothing to print
        watch.add(path)
        if self._last is not None:
            self._log.seek_last(self._last)
            self._last = None

    def _read(self) -> None:
        if self._log is None:
            return
        while data := self._log.read():
            self.printer.write(data)

    def _close(self) -> None:
        if self._log is not None:
            self._read()
            self._log.close()
            self._log = None
        self.printer.end()


def follow(
    where: Places, store: Store, followers: Sequence[Follower],
    enough: Callable[[], bool] | None = None,
) -> None:
    """Print all of them until each is at its final end, or `enough` says so."""
    watch = LogWatch()
    try:
        if all(follower.task.status.is_final for follower in followers):
            _step(store, followers, watch)
            return
        with Events(where) as events:
            _step(store, followers, watch)
            while not all(one.done for one in followers) and not (enough and enough()):
                if events.wait(None, watch):
                    _step(store, followers, watch)
                else:
                    for follower in followers:
                        follower.step(follower.task, watch)
    finally:
        watch.close()


def _step(store: Store, followers: Sequence[Follower], watch: LogWatch) -> None:
    """Look at the catalogue, then print: a log is complete before its end is in the catalogue."""
    keys = [follower.task.key for follower in followers if not follower.done]
    found = {task.key: task for task in listing.by_keys(store, keys)}
    for follower in followers:
        if not follower.done:
            follower.step(found.get(follower.task.key), watch)
