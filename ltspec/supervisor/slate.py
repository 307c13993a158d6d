"""The slate: how far the newest start has come, until the catalogue has its pid.

One short line in a file of the state directory, written in place before and after the spawn: it
costs a few microseconds where a commit costs some hundred, and survives the supervisor. So the
commit of the pid can wait until the ended task's PID-file is written, an attempt that starts and
ends within this time is not lost when the supervisor is killed, and one whose start is committed
but is not on the slate has certainly not started. It says nothing of another boot.
"""

import os
from typing import NamedTuple

from ltspec.alive import Identity
from ltspec.paths import Places

_LINE = 96     # bytes: token, pid and start time, filled up with blanks


class Entry(NamedTuple):
    """What stands on it: the attempt's token, and its process once the spawn has returned."""

    token: str
    started: Identity | None


class Slate:
    """The writing end."""

    def __init__(self, places: Places) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(places.slate, flags, 0o600)

    def ready(self) -> None:
        """Whoever had to read it has: a new one says from here on that nothing has begun."""
        if os.fstat(self._file).st_size < _LINE:
            self._write("-")

    def starting(self, token: str) -> None:
        """This attempt is about to be spawned. Raises OSError."""
        self._write(token)

    def started(self, token: str, process: Identity) -> None:
        """Its process is this one. Raises OSError."""
        self._write(f"{token} {process.pid} {process.start_ticks}")

    def _write(self, line: str) -> None:
        os.pwrite(self._file, (line.ljust(_LINE - 1) + "\n").encode(), 0)


def read(places: Places) -> Entry | None:
    """What stands on the slate; None where nothing can be concluded from it: it is not there, or
    somebody else has written on it."""
    try:
        with open(places.slate, encoding="ascii", errors="replace") as file:
            line = file.read()
    except FileNotFoundError:
        return None
    fields = line.split()
    if len(line) != _LINE or len(fields) not in (1, 3) or not all(map(str.isdigit, fields[1:])):
        return None
    started = Identity(int(fields[1]), int(fields[2])) if len(fields) == 3 else None
    return Entry(fields[0], started)
