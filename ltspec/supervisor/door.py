"""Who may supervise, and where it is reached: the lock and the listening socket (DESIGN 5).

The guardian takes them once and hands them down; they outlive every single supervisor, so there is
never a second one, and no command finds the door closed while one is restarted.
"""

import _socket  # the C module: `socket` is a fifth of the guardian's start
import fcntl
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    import _signal as signal  # as in `guardian`

LOCK_SECONDS = 10
LEAVING_SECONDS = 0.5
BACKLOG = 512


class CannotGuard(Exception):
    """Why this guardian cannot do its work."""


def lock_path(state_dir: str) -> str:
    """The file whose flock makes its holder the one supervisor; it holds the guardian's pid."""
    return state_dir + "/supervisor.lock"


def take_lock(path: str, waiting: "Callable[[str], None] | None" = None) -> int:
    """The lock that guardian and supervisor share; waits for one that is just leaving.

    Raises CannotGuard after LOCK_SECONDS. With `waiting`, which is told who has it, it waits as
    long as that one stays, and hands on to it what SIGHUP asks for.
    """
    deadline = time.monotonic() + (LOCK_SECONDS if waiting is None else LEAVING_SECONDS)
    signal.signal(signal.SIGALRM, _too_late)
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        signal.setitimer(signal.ITIMER_REAL, max(0.01, deadline - time.monotonic()))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except TimeoutError:
            if waiting is None:
                holder = _holder(lock)
                os.close(lock)
                message = (
                    f"another supervisor (pid {holder}) holds {path} and does not answer\n"
                    "see `ltspec doctor`"
                )
                raise CannotGuard(message) from None
            waiting(_holder(lock))
            _wait_for(lock)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if is_at(lock, path):            # else it was deleted while we waited for it
            return lock
        os.close(lock)


def _too_late(*_: object) -> None:
    raise TimeoutError


def _holder(lock: int) -> str:
    return os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"


def _wait_for(lock: int) -> None:
    """As long as it takes. A reload that is asked for meanwhile means the one that supervises."""

    def hand_on(*_: object) -> None:
        try:
            os.kill(int(_holder(lock)), signal.SIGHUP)
        except (ValueError, ProcessLookupError):
            return  # it is just leaving

    signal.signal(signal.SIGHUP, hand_on)
    fcntl.flock(lock, fcntl.LOCK_EX)


def write_pid(lock: int) -> None:
    """For people and `doctor`; flock is the lock."""
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return  # the disk is full


def is_at(file: int, path: str) -> bool:
    """True where the open file is the one that stands at `path`."""
    try:
        there, here = os.stat(path), os.fstat(file)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def listen(path: str, mode: int) -> int:
    """A listening socket at `path`, reached through its directory's descriptor (107 bytes)."""
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    name = os.path.basename(path)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        try:  # noqa: SIM105 - contextlib is an import that the guardian spares itself
            os.unlink(name, dir_fd=directory)    # the lock is ours, so nobody listens there
        except FileNotFoundError:
            pass
        before = os.umask(0o777 & ~mode)
        try:
            sock.bind(f"/proc/self/fd/{directory}/{name}")
        finally:
            os.umask(before)
        sock.listen(BACKLOG)
        return sock.detach()
    finally:
        os.close(directory)


def socket_path(state_dir: str) -> str:
    """Where commands reach the supervisor."""
    return state_dir + "/supervisor.sock"


def is_socket(path: str) -> bool:
    """True where a socket stands at `path`, whoever listens to it."""
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def renewed(listening: int, state_dir: str) -> int:
    """The listening descriptor; a new one where its path was taken away. Raises OSError."""
    if is_socket(socket_path(state_dir)):
        return listening
    new = listen(socket_path(state_dir), 0o600)
    os.close(listening)
    return new


def open_doors(
    state_dir: str, run_dir: str, waiting: "Callable[[str], None] | None"
) -> tuple[int, int]:
    """Take the lock and open the door: (lock, supervisor.sock).

    `waiting` as in `take_lock`. Raises CannotGuard with the reason.
    """
    from ltspec.errors import LtspecError
    from ltspec.paths import make_private

    try:
        make_private(state_dir)
        make_private(run_dir, 0o711)
        lock = take_lock(lock_path(state_dir), waiting)
        return lock, listen(socket_path(state_dir), 0o600)
    except LtspecError as error:
        raise CannotGuard(str(error)) from error
    except OSError as error:
        raise CannotGuard(f"cannot set up {state_dir}: {error}") from error


def close_doors(lock: int, state_dir: str, run_dir: str) -> None:
    """Take the sockets away: who is still before them gets an end of file and starts another
    supervisor. Nothing is touched where the directory was replaced: what is there now is not ours.
    """
    if not is_at(lock, lock_path(state_dir)):
        return
    for path in (socket_path(state_dir), run_dir + "/.finish.sock"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
