"""Logs: opening one, and those with a `max_size`, which are looked at every 2 s while their task
runs (DESIGN 5).

`truncate` keeps the tail: whole blocks are taken out of the front of the file where the filesystem
can do that under the writer (FALLOC_FL_COLLAPSE_RANGE), else the tail is copied and what is written
in that moment may be missing. `stop` ends the task.
"""

import ctypes
import os
from collections.abc import Callable

from ltspec.clock import Now
from ltspec.paths import Places
from ltspec.supervisor.identity import User
from ltspec.supervisor.running import Running, Table

LOOK_SECONDS = 2.0
_COLLAPSE_RANGE = 0x08
_BLOCK = 1 << 20
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class LimitedLogs:
    """The running attempts whose log has a limit; without one nothing wakes up."""

    def __init__(
        self, places: Places, table: Table, end: Callable[[Running, str, Now], None]
    ) -> None:
        self.places = places
        self.table = table
        self.end = end
        self.due: float | None = None     # boot clock
        self._running: set[Running] = set()

    def watch(self, running: Running, boot: float) -> None:
        """Begin to look at this attempt's log where it has a limit."""
        if running.spec.log_max_size is None:
            return
        self._running.add(running)
        if self.due is None:
            self.due = boot + LOOK_SECONDS

    def step(self, now: Now) -> None:
        """Look at all of them where it is time."""
        if self.due is None or now.boot < self.due:
            return
        for running in list(self._running):
            if self.table.by_key.get(running.key) is not running:
                self._running.discard(running)
            else:
                self._look_at(running, now)
        self.due = now.boot + LOOK_SECONDS if self._running else None

    def _look_at(self, running: Running, now: Now) -> None:
        spec = running.spec
        path = self.places.log(spec.manager, spec.queue, spec.id, running.number)
        limit = spec.log_max_size or 0
        try:
            size = os.stat(path).st_size
        except FileNotFoundError:
            return
        if size <= limit:
            return
        if spec.log_on_full == "stop":
            self.end(running, f"stopped: its log is longer than {limit} bytes", now)
            self._running.discard(running)
        else:
            keep_tail(path, limit // 2)


def open_log(path: str, user: User | None) -> int:
    """Open a log for appending, made where it is missing; it belongs to the task's user."""
    try:
        log = os.open(path, _FLAGS, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        log = os.open(path, _FLAGS, 0o600)
    if user is not None:
        os.fchown(log, user.uid, user.gid)
    return log


def keep_tail(path: str, keep: int) -> None:
    """Cut a log that is being written to down to about its last `keep` bytes."""
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        cut = size - keep
        block = os.fstatvfs(file).f_bsize
        whole = cut // block * block
        if whole > 0 and _collapse(file, whole):
            return
        tail = os.pread(file, keep, cut) if keep < _BLOCK else _large_tail(file, cut)
        os.ftruncate(file, 0)
        os.pwrite(file, tail, 0)
    finally:
        os.close(file)


def _large_tail(file: int, offset: int) -> bytes:
    chunks = []
    while chunk := os.pread(file, _BLOCK, offset):
        chunks.append(chunk)
        offset += len(chunk)
    return b"".join(chunks)


def _collapse(file: int, length: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_int64(0)
    return int(libc.fallocate(file, _COLLAPSE_RANGE, zero, ctypes.c_int64(length))) == 0
