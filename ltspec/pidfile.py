"""The PID-file: a task's published face, and its lock (DESIGN 3, LONGTASK C01-C08).

Owns how the file looks and every write to the run directory. Only the holder of the supervisor's
lock may call it. Each change of status is a new inode under a temporary dot-name, renamed into
place, so a reader never sees an empty or torn first line. For RUN the new inode is locked (flock
and an OFD lock, on one descriptor that the task inherits) before the rename, and only the pid is
filled into blanks kept for it. Nothing here ever follows a symbolic link inside the run directory.
"""

import fcntl
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable

_PID_BLANKS = 11  # a blank and at most ten digits
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORIES = 64
_OFD_WRITE_LOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
MARKER = ".ltspec"
FINISH_SOCKET = ".finish.sock"   # no name begins with a dot, and `rm -rf RUN/*` leaves it


class NameTaken(Exception):
    """A file that ltspec did not make stands where the PID-file would go."""


def content(status: str, detail: str, parameters: Iterable[str]) -> bytes:
    """The file: the status line, then one start parameter a line, `\\` and newline escaped."""
    line = f"{status} {_one_line(detail)}" if detail else status
    return os.fsencode("\n".join([line, *map(escape, parameters)]) + "\n")


def escape(parameter: str) -> str:
    """One parameter as one line: `\\\\` for a backslash, `\\n` for a newline."""
    return parameter.replace("\\", "\\\\").replace("\n", "\\n")


def unescape(line: str) -> str:
    """The inverse of `escape`."""
    parts = line.split("\\\\")
    return "\\".join(part.replace("\\n", "\n") for part in parts)


def _one_line(detail: str) -> str:
    return " ".join(detail.split()) if "\n" in detail or "\r" in detail else detail


def parameters_content(parameters: Iterable[str]) -> bytes:
    """What a task reads on descriptor 3: the PID-file's lines after the first (C05)."""
    return b"".join(os.fsencode(escape(parameter)) + b"\n" for parameter in parameters)


