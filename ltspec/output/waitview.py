"""How waiting looks: a live table on a terminal, one line an event in a pipe, JSON Lines."""

from __future__ import annotations

from ltspec import clock
from ltspec.catalogue import details
from ltspec.output import logfile, plain, progress, tasklist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ltspec.catalogue import Store
    from ltspec.model import Task
    from ltspec.paths import Places

    class Watched(Protocol):
        """The tasks that are waited for."""

        tasks: dict[int, Task]
        open: list[int]
        gone: set[int]

_LAST_LINES = 5
_FAILED_SHOWN = 5


class View:
    """What every kind does; this one shows nothing while it waits."""

    tick: float | None = None      # seconds after which `draw` is to be called without an event

    def __init__(self, where: Places, store: Store) -> None:
        self.where = where
        self.store = store

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, watched: Watched) -> None:
        """Before the first event."""

    def happened(self, event: str, task: Task) -> None:
        """A task has started, ended, been removed, or waits again."""

    def draw(self, watched: Watched) -> None:
        """Time has passed."""

    def close(self) -> None:
        """Give the terminal back; a second call does nothing."""

    def summary(self, watched: Watched) -> None:
        """After the last event."""
        failed = [task for task in watched.tasks.values() if task.status == "ERR"]
        for task in failed[:_FAILED_SHOWN]:
            self._show_failed(task)
        if len(watched.tasks) > 1:
            good = sum(task.status == "OK" for task in watched.tasks.values())
            open_ = f", {len(watched.open)} not ended" if watched.open else ""
            gone = f", {len(watched.gone)} removed" if watched.gone else ""
            plain.line(f"{good} OK, {len(failed)} ERR of {len(watched.tasks)} tasks{open_}{gone}")

    def _show_failed(self, task: Task) -> None:
        if not task.attempts or details.spec_of(self.store, task.key).no_log:
            return
        path = self.where.log(task.manager, task.queue, task.id, task.attempts)
        tail = logfile.last_lines(path, _LAST_LINES)
        if tail:
            plain.line(f"last lines of {plain.safe(task.reference)}:")
            plain.lines("  " + plain.safe(line) for line in tail)


class Lines(View):
    """One line an event, for a pipe."""

    def begin(self, watched: Watched) -> None:
        """What has already ended."""
        for task in watched.tasks.values():
            if task.status.is_final:
                self.happened("ended", task)

    def happened(self, event: str, task: Task) -> None:
        """A line for each."""
        now = clock.now().wall
        when = task.ended if event == "ended" else task.started if event == "started" else now
        name = plain.safe(task.reference)
        plain.line(f"{plain.clock(when, now)} {name} {event_words(event, task)}")
        plain.flush()


def event_words(event: str, task: Task) -> str:
    """`started`, `OK after 3.0s`, `ERR exit code 3 after 1.2s`, `waits for attempt 2`."""
    if event == "started":
        return "started" if task.attempts <= 1 else f"started (attempt {task.attempts})"
    if event == "removed":
        return "removed"
    if event == "waiting":
        return f"waits again: {plain.safe(task.detail or 'it was queued')}"
    took = ""
    if task.started is not None and task.ended is not None:
        took = f" after {plain.duration(task.ended - task.started)}"
    return f"{task.status} {plain.safe(task.detail)}".rstrip() + took


class Json(View):
    """One JSON document a line an event."""

    def begin(self, watched: Watched) -> None:
        """The state of each task."""
        for task in watched.tasks.values():
            self.happened("state", task)

    def happened(self, event: str, task: Task) -> None:
        """A line for each."""
        from ltspec.output import records

        now = clock.now().wall
        said = progress.of_task(self.where, task)
        record = records.task(task, self.where, now, progress=said)
        records.stream({"event": event, "time": records.stamp(now), "task": record})

    def summary(self, watched: Watched) -> None:
        """Nothing more: the last events said it."""


class Table(View):
    """A table that moves: running tasks with their time, expected end and last output line."""

    tick = 0.5

    def __init__(self, where: Places, store: Store) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(where, store)
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._known: dict[int, tuple[float | None, bool]] = {}
        self._started = False

    def begin(self, watched: Watched) -> None:
        """Take the terminal."""
        plain.flush()
        if watched.open:
            self._live.start()
            self._started = True
            self.draw(watched)

    def happened(self, event: str, task: Task) -> None:
        """Ends are printed above the table and stay."""
        if event in ("ended", "removed"):
            self._console.print(self._end_line(event, task))

    def _end_line(self, event: str, task: Task) -> Any:
        from rich.text import Text

        words = event_words(event, task)
        style = {"OK": "green", "ERR": "red"}.get(str(task.status), "")
        return Text.assemble((plain.safe(task.reference), "bold"), " ", (words, style))

    def draw(self, watched: Watched) -> None:
        """The table as it is now."""
        if self._started:
            self._live.update(self._table(watched), refresh=True)

    def _table(self, watched: Watched) -> Any:
        from rich.console import Group
        from rich.text import Text

        now = clock.now().wall
        open_tasks = [watched.tasks[key] for key in watched.open]
        order = {"RUN": 0, "QUE": 1}
        open_tasks.sort(key=lambda task: (order.get(task.status, 2), task.started or 0.0))
        height = max(3, self._console.size.height - 5)
        shown = open_tasks[:height]
        table = tasklist.rich_table(
            [self._row(task, now) for task in shown],
            ("STATUS", "TASK", "TIME", "EXPECTED", "LAST OUTPUT"),
        )
        running = sum(task.status == "RUN" for task in open_tasks)
        words = (
            f"{running} running, {len(open_tasks) - running} waiting,"
            f" {len(watched.tasks) - len(open_tasks)} ended; Ctrl-C leaves them running"
        )
        return Group(table, Text(words, style="dim"))

    def _row(self, task: Task, now: float) -> tuple[str, ...]:
        if task.status != "RUN" or task.started is None:
            why = tasklist.detail(tasklist.Shown(task), now)
            return str(task.status), task.reference, plain.duration(now - task.accepted), "", why
        typical, no_log = self._facts(task)
        left = None if typical is None else task.started + typical - now
        expected = "" if left is None else f"in {plain.duration(left)}" if left > 0 else "overdue"
        said = progress.of_task(self.where, task)
        last = "" if no_log else self._last_line(task)
        both = " ".join(filter(None, (str(said or ""), last)))
        return "RUN", task.reference, plain.duration(now - task.started), expected, both

    def _facts(self, task: Task) -> tuple[float | None, bool]:
        """(usual duration, whether its output is private): asked once a task."""
        if task.key not in self._known:
            self._known[task.key] = (
                details.history(self.store, task.key).typical,
                details.spec_of(self.store, task.key).no_log,
            )
        return self._known[task.key]

    def _last_line(self, task: Task) -> str:
        path = self.where.log(task.manager, task.queue, task.id, task.attempts)
        return (logfile.last_lines(path, 1, width=200) or [""])[0]

    def close(self) -> None:
        """Take the table away."""
        if self._started:
            self._started = False
            self._live.stop()


def make_view(where: Places, store: Store, _watched: Watched, *, json: bool) -> View:
    """The view for where stdout leads."""
    if json:
        return Json(where, store)
    if plain.on_terminal():
        return Table(where, store)
    return Lines(where, store)
