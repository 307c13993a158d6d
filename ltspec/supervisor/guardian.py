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

import os
import select
import sys
import time

from ltspec import program
from ltspec.supervisor import brake, child, door, orders, orphans
from ltspec.supervisor.child import Child
from ltspec.supervisor.orders import Orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal  # the C module: the enums of `signal` are half of what is loaded

START_FAILED = 5
ASKING = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class Guardian:
    """One guardian; `run` is its whole life."""

    def __init__(self, arguments: Orders) -> None:
        self.arguments = arguments
        self.lock = arguments.lock_fd
        self.child: Child | None = None
        self.was_ready = False           # one of ours has come as far as its loop
        self.fruitless = 0               # lives in a row that came to nothing
        self.next_start = 0.0
        self.wanted = ""                 # "leave" or "reload" once a signal asked for it

    def run(self) -> int:
        """Guard until there is nothing to guard; returns the exit code."""
        door.write_pid(self.lock)
        wakeup = self._catch_signals()
        code = self._start_supervisor(first=True)
        if not orphans.become_subreaper():       # in time: that one has no children yet
            say("this kernel gives no child subreaper: exit codes of orphans may be lost")
        poller = select.poll()
        poller.register(wakeup, select.POLLIN)
        while code is None:
            timeout = self._restart_in()
            watched = [self.child.control] if self.child else []
            for sock in watched:
                poller.register(sock, select.POLLIN)
            poller.poll(None if timeout is None else timeout * 1000)
            _drain(wakeup)
            for sock in watched:
                poller.unregister(sock)
            if self.child is not None:
                self.child.listen()
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
        if self.child is not None:
            os.kill(self.child.pid, signal.SIGTERM)

    # -- the supervisor ---------------------------------------------------------------------

    def _start_supervisor(self, *, first: bool = False) -> int | None:
        """Start one; None, or the exit code with which to give up."""
        self._look_after_door()
        arguments = self.arguments
        ready = arguments.ready_fd if first else -1
        try:
            self.child = child.start(arguments, ready)
        except OSError as error:
            problem = _cannot_start(error)
            say(problem)
            if ready >= 0:               # who started us is there to be told: no use in staying
                _tell(arguments, problem)
                return START_FAILED
            self._brake(fruitful=False)
        if ready >= 0:
            os.close(ready)
            arguments.ready_fd = -1
        return None

    def _look_after_door(self) -> None:
        """Open it anew where the socket's path was taken away; a supervisor that notices ends."""
        arguments = self.arguments
        try:
            arguments.listen_fd = door.renewed(arguments.listen_fd, arguments.state_dir)
        except OSError as error:
            say(f"cannot open the door again: {error}")

    def _restart_in(self) -> float | None:
        if self.child is not None:
            return None
        return max(0.0, self.next_start - time.monotonic())

    def _brake(self, *, fruitful: bool, waiting: bool = False) -> float:
        """Count a life that is over; seconds until the next one may begin."""
        self.fruitless = 0 if fruitful else self.fruitless + 1
        pause = brake.seconds(self.fruitless, waiting=waiting)
        self.next_start = time.monotonic() + pause
        return pause

    def _look_after_children(self) -> int | None:
        """Reap what is free to go; a dead supervisor is followed by another one."""
        present = self.child
        if present is not None:
            ended = present.end()
            self.was_ready = self.was_ready or present.adopted
            if ended is None:
                if present.adopted:
                    orphans.reap_strays(present.keep, present.pid)
                return None
            self.child = None
            code = self._after(present, ended)
            if code is not None:
                return code
        elif self.wanted:                # told while it waited to start the next one
            if self.wanted == "leave":
                return 0
            self._exec_anew()
        if self._restart_in() == 0.0:
            return self._start_supervisor()
        return None

    def _after(self, dead: Child, ended: int) -> int | None:
        if self.wanted == "reload":
            self._exec_anew()
        if self.wanted == "leave" or ended == 0:
            return 0
        if ended == START_FAILED and not self.was_ready and not orphans.has_children():
            return START_FAILED
        fruitful = brake.was_fruitful(worked=dead.worked, lived=dead.lived)
        pause = self._brake(fruitful=fruitful, waiting=ended == START_FAILED)
        how = f"signal {-ended}" if ended < 0 else f"exit code {ended}"
        say(f"the supervisor ended with {how}; the next one starts in {pause:g} s")
        return None

    # -- the end ----------------------------------------------------------------------------

    def _exec_anew(self) -> None:
        say("reload: starting anew")
        exec_guardian(self.arguments)


def exec_guardian(arguments: Orders) -> "NoReturn":
    """Exec this program with the lock and the sockets that are open already.

    A signal that comes before the new program can take it waits: its default action is death.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    for number in (arguments.lock_fd, arguments.listen_fd):
        os.set_inheritable(number, True)
    os.execv(sys.executable, [
        *program.words("ltspec.supervisor.guardian"),
        *arguments.words("state_dir", "run_dir", "lock_fd", "listen_fd", "idle_exit", "dies_with",
                         "supervisor"),
    ])


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


def _tell(arguments: Orders, problem: str) -> None:
    """Give the one who started us the reason why not."""
    if arguments.ready_fd < 0:
        return
    try:
        os.write(arguments.ready_fd, problem.encode())
    except BrokenPipeError:
        return  # it has gone: the log has the problem too


def main(argv: list[str] | None = None) -> int:
    """Become the guardian of a state directory; returns when its supervisor has left."""
    arguments = orders.read(sys.argv[1:] if argv is None else argv)
    os.umask(0o077)
    try:
        if arguments.detach:
            _detach()
        os.chdir("/")
        if arguments.lock_fd < 0:           # else an exec handed everything down
            arguments.lock_fd, arguments.listen_fd = door.open_doors(
                arguments.state_dir, arguments.run_dir,
                # A service has the time; a command waits for the answer of the one it starts.
                None if arguments.detach else _say_who_supervises,
            )
    except door.CannotGuard as error:
        _tell(arguments, str(error))
        say(str(error))
        return START_FAILED
    if arguments.start_lock_fd >= 0:
        os.close(arguments.start_lock_fd)   # the door is open: others need not wait any more
    return Guardian(arguments).run()


if __name__ == "__main__":
    sys.exit(main())
