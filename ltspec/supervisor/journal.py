"""The journal of starts: written ahead of each start, so that the catalogue may follow it.

A small file of the state directory, of one size for good, synced before a process exists. The
commit that makes a task RUN then need not be synced and is done while the process runs already: a
start costs one sync of 256 bytes. It is needed after a kill or a power cut only, and holds what the
catalogue on the disk may not have: a slot for each start since the two were last brought together
(`Journal.restart`). Four writes tell how far a start came:

    about      synced; of this boot: it has certainly not begun, of another: it may have
    begun      its process may exist
    PID TICKS  this is its process
    (blank)    it could not be done, or was taken back

The header names the boot, and the catalogue's state from which the slots count (the setting
`journal`): one that belongs to a catalogue of another day is not taken for this one's. Each slot
names the state too; those of an older one are what was there before.

It lies in a directory of its own because of ext4 without a journal, on which fdatasync(2) also
writes the block of the inode table, and thus whatever has changed in the fifteen inodes beside: the
catalogue's -wal and the log that was just made would be written before each start.
"""

import contextlib
import os
from typing import NamedTuple

from ltspec.alive import Identity
from ltspec.catalogue.lifecycle import Start
from ltspec.paths import Places, spread

SETTING = "journal"
_SLOT = 256                # bytes, blank-filled, with a newline; divides a sector of the disk
SLOTS = 1023               # beside the header: 256 KiB; more than a host starts in a second
_SIZE = _SLOT * (SLOTS + 1)
_PAGE = 4096


class Entry(NamedTuple):
    """A slot: the start, with its process where it is known, and whether it may have begun."""

    start: Start
    begun: bool


class Contents(NamedTuple):
    """What stands in the file: which catalogue's state, which boot, and the starts."""

    state: str
    boot_id: str
    entries: list[Entry]


class Journal:
    """The writing end. Its methods raise OSError."""

    def __init__(self, places: Places, boot_id: str) -> None:
        self._boot_id = boot_id
        _make_place(places)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(places.journal, flags, 0o600)
        self._state = ""
        self._slots: dict[tuple[int, int], int] = {}     # by the task's key and the attempt
        self._named: set[int] = set()
        self._used = SLOTS                   # until it is begun
        self._words = ""                     # of the slot that is written now

    def _fill(self) -> None:
        """Make it as large as it will ever be, on the disk: from here on only its content changes.

        By pages: the kernel keeps together what is written at once, and counts all of it as
        written again at each change.
        """
        os.ftruncate(self._file, 0)
        data = _line("-") + _line("") * SLOTS
        for offset in range(0, _SIZE, _PAGE):
            os.pwrite(self._file, data[offset : offset + _PAGE], offset)
        os.fsync(self._file)

    @property
    def is_full(self) -> bool:
        """There may be no room for a turn before the next `restart`: one start that is announced,
        and another one that it is."""
        return self._used > SLOTS - 2

    def names(self, key: int) -> bool:
        """True where a slot speaks of this task: its row must not go, the key may come again."""
        return key in self._named

    def restart(self, state: str) -> None:
        """Begin anew: the catalogue has been synced and calls its state `state`; what stands in the
        slots is of another one.

        Where that cannot be written it is full: a start in it would be of a state that is over.
        """
        self._used = SLOTS
        if os.fstat(self._file).st_size != _SIZE:        # new, or of a version with another size
            self._fill()
        os.pwrite(self._file, _line(f"{state} {self._boot_id}"), 0)
        self._state = state
        self._slots.clear()
        self._named.clear()
        self._used = 0

    def about(self, start: Start) -> None:
        """It is going to be started; `sync` follows, with whatever can be done between the two."""
        self._used += 1
        self._slots[start.key, start.number] = self._used
        self._named.add(start.key)
        self._words = f"{self._state} {start.token} {start.key} {start.number} {start.wall!r} " \
                      f"{start.boot!r} {start.hash or '-'} "
        self._write("about")
        # Has the kernel begin to write it out; nothing is dropped that is not on the disk. Not the
        # whole file: a page that is dropped would be read again at the next start.
        page = self._used * _SLOT & -_PAGE
        os.posix_fadvise(self._file, page, _PAGE, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Return when the disk has what `about` was told."""
        os.fdatasync(self._file)

    def begun(self) -> None:
        """It is started now."""
        self._write("begun")

    def started(self, pid: int, ticks: int) -> None:
        """It was, and this is its process."""
        self._write(f"{pid} {ticks}")

    def void(self, key: int, number: int) -> None:
        """This attempt came to nothing, or was taken back."""
        slot = self._slots.pop((key, number), None)
        if slot is not None:
            os.pwrite(self._file, _line(""), slot * _SLOT)

    def _write(self, state: str) -> None:
        if not self._used:
            raise RuntimeError("no start was announced since the journal began anew")
        os.pwrite(self._file, _line(self._words + state), self._used * _SLOT)


def _make_place(places: Places) -> None:
    directory = os.path.dirname(places.journal)
    if not os.path.isdir(directory):
        with contextlib.suppress(OSError):       # of use on ext4 only, and never needed
            spread(places.state_dir)
        os.mkdir(directory, 0o700)


def _line(text: str) -> bytes:
    return (text.ljust(_SLOT - 1) + "\n").encode()


def read(places: Places) -> Contents | None:
    """What stands in it; None where there is none, or none that was ever begun."""
    try:
        with open(places.journal, encoding="ascii", errors="replace") as file:
            header, *lines = file.read().splitlines() or [""]
    except FileNotFoundError:
        return None
    words = header.split()
    if len(words) != 2:
        return None
    state, boot_id = words
    entries = [
        entry for line in lines
        if line.startswith(state + " ") and (entry := _entry(line.split()[1:], boot_id))
    ]
    return Contents(state, boot_id, entries)


def _entry(words: list[str], boot_id: str) -> Entry | None:
    if len(words) < 7:
        return None
    token, key, number, wall, boot, digest, *rest = words
    try:
        who = Identity(int(rest[0]), int(rest[1])) if len(rest) == 2 else None
        start = Start(
            int(key), int(number), token, boot_id, float(wall), float(boot),
            "" if digest == "-" else digest,
            who.pid if who else None, who.start_ticks if who else None,
        )
    except ValueError:
        return None      # not a slot of ours: somebody else has written into the file
    return Entry(start, begun=rest != ["about"])
