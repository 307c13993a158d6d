"""Notices what others do to the run directory, so that lost PID-files are published again (C22).

inotify(7) watches RUN, its managers and its queues for what is deleted or moved away. Nothing is
polled, and a task costs nothing: the supervisor's own renames raise no event that is asked for.
What happens is collected for a moment, because `rm -rf RUN/*` is many events and no good time to
write; then the live tasks among the lost are marked as changed, and the publisher does the rest.
A single PID-file that is renamed, not deleted, is made again at its next change only.
"""

import ctypes
import os
import struct
from collections.abc import Callable

from ltspec import pidfile
from ltspec.catalogue import Store, republish
from ltspec.catalogue.republish import Line
from ltspec.paths import Places
from ltspec.pidfile import FINISH_SOCKET
from ltspec.supervisor.running import Table

SETTLE_SECONDS = 0.1
_NAMES_AT_ONCE = 100     # more lost names in one line than this: look at the whole line
_DELETE, _DELETE_SELF, _MOVE_SELF = 0x200, 0x400, 0x800
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLYDIR, _ISDIR = 0x01000000, 0x40000000
_MASK = _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
_EVENT = struct.Struct("iIII")
ROOT = Line("", "")
_TOOLS = ".bin"


class Watcher:
    """The watches by their number, and what was lost since the last look."""

    def __init__(
        self, store: Store, run: pidfile.RunDirectory, table: Table, say: Callable[[str], None]
    ) -> None:
        self.store = store
        self.run = run
        self.table = table
        self.say = say
        self.due: float | None = None            # boot clock
        self.root_lost = False                   # RUN or what stands in it went: furnish it anew
        self.state_lost = False                  # the state directory or the lock in it went
        self.door_lost = False                   # nobody can reach us any more
        self._watches: dict[int, Line] = {}
        self._state_watch = -1
        self._lock: tuple[str, tuple[int, int] | None] = ("", None)
        self._socket = ""
        self._root: tuple[int, int] | None = None
        self._lost: dict[Line, set[str]] = {}
        self._lines_lost: set[Line] = set()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.file = int(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if self.file < 0:
            say(f"PID-files are not watched: {os.strerror(ctypes.get_errno())}")
        run.opened = self.opened

    def watch_state(self, places: Places) -> None:
        """Notice when lock or socket are removed, or moved away with the state directory."""
        self._lock = places.lock, _identity(places.lock)
        self._socket = places.socket
        self._state_watch = self._add(places.state_dir)
        self.door_lost = not os.path.lexists(places.socket)

    def watch_root(self) -> None:
        """Watch RUN; call it again after it was made anew."""
        self.root_lost = False
        self._root = _identity(self.run.path)
        number = self._add(self.run.path)
        if number >= 0:
            self._watches[number] = ROOT

    def opened(self, manager: str, queue: str, directory: int) -> None:
        """A directory of the run directory is in use from here on."""
        number = self._add(f"/proc/self/fd/{directory}")
        if number >= 0:
            self._watches[number] = Line(manager, queue)

    def _add(self, path: str) -> int:
        if self.file < 0:
            return -1
        number = int(self._libc.inotify_add_watch(self.file, os.fsencode(path), _MASK))
        if number < 0:
            self.say(
                f"{path} is not watched: {os.strerror(ctypes.get_errno())}"
                " (fs.inotify.max_user_watches); lost PID-files come back at their next change"
            )
        return number

    def look_at_all(self) -> None:
        """At the start: mark what disappeared while nobody watched (RUN is often a tmpfs).

        Call it inside a transaction.
        """
        for line in republish.live_lines(self.store):
            try:
                there = set(os.listdir(self.run.directory(*line)))
            except OSError as error:
                self.say(f"cannot look into {self.run.path}/{line.manager}/{line.queue}: {error}")
                continue
            wanted = republish.published_names(self.store, line)
            self._unpublish(
                republish.names_lost(self.store, line, [n for n in wanted if n not in there])
            )

    def handle(self, boot: float) -> None:
        """Take in what has happened; what follows from it waits for `step`."""
        while True:
            try:
                data = os.read(self.file, 65536)
            except BlockingIOError:
                break
            offset = 0
            while offset < len(data):
                number, mask, _, length = _EVENT.unpack_from(data, offset)
                offset += _EVENT.size
                name = os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
                offset += length
                self._event(number, mask, name)
        if self.due is None and (self._lost or self._lines_lost):
            self.due = boot + SETTLE_SECONDS

    def _event(self, number: int, mask: int, name: str) -> None:
        if mask & _OVERFLOW:
            self._lines_lost.add(ROOT)
            return
        if number == self._state_watch:
            # A directory whose deleted files are still open never gets its own IN_DELETE_SELF.
            self.state_lost = _identity(self._lock[0]) != self._lock[1]
            self.door_lost = not (self.state_lost or os.path.lexists(self._socket))
            return
        line = self._watches.get(number)
        if line is None:
            return
        if mask & _IGNORED:
            del self._watches[number]
        elif mask & (_DELETE_SELF | _MOVE_SELF):
            self._directory_lost(number, line, mask)
        elif mask & _ISDIR:
            self._lines_lost.add(Line(name, "") if line is ROOT else Line(line.manager, name))
        elif line is ROOT or not name.startswith("."):
            self._lost.setdefault(line, set()).add(name)

    def _directory_lost(self, number: int, line: Line, mask: int) -> None:
        self._lines_lost.add(line)
        if mask & _MOVE_SELF:
            self._libc.inotify_rm_watch(self.file, number)
            del self._watches[number]
            self.run.close()         # what is open leads to where it was moved
        else:
            self.run.forget(*line)

    def step(self, boot: float) -> bool:
        """Mark what is lost, once it is quiet; True where something has to be published again."""
        if self.due is None or boot < self.due:
            return False
        moved = _identity(self.run.path) != self._root
        self.root_lost = moved or self._furniture_lost()
        if moved:
            self._lines_lost.add(ROOT)
        with self.store.write():
            keys = self._mark()
        self.due = None
        self._lost.clear()
        self._lines_lost.clear()
        self._unpublish(keys)
        if keys:
            self.say(f"{len(keys)} PID-files were taken away by others: they are published again")
        return bool(keys)

    def _furniture_lost(self) -> bool:
        return Line(_TOOLS, "") in self._lines_lost or FINISH_SOCKET in self._lost.get(ROOT, ())

    def _mark(self) -> list[int]:
        if ROOT in self._lines_lost:
            return republish.all_lost(self.store)
        keys = []
        for line in self._lines_lost:
            keys += republish.line_lost(self.store, line) if line.queue else (
                republish.manager_lost(self.store, line.manager)
            )
        for line, names in self._lost.items():
            if line is not ROOT and line not in self._lines_lost:
                keys += republish.line_lost(self.store, line) if len(names) > _NAMES_AT_ONCE else (
                    republish.names_lost(self.store, line, names)
                )
        return keys

    def _unpublish(self, keys: list[int]) -> None:
        for key in keys:
            running = self.table.by_key.get(key)
            if running is not None:
                running.published = running.finished = False


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
