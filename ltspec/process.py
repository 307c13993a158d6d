"""Processes: starting one, knowing it again, reading its end, signalling what it left.

Owns every call that spawns, signals or waits. An attempt's process is identified by boot id, pid
and start time (field 22 of /proc/PID/stat); a pid alone is never trusted (DESIGN 5).
"""

import errno
import fcntl
import os
import signal
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from ltspec.states import Seen

_PIDFD_GET_INFO = (3 << 30) | (64 << 16) | (0xFF << 8) | 11  # <linux/pidfd.h>, Linux 6.13
_PIDFD_INFO_EXIT = 1 << 3                                     # Linux 6.15
_RESET = [number for number in range(1, signal.NSIG) if number not in (9, 19, 32, 33)]
FREE_FROM = 64      # a spec may name the descriptors below it
TRANSIENT = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT,
     errno.EROFS, errno.EIO}
)


BUSY = 75    # a helper's exit code: another one of its kind is still at it (EX_TEMPFAIL)
# In a child that is another user already: that user's limits, and what the whole host lacks.
_PASSING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.ENFILE})
_PASSES = b"\0"     # before the words
# The same for files of ltspec's own: who took a right to them away can give it back.
WAITED_FOR = TRANSIENT | {errno.EACCES, errno.EPERM}


class CannotStart(Exception):
    """The program cannot be started; the message is for the PID-file."""


class StartFailure(NamedTuple):
    """Why a forked child never came to its exec. `passes`: it may, a little later."""

    words: str
    passes: bool


class Launch(NamedTuple):
    """What a process is started with. Descriptors are the caller's to close afterwards."""

    program: str                       # an absolute path, or relative to cwd
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    umask: int
    stdin: int
    log: int
    parameters: int
    lock: int | None


class Identity(NamedTuple):
    """A process, so that it can be known again after its pid was given to another one."""

    pid: int
    start_ticks: int


