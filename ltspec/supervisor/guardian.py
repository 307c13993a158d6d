"""The guardian: the tiny parent of the supervisor (DESIGN 5).

It holds the lock and the listening sockets, so that there is one supervisor and no command ever
finds the door closed while it is restarted. As a child subreaper it inherits the tasks of a dead
supervisor, and keeps their zombies (their exit codes) until the new one says that an end is
committed. It restarts a supervisor that died, with a brake, and leaves when that one leaves.

    supervisor exits 0        nothing to do: leave
    supervisor dies           start another one, at once the first time, then more and more slowly
    SIGTERM, SIGINT           end the supervisor, leave; tasks run on
    SIGHUP                    end the supervisor, exec this program anew (an upgrade), go on
    guardian killed           the supervisor execs itself into this program, with the same sockets

It must not import anything large and must never wait for anything but its events.
"""

import argparse
import fcntl
import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

PR_SET_CHILD_SUBREAPER = 36
LOCK_SECONDS = 10
BRAKE = (0.0, 0.1, 0.5, 2.0, 5.0, 15.0, 30.0)    # seconds before each restart in a row
STABLE_SECONDS = 60.0
START_FAILED = 5
BACKLOG = 512


class CannotGuard(Exception):
    """Why this guardian cannot do its work."""


