"""Logs with a `max_size`: looked at every 2 s while their task runs (DESIGN 5).

`truncate` keeps the tail: whole blocks are taken out of the front of the file where the filesystem
can do that under the writer (FALLOC_FL_COLLAPSE_RANGE), else the tail is copied and what is written
in that moment may be missing. `stop` ends the task.
"""

import ctypes
import os
from typing import TYPE_CHECKING

from ltspec.clock import Now

if TYPE_CHECKING:
    from ltspec.supervisor.loop import Supervisor
    from ltspec.supervisor.running import Running

LOOK_SECONDS = 2.0
_COLLAPSE_RANGE = 0x08
_BLOCK = 1 << 20


def watch(supervisor: "Supervisor", running: "Running") -> None:
    """Begin to look at this attempt's log."""
    supervisor.limited_logs.add(running)
    if supervisor.next_log_look is None:
        supervisor.next_log_look = supervisor.clock().boot + LOOK_SECONDS


def due(supervisor: "Supervisor") -> float | None:
    """When the next look is due (boot clock), None where no running task has a limit."""
    return supervisor.next_log_look


def look(supervisor: "Supervisor", now: Now) -> None:
    """Look at all limited logs where it is time."""
    if supervisor.next_log_look is None or now.boot < supervisor.next_log_look:
        return
    for running in list(supervisor.limited_logs):
        if supervisor.table.by_key.get(running.key) is not running:
            supervisor.limited_logs.discard(running)
        else:
            _look_at(supervisor, running, now)
    supervisor.next_log_look = now.boot + LOOK_SECONDS if supervisor.limited_logs else None


def _look_at(supervisor: "Supervisor", running: "Running", now: Now) -> None:
    spec = running.spec
    path = supervisor.places.log(spec.manager, spec.queue, spec.id, running.number)
    limit = spec.log_max_size or 0
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        return
    if size <= limit:
        return
    if spec.log_on_full == "stop":
        supervisor.end(running, f"stopped: its log is longer than {limit} bytes", now)
        supervisor.limited_logs.discard(running)
    else:
        keep_tail(path, limit // 2)


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
