"""Short-lived helpers that the supervisor starts when something is due: the report sender, the hook
runner and the retention, each one at a time. A hanging mgrctl or notification holds up its helper,
nothing else.
"""

import os
import select
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple

from ltspec import alive, process
from ltspec.catalogue import Store
from ltspec.clock import Now
from ltspec.paths import Places
from ltspec.supervisor import identity, seam

_AGAIN_SECONDS = 5.0  # after a helper that could not do its work at all
# Nothing is put off for longer (outbox.LONGEST_DELAY, retention.EVERY_SECONDS): what seems to be is
# due, the wall clock was set back.
LONGEST_SECONDS = 3600.0
# Says to one that runs: there is more. Ignored by default, so it can come at any time.
NUDGE = signal.SIGURG


class Kind(NamedTuple):
    """What a helper is for."""

    name: str                                      # for the supervisor's log and the fault seam
    module: str
    next_due: Callable[[Store], float | None]      # wall clock; None: nothing waits


class Errand:
    """The life of one kind of helper as seen by the loop."""

    def __init__(
        self, kind: Kind, store: Store, places: Places, epoll: select.epoll,
        say: Callable[[str], None],
    ) -> None:
        self.kind = kind
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
        """True while a helper runs."""
        return self.pidfd is not None

    def owns(self, number: int) -> bool:
        """True for the helper's pidfd."""
        return number == self.pidfd

    def wake(self) -> None:
        """Something may have been written that is due."""
        self.next_look = 0.0
        if self.pidfd is not None:
            signal.pidfd_send_signal(self.pidfd, NUDGE)

    def due(self, now: Now) -> float | None:
        """When `step` wants to be called (boot clock)."""
        if self.active or self.next_look is None:
            return None
        return max(self.next_look, self.not_before, now.boot)

    def step(self, now: Now) -> None:
        """Start a helper where something is due, else find out when the next thing is."""
        if self.active or self.next_look is None or now.boot < self.not_before:
            return
        if now.boot < self.next_look:
            return
        wall = self.kind.next_due(self.store)
        if wall is None:
            self.next_look = None
        elif 0 < wall - now.wall <= LONGEST_SECONDS:
            self.next_look = now.boot + min(wall - now.wall, 60.0)
        else:
            seam.reached(f"{self.kind.name}.due")
            self._start(now)
            seam.reached(f"{self.kind.name}.started")

    def _start(self, now: Now) -> None:
        self.not_before = now.boot + _AGAIN_SECONDS
        places = self.places
        argv = [
            sys.executable, "-I", "-m", self.kind.module,
            "--state-dir", places.state_dir, "--run-dir", places.run_dir,
        ]
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            launch = process.Launch(
                argv[0], argv, dict(os.environ), "/", 0o077, null, 2, null, None
            )
            with identity.original_open_files():
                self.pid = process.spawn(launch)
        finally:
            os.close(null)
        self.pidfd = os.pidfd_open(self.pid)
        self.epoll.register(self.pidfd, select.EPOLLIN)

    def ended(self) -> None:
        """The helper has ended; look again when the next thing is due."""
        if self.pidfd is None:
            return
        seen = alive.look(self.pidfd, self.pid)
        self.epoll.unregister(self.pidfd)
        alive.reap(self.pidfd)
        os.close(self.pidfd)
        self.pidfd = None
        self.next_look = 0.0
        if seen is not None and seen.code == 0:
            self.not_before = 0.0
        elif seen is None or seen.code != process.BUSY:
            self.say(f"the {self.kind.name} helper ended badly: {seen}")
