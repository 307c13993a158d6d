"""Attempts that ltspec ends itself: at their timeout, on request, for a log that grew too long.

The reason is committed before the first signal, so that whoever sees the end knows why. How an
attempt is ended is `stopping`'s; when, and what is next on each ladder, is kept here.
"""

import heapq
from collections.abc import Callable

from ltspec.catalogue import Store, lifecycle
from ltspec.clock import Now
from ltspec.supervisor import stopping
from ltspec.supervisor.running import Running, Table
from ltspec.supervisor.scheduling import compact_duration


class Ending:
    """The deadlines of all running attempts, and those that are on their way down."""

    def __init__(
        self,
        store: Store,
        table: Table,
        over: Callable[[Running], None],
        say: Callable[[str], None],
    ) -> None:
        self.store = store
        self.table = table
        self.over = over
        self.say = say
        self._stopping: set[Running] = set()
        self._deadlines: list[tuple[float, int, int]] = []

    def watch(self, running: Running) -> None:
        """Keep its deadline."""
        if running.deadline is not None:
            heapq.heappush(self._deadlines, (running.deadline, running.key, running.number))

    def discard(self, running: Running) -> None:
        """Its end is committed."""
        self._stopping.discard(running)

    def step(self, now: Now) -> None:
        """End what is over its time, and take every ladder's next step that is due."""
        while self._deadlines and self._deadlines[0][0] <= now.boot:
            _, key, number = self._deadlines[0]
            running = self.table.by_key.get(key)
            if running is not None and running.number == number and running.ladder is None:
                after = compact_duration(running.spec.timeout or 0)
                self.end(running, f"timeout after {after}", now)
            heapq.heappop(self._deadlines)      # not before its reason is committed
        for running in list(self._stopping):
            self._climb(running, now)

    def times(self, now: Now) -> list[float]:
        """When `step` wants to be called (boot clock)."""
        times = [self._deadlines[0][0]] if self._deadlines else []
        for running in self._stopping:
            due = now.boot + stopping.SCAN_SECONDS if running.seen else running.ladder.due()
            if due is not None:
                times.append(due)
        return times

    def end(self, running: Running, reason: str, now: Now) -> None:
        """End an attempt for a reason of ltspec's own; the reason is committed first."""
        with self.store.write():
            lifecycle.record_ended_by(self.store, running.key, running.number, reason)
        self.begin(running, reason, now)

    def begin(self, running: Running, reason: str, now: Now) -> None:
        """The same where the reason stands in the catalogue: from the top of the ladder."""
        if running.seen is not None:
            return  # it ended by itself in the same moment
        running.ended_by = reason
        running.ladder = stopping.Ladder(running.spec.kill)
        running.ladder.step_due = now.boot
        self._stopping.add(running)
        self._climb(running, now)

    def _climb(self, running: Running, now: Now) -> None:
        if running.is_over:
            return
        named = running.survivors
        stopping.climb(running, now.boot)
        if stopping.is_over(running):
            self.over(running)
        if running.survivors != named:
            self.say(f"{running.spec.reference} cannot be ended: {running.survivors}")