@contextmanager
def only_one(path: str) -> Iterator[bool]:
    """Holds a lock file; the value is False where another process holds it. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(file)


def spawn(launch: Launch) -> int:
    """Start as the caller's own user in a session of its own; returns the pid.

    posix_spawn (no copy of the caller's memory). The working directory and the umask are the
    caller's for the moment of the call: it is single-threaded. Raises OSError as execve does.
    """
    dup = os.POSIX_SPAWN_DUP2
    actions = [
        (dup, launch.stdin, 0),
        (dup, launch.log, 1),
        (dup, launch.log, 2),
        (dup, launch.parameters, 3),
    ]
    if launch.lock is not None:
        os.set_inheritable(launch.lock, True)
    try:
        os.chdir(launch.cwd)
        os.umask(launch.umask)
        return os.posix_spawn(
            launch.program,
            list(launch.argv),
            launch.env,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_RESET,
        )
    finally:
        os.umask(0o077)
        os.chdir("/")


def fork_and_prepare(
    keep: Sequence[tuple[int, int]],
    lock: int | None,
    prepare: Callable[[], tuple[str, Sequence[str], Mapping[str, str]]],
) -> tuple[int, int]:
    """Start a child that first runs `prepare` (users, limits, secrets) and then execs its answer.

    For what posix_spawn cannot do; it copies the caller's page tables, so only where it is needed.
    `keep` maps descriptors to their numbers in the child. Returns (pid, error descriptor): at the
    child's end the descriptor holds the reason where it never came to its exec, else nothing.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if pid == 0:
        _become(keep, lock, prepare, writing)
    os.close(writing)
    os.set_blocking(reading, False)
    return pid, reading


def _become(
    keep: Sequence[tuple[int, int]],
    lock: int | None,
    prepare: Callable[[], tuple[str, Sequence[str], Mapping[str, str]]],
    writing: int,
) -> NoReturn:
    """In the child: never returns, never runs the parent's handlers or buffers."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        # Out of the way of the numbers that the task is given.
        writing = fcntl.fcntl(writing, fcntl.F_DUPFD_CLOEXEC, FREE_FROM)
        lock = None if lock is None else fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, FREE_FROM)
        for source, number in keep:
            os.dup2(source, number)
        wanted = {number for _, number in keep} | {writing} | ({lock} - {None})
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in wanted:
                _close_quietly(int(name))
        if lock is not None:
            os.set_inheritable(lock, True)
        for number in _RESET:
            signal.signal(number, signal.SIG_DFL)
        program, argv, env = prepare()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(program, list(argv), env)
    except OSError as error:
        _tell(writing, reason(error), passes=error.errno in _PASSING)
    except (CannotStart, ValueError) as error:    # a line of an env_file, without its content
        _tell(writing, str(error))
    except BaseException as error:  # noqa: BLE001 - a forked child must end here, with its reason told
        _tell(writing, f"{type(error).__name__} before the start")
    os._exit(127)


def _tell(writing: int, problem: str, *, passes: bool = False) -> None:
    """Give the supervisor the reason; where it was killed meanwhile, the log keeps it."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    mark = _PASSES if passes else b""
    try:
        os.write(writing, mark + problem.encode(errors="replace")[:4000])
    except BrokenPipeError:
        os.write(2, f"cannot start: {problem}\n".encode(errors="replace"))


def read_failure(file: int) -> StartFailure | None:
    """What stands at the error descriptor of `fork_and_prepare`; None where its child came to its
    exec, or has yet to."""
    try:
        data = os.read(file, 8192)
    except BlockingIOError:
        return None
    words = data.removeprefix(_PASSES).decode(errors="replace")
    return StartFailure(words, data.startswith(_PASSES)) if data else None


def _close_quietly(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        return  # the descriptor of the listing itself, closed already


_WAY_OUT = {
    errno.EAGAIN: "no more processes are allowed (ulimit -u, pids.max)",
    errno.EMFILE: "too many open files (ulimit -n)",
    errno.ENFILE: "too many open files on this host (fs.file-max)",
}


def reason(error: OSError) -> str:
    """The words of an OSError, with the file where it names one; of a limit, which one it is."""
    words = _WAY_OUT.get(error.errno or 0) or error.strerror or str(error)
    return f"{error.filename}: {words}" if error.filename else words


def find_program(name: str, path: str, base: str) -> str:
    """The file that `name` means: one with `/` from `base`, else the first in the task's PATH.

    Raises CannotStart where PATH has no such executable.
    """
    if "/" in name:
        return name if name.startswith("/") else os.path.join(base, name)
    blocked = ""
    for folder in path.split(":"):
        candidate = os.path.join(folder, name)
        if not folder.startswith("/") or not os.path.isfile(candidate):
            continue
        if os.access(candidate, os.X_OK):
            return candidate
        blocked = candidate
    if blocked:
        raise CannotStart(f"{blocked} is not executable")
    raise CannotStart(f"{name}: command not found in {path}")


def start_ticks(pid: int) -> int | None:
    """The start time of a process in clock ticks since boot; None where there is no such one."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _stat(pid: int) -> list[bytes] | None:
    """Fields 3 and on of /proc/PID/stat (proc(5)): what stands behind the last `)`."""
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(file, 4096).rpartition(b")")[2].split() or None
    except ProcessLookupError:
        return None
    finally:
        os.close(file)


def adopt(identity: Identity) -> int | None:
    """A pidfd of exactly that process, running or unreaped; None where it is gone.

    First the pidfd, then the comparison: what was compared cannot change under the pidfd.
    """
    try:
        pidfd = os.pidfd_open(identity.pid)
    except (ProcessLookupError, OSError):
        return None
    if start_ticks(identity.pid) == identity.start_ticks:
        return pidfd
    os.close(pidfd)
    return None


def look(pidfd: int, pid: int) -> Seen | None:
    """How a process ended, without reaping it; None while it runs. Seen() where nobody can tell.

    For a child waitid with WNOWAIT; for another one the exit status in /proc while it is a zombie,
    then the kernel's own memory of it behind the pidfd (Linux 6.15).
    """
    try:
        found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return _look_at_stranger(pidfd, pid)
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return Seen(code=found.si_status)
    return Seen(signal=found.si_status)


def _look_at_stranger(pidfd: int, pid: int) -> Seen | None:
    if not has_ended(pidfd):
        return None
    fields = _stat(pid)
    if fields and fields[0] == b"Z" and has_ended(pidfd):
        return _from_wait_status(int(fields[49]))
    buffer = bytearray(struct.pack("QQ", _PIDFD_INFO_EXIT, 0) + bytes(48))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, buffer)
    except OSError:
        return Seen()
    mask, status = struct.unpack_from("Q", buffer)[0], struct.unpack_from("i", buffer, 60)[0]
    return _from_wait_status(status) if mask & _PIDFD_INFO_EXIT else Seen()


def _from_wait_status(status: int) -> Seen:
    if os.WIFSIGNALED(status):
        return Seen(signal=os.WTERMSIG(status))
    return Seen(code=os.WEXITSTATUS(status))


def has_ended(pidfd: int) -> bool:
    """True where the process has ended, reaped or not: its pidfd is readable (pidfd_open(2))."""
    import select

    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def reap(pidfd: int) -> bool:
    """Free the zombie of a child whose end is committed; False where it is not our child."""
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def signal_group(pid: int, number: int) -> None:
    """Signal the process group of a leader that is running or unreaped; an empty one is fine."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left in it, or only what we may not signal: the scan names those


def members(session: int, token: str) -> list[Identity]:
    """What an attempt left: living processes of its session, and those that carry its mark.

    A double fork leaves the session but keeps the environment, so both are looked at. The leader
    itself is not in the list.
    """
    mark = f"LTSPEC_TOKEN={token}\0".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (session, os.getpid()):
            continue
        fields = _stat(int(name))
        if not fields or fields[0] in (b"Z", b"X"):
            continue
        if int(fields[3]) == session or _has_mark(int(name), mark):
            found.append(Identity(int(name), int(fields[19])))
    return found


def memory_name(token: str) -> str:
    """The name of the memory with an attempt's parameters, which is its mark before its exec."""
    return f"ltspec-{token}"


def find_marked(token: str) -> Identity | None:
    """The living process of a start whose pid was not kept, whether it has come to its exec or not.

    From its first moment it holds the memory with its parameters, by whatever number; a task may
    close that, but by then its environment has the mark. Both are handed down to what it starts,
    which is in its session or, having left it, has the mark: a holder without the mark is the
    process itself before its exec.
    """
    mark = f"LTSPEC_TOKEN={token}\0".encode()
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else None
        if not fields or fields[0] in (b"Z", b"X"):
            continue
        pid = int(name)
        holds, marked = _holds_memory(pid, memory_name(token)), _has_mark(pid, mark)
        leads = int(fields[3]) == pid
        if (leads and (holds or marked)) or (holds and not marked):
            return Identity(pid, int(fields[19]))
    return None


def _holds_memory(pid: int, name: str) -> bool:
    """True where a descriptor of the process is the memory file of that name."""
    folder = f"/proc/{pid}/fd"
    for _ in range(2):          # it may move from one number to another while it is looked for
        try:
            numbers = os.listdir(folder)
        except OSError:
            return False        # gone, or not ours to see: then it is no task of ours either
        for number in numbers:
            try:
                if os.readlink(f"{folder}/{number}") == f"/memfd:{name} (deleted)":
                    return True
            except OSError:
                continue
    return False


def _has_mark(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in b"\0" + file.read()
    except OSError:
        return False  # gone, or not ours to read: then it is not ours to signal either


def signal_identity(identity: Identity, number: int) -> bool:
    """Signal exactly that process; False where it is gone or may not be signalled."""
    pidfd = adopt(identity)
    if pidfd is None:
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(pidfd)
    return True


def describe(identity: Identity) -> str:
    """A process for a person: its pid, name and state."""
    fields = _stat(identity.pid)
    try:
        with open(f"/proc/{identity.pid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        name = "?"
    state = fields[0].decode() if fields else "?"
    return f"{identity.pid} ({name}, {state})"
