"""One supervisor as its guardian sees it: its process, what it has said (`control`), its end."""

import _socket  # as in `door`
import os
import sys
import time

from ltspec import program
from ltspec.supervisor.orders import Orders

_SIGHUP = 1     # `signal` is half of what the guardian would load


class Child:
    """One life of a supervisor."""

    def __init__(self, pid: int, control: _socket.socket) -> None:
        self.pid = pid
        self.control = control
        self.keep: set[int] = set()      # orphans whose end is not committed yet
        self.adopted = False             # it has told which orphans it watches
        self.worked = False              # it has committed an end
        self.started_at = time.monotonic()
        self._buffer = b""

    @property
    def lived(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started_at

    def listen(self) -> None:
        """Take in what it has said."""
        try:
            data = self.control.recv(65536)
        except (BlockingIOError, ConnectionResetError):
            return
        self._buffer += data
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            word, *pids = line.decode().split()
            if word == "keep":
                self.keep.update(map(int, pids))
            elif word == "reap":
                self.keep.difference_update(map(int, pids))
            elif word == "ready":
                self.adopted = True
            elif word == "worked":
                self.worked = True

    def end(self) -> int | None:
        """Its exit code (negative: the signal), and it is reaped; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.listen()                    # what it said last still counts
        self.control.close()
        return os.waitstatus_to_exitcode(status)


def start(arguments: Orders, ready: int) -> Child:
    """Start one with the lock, the door and a control connection; `ready` is the descriptor of who
    waits for the first one, -1 where nobody does. Raises OSError."""
    ours, theirs = _socket.socketpair()
    argv = [
        *_program(arguments.supervisor),
        *arguments.words("state_dir", "run_dir", "lock_fd", "listen_fd", "idle_exit", "dies_with",
                         "supervisor"),
        "--control-fd", str(theirs.fileno()),
    ]
    passed = [arguments.lock_fd, arguments.listen_fd, theirs.fileno()]
    if ready >= 0:
        argv += ["--ready-fd", str(ready)]
        passed.append(ready)
    for number in passed:
        os.set_inheritable(number, True)
    try:
        pid = os.posix_spawn(
            argv[0], argv, dict(os.environ), setsigmask=(), setsigdef=(_SIGHUP,)
        )
    except OSError:
        ours.close()
        raise
    finally:
        for number in passed:
            os.set_inheritable(number, False)
        theirs.close()
    ours.setblocking(False)
    return Child(pid, ours)


def _program(supervisor: str) -> list[str]:
    """The supervisor's program; the fault tests give a file of their own."""
    if supervisor:
        return [sys.executable, "-I", supervisor]
    return program.words("ltspec.supervisor.main")
