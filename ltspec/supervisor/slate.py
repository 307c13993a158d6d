"""The slate: which process the newest start is, until the catalogue has its pid.

One short line in a file of the state directory, written in place right after the spawn: it costs a
few microseconds where a commit costs some hundred, and survives the supervisor. So the commit of
the pid can wait until the ended task's PID-file is written, and an attempt that starts and ends
within this time is not lost when the supervisor is killed. A line counts only for the attempt
whose token it holds; an old or torn one names none.
"""

import os

from ltspec.paths import Places
from ltspec.process import Identity

_LINE = 96     # bytes: token, pid and start time, filled up with blanks


class Slate:
    """The writing end."""

    def __init__(self, places: Places) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(places.slate, flags, 0o600)

    def write(self, token: str, started: Identity) -> None:
        """Note who the attempt's process is. Raises OSError."""
        line = f"{token} {started.pid} {started.start_ticks} ".ljust(_LINE - 1) + "\n"
        os.pwrite(self._file, line.encode(), 0)


def read(places: Places, token: str) -> Identity | None:
    """Who this attempt's process is, where the slate knows it."""
    try:
        with open(places.slate, encoding="ascii", errors="replace") as file:
            fields = file.read(_LINE).split()
    except FileNotFoundError:
        return None
    if len(fields) != 3 or fields[0] != token:
        return None
    return Identity(int(fields[1]), int(fields[2]))
