"""The spec files of directories as they are dropped there: which are new, changed, complete, gone.

Complete is a file that nobody has open for writing. The kernel says so by refusing a read lease
(F_SETLEASE, fcntl(2)); where the file is another user's it cannot be asked, and a moment without
a change has to do.
"""

from __future__ import annotations

import fcntl
import os

from ltspec import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SUFFIXES = (".yml", ".yaml")
_CONFIG = ("ltspec.yml", ".ltspec.yml")
_QUIET_SECONDS = 0.3

State = tuple[int, int, int]      # inode, size, time of the last change


class Files:
    """What was seen at the last look."""

    def __init__(self, directories: Sequence[str]) -> None:
        self.directories = directories
        self._seen: dict[str, State] = {}

    def look(self, *, everything: bool = False) -> tuple[list[str], list[str]]:
        """(new or changed complete files, files that are gone), absolute, in order of name."""
        found = dict(self._files())
        gone = sorted(self._seen.keys() - found.keys())
        for path in gone:
            del self._seen[path]
        due = []
        for path, state in sorted(found.items()):
            if self._seen.get(path) == state:
                continue
            if not everything and being_written(path, state[2]):
                continue      # the next look will see it
            self._seen[path] = state
            due.append(path)
        return due, gone

    def _files(self) -> Iterator[tuple[str, State]]:
        for directory in self.directories:
            for place, folders, names in os.walk(directory):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for name in names:
                    if not is_spec_name(name):
                        continue
                    path = os.path.abspath(os.path.join(place, name))
                    try:
                        facts = os.stat(path)
                    except OSError:
                        continue      # it went away in this moment, or is a broken link
                    yield path, (facts.st_ino, facts.st_size, facts.st_mtime_ns)


def is_spec_name(name: str) -> bool:
    """True for a spec file's name: not hidden, no editor's temporary file, not the config."""
    return (
        name.endswith(_SUFFIXES) and name not in _CONFIG and not name.startswith((".", "#", "~"))
    )


def being_written(path: str, changed_ns: int) -> bool:
    """True where the file is open for writing, or changed a moment ago and nobody can say.

    The caller ignores SIGIO: a lease that somebody breaks at this moment would send it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False      # applying it will tell what is wrong
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:       # another user's file, or a file system without leases
        return clock.now().wall - changed_ns / 1e9 < _QUIET_SECONDS
    finally:
        os.close(handle)
    return False
