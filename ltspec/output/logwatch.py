"""Says when log files grow: inotify(7) through ctypes, so that following one costs nothing while
nothing is written.

Where the kernel gives no more watches (a limit of the system), `bounded` makes its caller look
again every 0.2 s instead: late, never wrong.
"""

from __future__ import annotations

import ctypes
import os

_IN_MODIFY = 0x2
_IN_NONBLOCK = os.O_NONBLOCK
_IN_CLOEXEC = os.O_CLOEXEC
_LOOK_SECONDS = 0.2


class LogWatch:
    """Watches any number of files; readable (for select) when one has grown."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle: int = self._libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        self._failed = self._handle < 0
        if self._failed:
            self._handle, self._other = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """For select(2)."""
        return self._handle

    def add(self, path: str) -> None:
        """Watch a file that exists. Watching it twice is watching it once."""
        if self._failed:
            return
        added = self._libc.inotify_add_watch(self._handle, os.fsencode(path), _IN_MODIFY)
        if added < 0:
            self._failed = True

    def bounded(self, timeout: float | None) -> float | None:
        """The time to block: `timeout`, or the bounded look where the kernel does not tell."""
        if not self._failed:
            return timeout
        return _LOOK_SECONDS if timeout is None else min(timeout, _LOOK_SECONDS)

    def drain(self) -> None:
        """Take what was told; which file it was does not matter, all are read."""
        try:
            while os.read(self._handle, 65536):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Let go of all watches."""
        os.close(self._handle)
