"""The spec files of directories as they are dropped there: which are new, changed, complete, gone.

Complete is a file that nobody has open for writing. The kernel says so by refusing a read lease
(F_SETLEASE, fcntl(2)); where the file is another user's it cannot be asked, and a moment without
a change has to do. A file that changes all the time is given out now and then, not at each look.

Gone is a file that was absent for a while in a directory that can be read: one that is being
replaced (deleted, then written again), or whose whole directory is, is not gone.
"""

from __future__ import annotations

import fcntl
import os
from typing import NamedTuple

from ltspec import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SUFFIXES = (".yml", ".yaml")
_CONFIG = ("ltspec.yml", ".ltspec.yml")
_QUIET_SECONDS = 0.3        # after a change, where something else than quiet cannot be known
_PAUSE_SECONDS = 2.0        # in which a file that is never quiet is given out twice
_GONE_SECONDS = 1.0


class State(NamedTuple):
    """By what a changed file is told from the one that was seen."""

    inode: int
    size: int
    changed_ns: int


class Seen(NamedTuple):
    """A file as it was given out: where it really is, and when that was, now and the time before
    (boot clock)."""

    state: State
    real_path: str
    given_out: float
    before: float


class Look(NamedTuple):
    """What is to be done. All paths are absolute and in order; `gone` are the real ones."""

    due: list[str]
    gone: list[str]


class Files:
    """What was seen at the last look.

    `unread`: directories that were not there or not readable. `pending`: a later look is needed
    although nothing changes.
    """

    def __init__(self, directories: Sequence[str]) -> None:
        self.directories = directories
        self.unread: set[str] = set()
        self.pending = False
        self._seen: dict[str, Seen] = {}
        self._absent: dict[str, float] = {}

    def look(self, *, everything: bool = False) -> Look:
        """The new or changed complete files, and those that are gone. `everything`: also what is
        still being written."""
        now = clock.now()
        self.unread = set()
        self.pending = False
        found = dict(self._files())
        due = []
        for path, state in sorted(found.items()):
            seen = self._seen.get(path)
            if seen is not None and seen.state == state:
                continue
            if not everything and (_restless(seen, state, now) or being_written(path, state)):
                self.pending = True
                continue
            before = seen.given_out if seen is not None else -_PAUSE_SECONDS
            self._seen[path] = Seen(state, os.path.realpath(path), now.boot, before)
            due.append(path)
        gone = self._gone(found, now.boot)
        self.pending = self.pending or bool(self._absent or self.unread)
        return Look(due, gone)

    def _gone(self, found: dict[str, State], boot: float) -> list[str]:
        absent = {
            path: self._absent.get(path, boot)
            for path in sorted(self._seen.keys() - found.keys())
            if not any(path.startswith(place + "/") for place in self.unread)
        }
        gone = [path for path, since in absent.items() if boot - since >= _GONE_SECONDS]
        self._absent = {path: since for path, since in absent.items() if path not in gone}
        return [self._seen.pop(path).real_path for path in gone]

    def _files(self) -> Iterator[tuple[str, State]]:
        for directory in self.directories:
            for place, folders, names in os.walk(directory, onerror=self._not_read):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for name in names:
                    if not is_spec_name(name):
                        continue
                    path = os.path.abspath(os.path.join(place, name))
                    try:
                        facts = os.stat(path)
                    except OSError:
                        continue      # it went away in this moment, or is a broken link
                    yield path, State(facts.st_ino, facts.st_size, facts.st_mtime_ns)

    def _not_read(self, error: OSError) -> None:
        self.unread.add(os.path.abspath(error.filename))


def _restless(seen: Seen | None, state: State, now: clock.Now) -> bool:
    """True where a file changed a moment ago and was given out twice not long before."""
    return (
        seen is not None
        and now.boot - seen.before < _PAUSE_SECONDS
        and now.wall - state.changed_ns / 1e9 < _QUIET_SECONDS
    )


def is_spec_name(name: str) -> bool:
    """True for a spec file's name: not hidden, no editor's temporary file, not the config."""
    return (
        name.endswith(_SUFFIXES) and name not in _CONFIG and not name.startswith((".", "#", "~"))
    )


def being_written(path: str, state: State) -> bool:
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
        return clock.now().wall - state.changed_ns / 1e9 < _QUIET_SECONDS
    finally:
        os.close(handle)
    return False
