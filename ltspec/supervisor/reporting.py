"""Starts the short-lived sender when a report is due, one at a time; sends nothing itself."""

import os
import select
import sys
from collections.abc import Callable

from ltspec import process
from ltspec.catalogue import Store, outbox
from ltspec.clock import Now
from ltspec.paths import Places
from ltspec.supervisor import seam

_AGAIN_SECONDS = 5.0  # after a sender that could not do its work at all


class Reporting:
    """The sender's life as seen by the loop. A hanging mgrctl holds up the sender, nothing else."""

    def __init__(
        self, store: Store, places: Places, epoll: select.epoll, say: Callable[[str], None]
    ) -> None:
        self.store = store
        self.places = places
        self.epoll = epoll
        self.say = say
        self.pidfd: int | None = None
        self.pid = 0
        self.next_look: float | None = 0.0   # boot clock; None: nothing is pending
        self.not_before = 0.0

    @property
    def active(self) -> bool:
        """True while a sender runs."""
        return self.pidfd is not None

    def owns(self, number: int) -> bool:
        """True for the sender's pidfd."""
        return number == self.pidfd

    def wake(self) -> None:
        """A report may have been written."""
        self.next_look = 0.0

    def due(self, now: Now) -> float | None:
        """When `step` wants to be called (boot clock)."""
        if self.active or self.next_look is None:
            return None
        return max(self.next_look, self.not_before, now.boot)

    def step(self, now: Now) -> None:
        """Start a sender where a report is due, else find out when the next one is."""
        if self.active or self.next_look is None or now.boot < self.not_before:
            return
        if now.boot < self.next_look:
            return
        wall = outbox.next_due(self.store)
        if wall is None:
            self.next_look = None
        elif wall > now.wall:
            self.next_look = now.boot + min(wall - now.wall, 60.0)
        else:
            seam.reached("report.due")
            self._start(now)
            seam.reached("report.sender")

    def _start(self, now: Now) -> None:
        self.not_before = now.boot + _AGAIN_SECONDS
        places = self.places
        argv = [
            sys.executable, "-I", "-m", "ltspec.report.sender",
            "--state-dir", places.state_dir, "--run-dir", places.run_dir,
        ]
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            launch = process.Launch(
                argv[0], argv, dict(os.environ), "/", 0o077, null, 2, null, None
            )
            self.pid = process.spawn(launch)
        finally:
            os.close(null)
        self.pidfd = os.pidfd_open(self.pid)
        self.epoll.register(self.pidfd, select.EPOLLIN)

    def ended(self) -> None:
        """The sender has ended; look again when the next report is due."""
        if self.pidfd is None:
            return
        seen = process.look(self.pidfd, self.pid)
        self.epoll.unregister(self.pidfd)
        process.reap(self.pidfd)
        os.close(self.pidfd)
        self.pidfd = None
        self.next_look = 0.0
        if seen is not None and seen.code == 0:
            self.not_before = 0.0
        else:
            self.say(f"the report sender ended badly: {seen}")
