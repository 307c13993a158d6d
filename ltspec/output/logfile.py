"""A task's log as a file: its last lines, and what is added to it.

The file belongs to the task's user: no symbolic link and no FIFO is followed. A log that was cut
at its front (`log: max_size`, truncate) is read on from where it then ends.
"""

from __future__ import annotations

import os
import stat

from ltspec.errors import CannotDo

_BLOCK = 65536


class LogFile:
    """An open log. `offset` is where the next `read` begins."""

    def __init__(self, path: str) -> None:
        """Open it. Raises FileNotFoundError where it is not there yet, CannotDo where it may not
        be read."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._handle = os.open(path, flags)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise CannotDo(f"cannot read the log {path}: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(self._handle).st_mode):
            os.close(self._handle)
            raise CannotDo(f"{path} is no log: it is not a plain file")
        self.path = path
        self.offset = 0

    def __enter__(self) -> LogFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)

    @property
    def size(self) -> int:
        """Its present length in bytes."""
        return os.fstat(self._handle).st_size

    def read(self) -> bytes:
        """What was added since the last call, at most one block; b"" where nothing was."""
        if self.size < self.offset:
            self.offset = self.size if self.offset - self.size < _BLOCK else 0
        data = os.pread(self._handle, _BLOCK, self.offset)
        self.offset += len(data)
        return data

    def seek_last(self, lines: int) -> None:
        """Let `read` begin at the last `lines` lines."""
        position = end = self.size
        if lines == 0:
            self.offset = end
            return
        found = 0
        while position > 0:
            start = max(0, position - _BLOCK)
            block = os.pread(self._handle, position - start, start)
            at = len(block)
            while (at := block.rfind(b"\n", 0, at)) >= 0:
                if start + at == end - 1:
                    continue      # the newline that ends the last line
                found += 1
                if found >= lines:
                    self.offset = start + at + 1
                    return
            position = start
        self.offset = 0


def last_lines(path: str, lines: int, *, width: int = 2000) -> list[str]:
    """The last lines as text; none where there is no log or it may not be read."""
    try:
        with LogFile(path) as log:
            log.seek_last(lines)
            log.offset = max(log.offset, log.size - _BLOCK)
            data = log.read()
    except (FileNotFoundError, CannotDo):
        return []
    found = data.decode(errors="backslashreplace").split("\n")
    if found and not found[-1]:
        found.pop()
    return [one.rstrip("\r")[:width] for one in found[-lines:]]
