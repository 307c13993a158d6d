"""The guardian: the tiny parent of the supervisor (DESIGN 5).

It holds the lock and the listening sockets, so that there is one supervisor and no command ever
finds the door closed while it is restarted. As a child subreaper it inherits the tasks of a dead
supervisor, and keeps their zombies (their exit codes) until the new one says that an end is
committed. It restarts a supervisor that died, with a brake, and leaves when that one leaves.

    supervisor exits 0        nothing to do: leave
    supervisor dies           start another one: at once, or later and later (`brake`)
    SIGTERM, SIGINT           end the supervisor, leave; tasks run on
    SIGHUP                    end the supervisor, exec this program anew (an upgrade), go on
    guardian killed           the supervisor execs itself into this program, with the same sockets

It must not import anything large and must never wait for anything but its events.
"""

import argparse
import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

from ltspec.supervisor import brake, door, orphans

START_FAILED = 5
ASKING = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class Guardian:
    """One guardian; `run` is its whole life."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.lock = arguments.lock_fd
        self.supervisor = 0
        self.control: socket.socket | None = None
        self.buffer = b""
        self.keep: set[int] = set()      # orphans whose end is not committed yet
        self.adopted = False             # the supervisor has told which orphans it watches
        self.worked = False              # this supervisor has committed an end
        self.was_ready = False           # one of ours has come as far as its loop
        self.fruitless = 0               # lives in a row that came to nothing
        self.started_at = 0.0
        self.next_start = 0.0
        self.wanted = ""                 # "leave" or "reload" once a signal asked for it

    def run(self) -> int:
        """Guard until there is nothing to guard; returns the exit code."""
        if not orphans.become_subreaper():
            say("this kernel gives no child subreaper: exit codes of orphans may be lost")
        door.write_pid(self.lock)
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
        door.close_doors(self.lock, self.arguments.state_dir, self.arguments.run_dir)
        return code

    # -- signals ----------------------------------------------------------------------------

    def _catch_signals(self) -> int:
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, lambda *_: self._want("reload"))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._want("leave"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)     # see exec_guardian
        return reading

    def _want(self, what: str) -> None:
        self.wanted = what
        if self.supervisor:
            os.kill(self.supervisor, signal.SIGTERM)

    # -- the supervisor ---------------------------------------------------------------------

    def _start_supervisor(self, *, first: bool = False) -> int | None:
        """Start one; None, or the exit code with which to give up."""
        self.worked = False
        self._look_after_door()
        ours, theirs = socket.socketpair()
        arguments = self.arguments
        argv = [
            sys.executable, "-I", *_program(arguments.supervisor),
            "--state-dir", arguments.state_dir, "--run-dir", arguments.run_dir,
            "--lock-fd", str(self.lock), "--listen-fd", str(arguments.listen_fd),
            "--control-fd", str(theirs.fileno()), "--dies-with", arguments.dies_with,
        ]
        if arguments.supervisor is not None:
            argv += ["--supervisor", arguments.supervisor]
        passed = [self.lock, arguments.listen_fd, theirs.fileno()]
        if arguments.idle_exit is not None:
            argv += ["--idle-exit", str(arguments.idle_exit)]
        if first and arguments.ready_fd is not None:
            argv += ["--ready-fd", str(arguments.ready_fd)]
            passed.append(arguments.ready_fd)
        for number in passed:
            os.set_inheritable(number, True)
        problem = ""
        try:
            self.supervisor = os.posix_spawn(
                argv[0], argv, dict(os.environ), setsigmask=(), setsigdef=(signal.SIGHUP,)
            )
        except OSError as error:
            problem = _cannot_start(error)
            say(problem)
            self.supervisor = 0
            self._brake(lived=0.0)
        finally:
            for number in passed:
                os.set_inheritable(number, False)
            theirs.close()
        if problem and first and arguments.ready_fd is not None:
            _tell(arguments, problem)
            return START_FAILED          # who started us is there to be told: no use in staying
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

    def _look_after_door(self) -> None:
        """Open it anew where the socket's path was taken away; a supervisor that notices ends."""
        arguments = self.arguments
        try:
            arguments.listen_fd = door.renewed(arguments.listen_fd, arguments.state_dir)
        except OSError as error:
            say(f"cannot open the door again: {error}")

    def _restart_in(self) -> float | None:
        if self.supervisor:
            return None
        return max(0.0, self.next_start - time.monotonic())

    def _brake(self, *, lived: float, waiting: bool = False) -> float:
        """Count a life that is over; seconds until the next one may begin."""
        fruitful = brake.was_fruitful(worked=self.worked, lived=lived)
        self.fruitless = 0 if fruitful else self.fruitless + 1
        pause = brake.seconds(self.fruitless, waiting=waiting)
        self.next_start = time.monotonic() + pause
        return pause

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
                self.adopted = self.was_ready = True
            elif word == "worked":
                self.worked = True

    def _look_after_children(self) -> int | None:
        """Reap what is free to go; a dead supervisor is followed by another one."""
        ended = self._supervisor_end()
        if ended is None and self.supervisor:
            if self.adopted:
                orphans.reap_strays(self.keep, self.supervisor)
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
        if ended == START_FAILED and not self.was_ready and not orphans.has_children():
            return START_FAILED
        lived = time.monotonic() - self.started_at
        pause = self._brake(lived=lived, waiting=ended == START_FAILED)
        how = f"signal {-ended}" if ended < 0 else f"exit code {ended}"
        say(f"the supervisor ended with {how}; the next one starts in {pause:g} s")
        return None

    # -- the end ----------------------------------------------------------------------------

    def _exec_anew(self) -> None:
        say("reload: starting anew")
        exec_guardian(self.arguments)