class RunDirectory:
    """RUN_DIR/MANAGER/QUEUE/NAME. `shared` is True where the directory is somebody else's too (a
    panel's): a name that is taken there is then never overwritten on the first publication."""

    def __init__(self, path: str, *, shared: bool) -> None:
        self.path = path
        self.shared = shared
        self._open: OrderedDict[tuple[str, str], int] = OrderedDict()
        # Called with (manager, queue, descriptor) for each directory that comes into use.
        self.opened: Callable[[str, str, int], None] | None = None

    def publish(
        self,
        manager: str,
        queue: str,
        name: str,
        data: bytes,
        *,
        owner: tuple[int, int] | None = None,
        first: bool = False,
        locked: bool = False,
    ) -> int | None:
        """Put `data` in place atomically. With `locked`, returns the locked descriptor, which the
        caller closes; the lock lasts until every copy is closed or somebody unlocks it.

        Raises NameTaken (only with `first` in a shared directory), OSError.
        """
        directory, file = self._stage(manager, queue, name, data, owner, locked=locked)
        try:
            self._place(directory, name, first=first)
        except BaseException:
            self.unstage(manager, queue, name, file)
            raise
        if locked:
            return file
        os.close(file)
        return None

    def stage(
        self,
        manager: str,
        queue: str,
        name: str,
        data: bytes,
        *,
        owner: tuple[int, int] | None = None,
        locked: bool = False,
    ) -> int:
        """Write the new inode under its temporary name; `place` or `unstage` it afterwards."""
        return self._stage(manager, queue, name, data, owner, locked=locked)[1]

    def _stage(
        self, manager: str, queue: str, name: str, data: bytes, owner: tuple[int, int] | None,
        *, locked: bool,
    ) -> tuple[int, int]:
        directory, file = self._create(manager, queue, f".{name}.new")
        try:
            write_all(file, data)
            if owner is not None:
                os.fchown(file, *owner)
            if locked:
                take_lock(file)
        except BaseException as error:
            if isinstance(error, OSError) and error.filename is None:
                error.filename = f"{self.path}/{manager}/{queue}/{name}"
            os.close(file)
            _unlink(directory, f".{name}.new")
            raise
        return directory, file

    def place(self, manager: str, queue: str, name: str, *, first: bool = False) -> None:
        """Rename the staged inode into place. FileNotFoundError: somebody removed it."""
        self._place(self._directory(manager, queue), name, first=first)

    def _place(self, directory: int, name: str, *, first: bool) -> None:
        if first and self.shared:
            self._link(directory, f".{name}.new", name)
        else:
            _replace(directory, f".{name}.new", name)

    def unstage(self, manager: str, queue: str, name: str, file: int) -> None:
        """Give a staged inode up."""
        os.close(file)
        _unlink(self._directory(manager, queue), f".{name}.new")

    def _create(self, manager: str, queue: str, temporary: str) -> tuple[int, int]:
        """A new file in the task's directory, which is made again where somebody removed it."""
        for _ in range(3):
            directory = self._directory(manager, queue)
            try:
                return directory, os.open(temporary, _CREATE, 0o600, dir_fd=directory)
            except FileExistsError:
                _unlink(directory, temporary)  # left behind by a supervisor that was killed
            except FileNotFoundError:
                self._forget(manager, queue)   # the directory was removed under us
        raise FileNotFoundError(f"{self.path}/{manager}/{queue} is removed again and again")

    def _link(self, directory: int, temporary: str, name: str) -> None:
        try:
            os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except FileExistsError as error:
            if not self._is_same(directory, temporary, name):
                raise NameTaken(name) from error
            _replace(directory, temporary, name)
            return
        _unlink(directory, temporary)

    def _is_same(self, directory: int, temporary: str, name: str) -> bool:
        """True where a killed supervisor had already published exactly this."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            there = os.open(name, flags, dir_fd=directory)
        except OSError:
            return False
        ours = os.open(temporary, flags, dir_fd=directory)
        try:
            return os.fstat(there).st_uid == os.fstat(ours).st_uid and os.read(
                there, 1 << 20
            ) == os.read(ours, 1 << 20)
        finally:
            os.close(there)
            os.close(ours)

    def has(self, manager: str, queue: str, name: str) -> bool:
        """True where something stands in the PID-file's place."""
        try:
            os.stat(name, dir_fd=self._living(manager, queue), follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def remove(self, manager: str, queue: str, name: str) -> None:
        """Take a PID-file away; one that is gone already is fine."""
        directory = self._living(manager, queue)
        _unlink(directory, f".{name}.new")   # left behind by a supervisor that was killed
        try:
            _unlink(directory, name)
        except IsADirectoryError:
            return  # somebody put a directory there; it is not ours to empty

    def close(self) -> None:
        """Close the directories that are kept open."""
        while self._open:
            os.close(self._open.popitem()[1])

    def directory(self, manager: str, queue: str) -> int:
        """The open directory of a line; it stays ours to close."""
        return self._living(manager, queue)

    def forget(self, manager: str, queue: str) -> None:
        """The directory was removed: open it anew at its next use."""
        self._forget(manager, queue)

    def _forget(self, manager: str, queue: str) -> None:
        for place in ((manager, queue), (manager, "")):
            if place in self._open:
                os.close(self._open.pop(place))

    def _living(self, manager: str, queue: str) -> int:
        """The open directory; where somebody has removed the one that was open, a new one."""
        kept = self._open.get((manager, queue))
        if kept is not None and not os.fstat(kept).st_nlink:
            self._forget(manager, queue)
        return self._directory(manager, queue)

    def _directory(self, manager: str, queue: str) -> int:
        """The open directory. To make or rename something in a removed one is FileNotFoundError,
        so that nobody has to ask first.

        On Linux 6.13 that would cost more than the call: who asks for a time makes the kernel give
        the next change, of any file, a time of its own, and a file system without a journal then
        writes the inode at each fdatasync(2).
        """
        place = (manager, queue)
        kept = self._open.get(place)
        if kept is not None:
            self._open.move_to_end(place)
            return kept
        if queue:
            found = _enter(self._living(manager, ""), queue)
        else:
            os.makedirs(self.path, mode=0o711, exist_ok=True)
            found = own_directory(self.path, manager)
        self._open[place] = found
        if self.opened is not None:
            self.opened(manager, queue, found)
        if len(self._open) > _OPEN_DIRECTORIES:
            os.close(self._open.popitem(last=False)[1])
        return found


def write_all(file: int, data: bytes) -> None:
    """Write all of it: on a disk that fills up write(2) takes a part first, and only then fails."""
    while data:
        data = data[os.write(file, data) :]


def own_directory(run_dir: str, name: str) -> int:
    """Open RUN_DIR/NAME (`.bin`, `.scripts`) as a PID-file's directory is opened: a symbolic link
    in its place is replaced, never followed. The caller closes it."""
    root = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _enter(root, name)
    finally:
        os.close(root)


def _enter(parent: int, name: str) -> int:
    """Open the directory `name`, making it where it is missing and replacing a symbolic link."""
    for _ in range(3):
        try:
            return os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            try:
                os.mkdir(name, 0o711, dir_fd=parent)
                os.chmod(name, 0o711, dir_fd=parent)  # noqa: S103 - others read PID-files by name
            except FileExistsError:
                continue
        except OSError:
            if not _is_link(parent, name):
                raise
            os.unlink(name, dir_fd=parent)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _is_link(parent: int, name: str) -> bool:
    import stat

    return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _replace(directory: int, temporary: str, name: str) -> None:
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)


def _unlink(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return


def running_content(parameters: Iterable[str], pid: int | None = None) -> bytes:
    """The RUN form, with blanks where `fill_pid` will put the pid, or with the pid."""
    word = "RUN" if pid is None else f"RUN {pid}"
    return content(word.ljust(3 + _PID_BLANKS), "", parameters)


def fill_pid(file: int, pid: int) -> None:
    """Write the pid into its blanks on the first line (`file` is what `publish` returned)."""
    os.pwrite(file, f" {pid}".encode(), 3)


def take_lock(file: int) -> None:
    """Lock for flock's and for fcntl's users alike (C08); BlockingIOError where it is locked."""
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _OFD_WRITE_LOCK)


def is_shared(run_dir: str) -> bool:
    """True where the run directory was not made by ltspec: it has no marker and holds something.

    An empty or missing one is made ours by this call.
    """
    marker = os.path.join(run_dir, MARKER)
    if os.path.lexists(marker):
        return False
    if os.path.isdir(run_dir) and not set(os.listdir(run_dir)) <= {FINISH_SOCKET}:
        return True
    os.makedirs(run_dir, mode=0o711, exist_ok=True)
    os.close(os.open(marker, _CREATE, 0o600))
    return False