class Guardian:
    """One guardian; `run` is its whole life."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.lock = arguments.lock_fd
        self.listening = arguments.listen_fd
        self.finishing = arguments.finish_fd
        self.supervisor = 0
        self.control: socket.socket | None = None
        self.buffer = b""
        self.keep: set[int] = set()      # orphans whose end is not committed yet
        self.adopted = False             # the supervisor has told which orphans it watches
        self.deaths = 0
        self.started_at = 0.0
        self.wanted = ""                 # "leave" or "reload" once a signal asked for it

    def run(self) -> int:
        """Guard until there is nothing to guard; returns the exit code."""
        become_subreaper()
        _write_pid(self.lock)
        wakeup = self._catch_signals()
        code = self._start_supervisor(first=True)
        poller = select.poll()
        poller.register(wakeup, select.POLLIN)
        while code is None:
            timeout = self._restart_in()
            watched = [self.control] if self.control else []
            for sock in watched:
                poller.register(sock, select.POLLIN)
            poller.poll(None if timeout is None else timeout * 1000)
            _drain(wakeup)
            for sock in watched:
                poller.unregister(sock)
            self._listen_to_supervisor()
            code = self._look_after_children()
        return self._leave(code)

    # -- signals ----------------------------------------------------------------------------

    def _catch_signals(self) -> int:
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, lambda *_: self._want("reload"))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._want("leave"))
        return reading

    def _want(self, what: str) -> None:
        self.wanted = what
        if self.supervisor:
            os.kill(self.supervisor, signal.SIGTERM)

    # -- the supervisor ---------------------------------------------------------------------

    def _start_supervisor(self, *, first: bool = False) -> int | None:
        """Start one; None, or the exit code with which to give up."""
        ours, theirs = socket.socketpair()
        arguments = self.arguments
        argv = [
            sys.executable, "-I", *_program(arguments.supervisor),
            "--state-dir", arguments.state_dir, "--run-dir", arguments.run_dir,
            "--lock-fd", str(self.lock), "--listen-fd", str(self.listening),
            "--control-fd", str(theirs.fileno()), "--dies-with", arguments.dies_with,
        ]
        if arguments.supervisor is not None:
            argv += ["--supervisor", arguments.supervisor]
        passed = [self.lock, self.listening, theirs.fileno()]
        if self.finishing is not None:
            argv += ["--finish-fd", str(self.finishing)]
            passed.append(self.finishing)
        if arguments.idle_exit is not None:
            argv += ["--idle-exit", str(arguments.idle_exit)]
        if first and arguments.ready_fd is not None:
            argv += ["--ready-fd", str(arguments.ready_fd)]
            passed.append(arguments.ready_fd)
        for number in passed:
            os.set_inheritable(number, True)
        try:
            self.supervisor = os.posix_spawn(
                argv[0], argv, dict(os.environ), setsigmask=(), setsigdef=(signal.SIGHUP,)
            )
        except OSError as error:
            say(f"cannot start a supervisor: {error}")
            self.supervisor = 0
            self.deaths += 1
        finally:
            for number in passed:
                os.set_inheritable(number, False)
            theirs.close()
        if first and arguments.ready_fd is not None:
            os.close(arguments.ready_fd)
            arguments.ready_fd = None
        self.control = ours
        ours.setblocking(False)
        self.buffer = b""
        self.keep.clear()                # the new one tells anew which orphans it watches
        self.adopted = False
        self.started_at = time.monotonic()
        return None

    def _restart_in(self) -> float | None:
        if self.supervisor:
            return None
        brake = BRAKE[min(self.deaths, len(BRAKE)) - 1] if self.deaths else 0.0
        return max(0.0, self.started_at + brake - time.monotonic())

    def _listen_to_supervisor(self) -> None:
        if self.control is None:
            return
        try:
            data = self.control.recv(65536)
        except (BlockingIOError, ConnectionResetError):
            return
        self.buffer += data
        while b"\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\n")
            word, *pids = line.decode().split()
            if word == "keep":
                self.keep.update(map(int, pids))
            elif word == "reap":
                self.keep.difference_update(map(int, pids))
            elif word == "ready":
                self.adopted = True

    def _look_after_children(self) -> int | None:
        """Reap what is free to go; a dead supervisor is followed by another one."""
        ended = self._supervisor_end()
        if ended is None and self.supervisor:
            if self.adopted:
                self._reap_strays()
            return None
        if ended is not None:
            code = self._after(ended)
            if code is not None:
                return code
        elif self.wanted:                # told while it waited to start the next one
            if self.wanted == "leave":
                return 0
            self._exec_anew()
        if self._restart_in() == 0.0:
            return self._start_supervisor()
        return None

    def _supervisor_end(self) -> int | None:
        """The supervisor's exit code (negative: the signal), reaped; None while it runs."""
        if not self.supervisor:
            return None
        pid, status = os.waitpid(self.supervisor, os.WNOHANG)
        if not pid:
            return None
        self._listen_to_supervisor()     # what it said last still counts
        self.supervisor = 0
        if self.control is not None:
            self.control.close()
            self.control = None
        return os.waitstatus_to_exitcode(status)

    def _after(self, ended: int) -> int | None:
        if self.wanted == "reload":
            self._exec_anew()
        if self.wanted == "leave" or ended == 0:
            return 0
        lived = time.monotonic() - self.started_at
        never_worked = not self.adopted and self.deaths == 0 and lived < STABLE_SECONDS
        if ended == START_FAILED and never_worked and not self._has_children():
            return START_FAILED
        self.deaths = 1 if lived > STABLE_SECONDS else self.deaths + 1
        how = f"signal {-ended}" if ended < 0 else f"exit code {ended}"
        brake = BRAKE[min(self.deaths, len(BRAKE)) - 1]
        say(f"the supervisor ended with {how}; the next one starts in {brake:g} s")
        self.started_at = time.monotonic()
        return None

    def _has_children(self) -> bool:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def _reap_strays(self) -> None:
        """Free the zombies of orphans that nobody waits for. When a supervisor dies, its children
        come here in the same moment as its own zombie, so it is looked at again after each one."""
        for pid in _zombie_children():
            if pid in self.keep or pid == self.supervisor:
                continue
            state = os.waitid(os.P_PID, self.supervisor, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if state is not None:
                return
            os.waitpid(pid, os.WNOHANG)

    # -- the end ----------------------------------------------------------------------------

    def _exec_anew(self) -> None:
        say("reload: starting anew")
        exec_guardian(self.arguments)

    def _leave(self, code: int) -> int:
        """Close the door: who is still before it gets an end of file and starts another one."""
        if not _is_at(self.lock, self.arguments.state_dir + "/supervisor.lock"):
            return code      # the directory was replaced; what is there now is another one's
        for path in (
            self.arguments.state_dir + "/supervisor.sock", self.arguments.run_dir + "/.finish.sock"
        ):
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue
        return code


def exec_guardian(arguments: argparse.Namespace) -> NoReturn:
    """Exec this program with the lock and the sockets that are open already."""
    argv = [sys.executable, "-I", "-m", "ltspec.supervisor.guardian"]
    for name in ("state_dir", "run_dir", "lock_fd", "listen_fd", "finish_fd", "idle_exit",
                 "dies_with", "supervisor"):
        value = getattr(arguments, name)
        if value is None:
            continue
        argv += ["--" + name.replace("_", "-"), str(value)]
        if name.endswith("_fd"):
            os.set_inheritable(value, True)
    os.execv(sys.executable, argv)


def _program(supervisor: str | None) -> list[str]:
    """The supervisor's program; the fault tests give a file of their own."""
    return [supervisor] if supervisor else ["-m", "ltspec.supervisor.main"]


def _zombie_children() -> list[int]:
    """Pids of zombies among our children; the children's list is the kernel's (proc(5))."""
    found = []
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        children = file.read().split()
    for pid in children:
        try:
            state = os.waitid(os.P_PID, int(pid), os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            continue
        if state is not None:
            found.append(int(pid))
    return found


def _write_pid(lock: int) -> None:
    """For people and `doctor`; flock is the lock."""
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return  # the disk is full


def _drain(reading: int) -> None:
    try:
        os.read(reading, 4096)
    except BlockingIOError:
        return


def become_subreaper() -> None:
    """Inherit the orphans of what we start (prctl(2)); the flag survives exec."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        say("this kernel gives no child subreaper: exit codes of orphans may be lost")


def say(text: str) -> None:
    """One line in supervisor.log (descriptor 2)."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    try:
        os.write(2, f"{stamp} guardian {os.getpid()}: {text}\n".encode(errors="replace"))
    except OSError:
        return  # the disk with the log is full: guarding goes on, nobody can be told


# -- becoming the guardian ------------------------------------------------------------------


def _take_lock(path: str) -> int:
    """The lock that guardian and supervisor share; waits for one that is just leaving."""
    deadline = time.monotonic() + LOCK_SECONDS
    signal.signal(signal.SIGALRM, _too_late)
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        signal.setitimer(signal.ITIMER_REAL, max(0.01, deadline - time.monotonic()))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except TimeoutError:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip()
            os.close(lock)
            message = (
                f"another supervisor (pid {holder or 'unknown'}) holds {path} and does not answer\n"
                "see `ltspec doctor`"
            )
            raise CannotGuard(message) from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if _is_at(lock, path):           # else it was deleted while we waited for it
            return lock
        os.close(lock)


def _too_late(*_: object) -> None:
    raise TimeoutError


def _is_at(file: int, path: str) -> bool:
    try:
        there, here = os.stat(path), os.fstat(file)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def listen(path: str, mode: int) -> int:
    """A listening socket at `path`, reached through its directory's descriptor (107 bytes)."""
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    name = os.path.basename(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
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


def _set_up(arguments: argparse.Namespace) -> None:
    """Take the lock and open the doors, where they were not handed down by an exec."""
    if arguments.lock_fd is not None:
        return
    from ltspec.errors import LtspecError
    from ltspec.paths import make_private

    try:
        make_private(arguments.state_dir)
        make_private(arguments.run_dir, 0o711)
        arguments.lock_fd = _take_lock(arguments.state_dir + "/supervisor.lock")
        arguments.listen_fd = listen(arguments.state_dir + "/supervisor.sock", 0o600)
        arguments.finish_fd = listen(arguments.run_dir + "/.finish.sock", 0o666)
    except LtspecError as error:
        raise CannotGuard(str(error)) from error
    except OSError as error:
        raise CannotGuard(f"cannot set up {arguments.state_dir}: {error}") from error


def _detach() -> None:
    """Leave the caller's session: the second fork makes sure that no terminal is ever acquired."""
    if os.fork():
        os._exit(0)
    os.setsid()


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ltspec-guardian")
    for name in ("--state-dir", "--run-dir"):
        parser.add_argument(name, required=True)
    for name in ("--lock-fd", "--listen-fd", "--finish-fd", "--ready-fd", "--start-lock-fd"):
        parser.add_argument(name, type=int)
    parser.add_argument("--idle-exit", type=float)
    parser.add_argument("--dies-with", default="")
    parser.add_argument("--supervisor")
    parser.add_argument("--detach", action="store_true")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Become the guardian of a state directory; returns when its supervisor has left."""
    arguments = _parse(argv)
    os.umask(0o077)
    if arguments.detach:
        _detach()
    os.chdir("/")
    try:
        _set_up(arguments)
    except CannotGuard as error:
        if arguments.ready_fd is not None:
            os.write(arguments.ready_fd, str(error).encode())
        say(str(error))
        return START_FAILED
    if arguments.start_lock_fd is not None:
        os.close(arguments.start_lock_fd)   # the door is open: others need not wait any more
    return Guardian(arguments).run()


if __name__ == "__main__":
    sys.exit(main())