def exec_guardian(arguments: argparse.Namespace) -> NoReturn:
    """Exec this program with the lock and the sockets that are open already.

    A signal that comes before the new program can take it waits: its default action is death.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    argv = [sys.executable, "-I", "-m", "ltspec.supervisor.guardian"]
    for name in ("state_dir", "run_dir", "lock_fd", "listen_fd", "idle_exit", "dies_with",
                 "supervisor"):
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


def _drain(reading: int) -> None:
    try:
        os.read(reading, 4096)
    except BlockingIOError:
        return


def say(text: str) -> None:
    """One line in supervisor.log (descriptor 2)."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    try:
        os.write(2, f"{stamp} guardian {os.getpid()}: {text}\n".encode(errors="replace"))
    except OSError:
        return  # the disk with the log is full: guarding goes on, nobody can be told


# -- becoming the guardian ------------------------------------------------------------------


def _cannot_start(error: OSError) -> str:
    from ltspec.process import reason

    return f"cannot start the supervisor: {reason(error)}"


def _detach() -> None:
    """Leave the caller's session: the second fork makes sure that no terminal is ever acquired."""
    try:
        pid = os.fork()
    except OSError as error:
        raise door.CannotGuard(_cannot_start(error)) from error
    if pid:
        os._exit(0)
    os.setsid()


def _say_who_supervises(holder: str) -> None:
    say(f"process {holder} supervises already: waiting until it leaves")


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ltspec-guardian")
    for name in ("--state-dir", "--run-dir"):
        parser.add_argument(name, required=True)
    for name in ("--lock-fd", "--listen-fd", "--ready-fd", "--start-lock-fd"):
        parser.add_argument(name, type=int)
    parser.add_argument("--idle-exit", type=float)
    parser.add_argument("--dies-with", default="")
    parser.add_argument("--supervisor")
    parser.add_argument("--detach", action="store_true")
    return parser.parse_args(argv)


def _tell(arguments: argparse.Namespace, problem: str) -> None:
    """Give the one who started us the reason why not."""
    if arguments.ready_fd is not None:
        os.write(arguments.ready_fd, problem.encode())


def main(argv: list[str] | None = None) -> int:
    """Become the guardian of a state directory; returns when its supervisor has left."""
    arguments = _parse(argv)
    os.umask(0o077)
    try:
        if arguments.detach:
            _detach()
        os.chdir("/")
        if arguments.lock_fd is None:       # else an exec handed everything down
            arguments.lock_fd, arguments.listen_fd = door.open_doors(
                arguments.state_dir, arguments.run_dir,
                # A service has the time; a command waits for the answer of the one it starts.
                None if arguments.detach else _say_who_supervises,
            )
    except door.CannotGuard as error:
        _tell(arguments, str(error))
        say(str(error))
        return START_FAILED
    if arguments.start_lock_fd is not None:
        os.close(arguments.start_lock_fd)   # the door is open: others need not wait any more
    return Guardian(arguments).run()


if __name__ == "__main__":
    sys.exit(main())
