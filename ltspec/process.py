"""Processes: starting one, and telling why that cannot be.

Owns every call that spawns or execs for a task. Who runs then, and how it ended, is `alive`'s.
"""

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

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
