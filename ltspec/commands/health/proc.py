"""What /proc tells of the supervisor's processes, of locks and of limits (proc(5)). Reads only; a
process that is gone, or not ours to look at, has nothing to tell.
"""

from __future__ import annotations

import os
from typing import NamedTuple


def state(pid: int) -> str:
    """R, S, D, T, Z, …; "" where there is no such process."""
    return _status(pid).get("State", "")[:1]


def command_line(pid: int) -> str:
    """Its words, "" where there are none."""
    return _read(f"/proc/{pid}/cmdline").decode(errors="replace").replace("\0", " ").strip()


def children(pid: int) -> list[int]:
    """Its children."""
    return [int(word) for word in _read(f"/proc/{pid}/task/{pid}/children").split()]


class Locks:
    """All flocks and POSIX locks for writing of this moment."""

    def __init__(self) -> None:
        lines = _read("/proc/locks").decode(errors="replace").splitlines()
        self._rows = [row for row in map(str.split, lines) if row[3] == "WRITE"]
        self._files = {row[5] for row in self._rows}

    def is_locked(self, path: str) -> bool:
        """True where somebody holds one on this file. Raises OSError."""
        return self._name(path) in self._files

    def holders(self, path: str) -> list[int]:
        """Who took one on this file, not who only inherited it. Raises OSError."""
        file = self._name(path)
        return sorted({int(row[4]) for row in self._rows if row[5] == file} - {-1, 0})

    @staticmethod
    def _name(path: str) -> str:
        found = os.lstat(path)
        return f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"


def attempts_of(state_dir: str) -> list[tuple[int, str]]:
    """(pid, PID-file) of the living attempts of a state directory, by their environment alone."""
    mark = os.fsencode(f"LTSPEC_STATE_DIR={state_dir}")
    found = []
    for pid in _pids():
        words = _read(f"/proc/{pid}/environ").split(b"\0")
        own = [word for word in words if word.startswith(b"MGR_LT_PID=")]
        if own and mark in words and os.getsid(pid) == pid and state(pid) not in ("Z", ""):
            found.append((pid, os.fsdecode(own[0].partition(b"=")[2])))
    return found


class Use(NamedTuple):
    """How much of a limit is used; `limit` None: there is none."""

    used: int
    limit: int | None

    @property
    def is_exhausted(self) -> bool:
        """True where less than a twentieth is left."""
        return self.limit is not None and self.used >= self.limit * 0.95


def open_files(pid: int) -> Use:
    """Of a process."""
    try:
        used = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        used = 0
    return Use(used, _limit(pid, "Max open files"))


def processes(pid: int) -> Use:
    """Of the user that a process runs as; root is not bounded."""
    uid = _status(pid).get("Uid", "0").split()[0]
    if uid == "0":
        return Use(0, None)
    owned = [status for status in map(_status, _pids()) if status.get("Uid", "").startswith(uid)]
    used = sum(int(one.get("Threads", "0")) for one in owned if one["Uid"].split()[0] == uid)
    return Use(used, _limit(pid, "Max processes"))


def _limit(pid: int, name: str) -> int | None:
    for line in _read(f"/proc/{pid}/limits").decode().splitlines():
        if line.startswith(name):
            soft = line[len(name) :].split()[0]
            return None if soft == "unlimited" else int(soft)
    return None


def _status(pid: int) -> dict[str, str]:
    lines = _read(f"/proc/{pid}/status").decode(errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
