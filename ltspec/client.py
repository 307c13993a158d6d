"""Reaches the supervisor, and starts it where none answers (DESIGN 5, submitting).

The socket carries no state: what a command wants stands in the catalogue, a message only says
"look again". So a command that is killed anywhere strands nothing.

Starting is done under `start.lock`: who finds nobody listening takes it, looks again, starts the
guardian with the lock's descriptor, and lets go; the guardian lets go once it listens. Two
commands at once therefore start one supervisor; the second looks a few times a second whether it
is there.
"""

import _socket  # the C module: `socket` itself is a tenth of the start of a command
import fcntl
import json
import os
import sys
import time
from typing import Any

from ltspec import __version__
from ltspec.errors import CannotDo, LtspecError, SupervisorError
from ltspec.paths import Places, check_private, make_private

HELLO_SECONDS = 20.0
START_SECONDS = 30.0     # how long another command may take to start the supervisor
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TRIES = 5
_PAUSE = 0.02
_LAST_WORDS = 1000       # bytes at the end of the supervisor's log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class ConnectionLost(SupervisorError):
    """The supervisor went away; what was committed is safe, connect again."""


class Connection:
    """One connection. `hello` is what the supervisor said of itself: version, pid, run_dir,
    survives; `started` is True where this call has started it."""

    def __init__(self, sock: _socket.socket, hello: dict[str, Any], rest: bytes) -> None:
        self._socket = sock
        self._buffer = rest
        self.hello = hello
        self.started = False

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go; the supervisor then reads the catalogue once more."""
        self._socket.close()

    def fileno(self) -> int:
        """For select: readable when an event or an answer has come, or the supervisor left."""
        return self._socket.fileno()

    def sync(self, timeout: float | None = None) -> None:
        """Say that the catalogue has changed; return when that was followed up (QUE published).

        Raises ConnectionLost, or SupervisorError with what the supervisor answered.
        """
        self.ask({"do": "sync"}, timeout)

    def watch(self) -> None:
        """Ask for an event after each change of a task's status."""
        self.ask({"do": "watch"}, HELLO_SECONDS)

    def wait_event(self, timeout: float | None = None) -> bool:
        """Block until something has changed (True) or `timeout` seconds are over (False)."""
        message = self._receive(timeout)
        while message is not None and self._has_line():
            message = self._receive(0)  # one look at the catalogue serves all that are here
        return message is not None

    def wait_for_its_end(self, timeout: float) -> None:
        """Block until the supervisor goes away, or for `timeout` seconds of silence."""
        try:
            while self._receive(timeout) is not None:
                continue
        except ConnectionLost:
            return

    def ask(self, message: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
        """Send one request and return its answer; events that come in between are dropped."""
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise ConnectionLost(f"the supervisor went away: {error}") from error
        while True:
            answer = self._receive(timeout)
            if answer is None:
                raise SupervisorError("the supervisor did not answer in time; see `ltspec doctor`")
            if "event" not in answer:
                break
        if "error" in answer:
            raise SupervisorError(str(answer["error"]))
        return answer

    def _has_line(self) -> bool:
        return b"\n" in self._buffer

    def _receive(self, timeout: float | None) -> dict[str, Any] | None:
        while not self._has_line():
            try:
                self._socket.settimeout(timeout)
                data = self._socket.recv(65536)
            except (TimeoutError, BlockingIOError):
                return None
            except OSError as error:
                raise ConnectionLost(f"the supervisor went away: {error}") from error
            if not data:
                raise ConnectionLost("the supervisor went away; try again")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


class Begun:
    """A guardian that was started and has yet to say that its supervisor works. `lock` is the
    start lock; `connect` takes both over."""

    def __init__(self, lock: int, pid: int, reading: int, *, in_scope: bool) -> None:
        self.lock = lock
        self.pid = pid                   # its first fork; the guardian itself is detached
        self.reading = reading
        self.in_scope = in_scope

    def problem(self) -> tuple[int, str]:
        """Wait for its word: (the status of the first fork, why it cannot work or "")."""
        _, status = os.waitpid(self.pid, 0)
        with open(self.reading, "rb") as ready:
            return status, ready.read().decode(errors="replace")

    def abandon(self) -> None:
        """Nobody needs it after all: it leaves by itself when it has been idle."""
        os.waitpid(self.pid, 0)
        os.close(self.reading)
        os.close(self.lock)


def begin(places: Places, idle_exit: float | None) -> Begun | None:
    """Start a supervisor where none answers and do not wait for it, so that it starts beside what
    the caller still has to do; then `connect` or `abandon` it.

    None where one is there or on its way, and where something is wrong: `connect` says what.
    """
    try:
        connection = _dial(places)
        if connection is not None:
            connection.close()
            return None
        make_private(places.state_dir)
        lock = _open(places.start_lock, os.O_RDWR)
    except (OSError, LtspecError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _start(places, lock, idle_exit)
    except (OSError, LtspecError):       # another command has the lock, or no pipe can be had
        os.close(lock)
        return None


def connect(
    places: Places, *, start: bool = True, idle_exit: float | None = 10.0,
    begun: Begun | None = None,
) -> Connection | None:
    """Reach the supervisor of these places, starting one where none answers.

    None only with `start=False` and nobody there. Raises SupervisorError with the reason why it
    cannot be started or does not answer, CannotDo where the state directory is not ours.
    """
    if begun is not None:
        return _reach(places, begun.lock, idle_exit, begun)
    connection = _dial(places)
    if connection is not None and _is_older(str(connection.hello.get("version", ""))):
        connection = _renewed(places, connection)
    if connection is not None or not start:
        return connection
    make_private(places.state_dir)
    lock = _open(places.start_lock, os.O_RDWR)
    return _reach(places, lock, idle_exit, None)


def _reach(
    places: Places, lock: int, idle_exit: float | None, begun: Begun | None
) -> Connection:
    """Start one under the start lock, which is let go, unless another command was faster."""
    try:
        connection = _take_turn(places, lock) if begun is None else None
        if connection is not None:
            return connection
        started = begun is not None
        for _ in range(_TRIES):
            if begun is None:
                connection = _dial(places)
                if connection is not None:
                    connection.started = started
                    return connection
                begun = _start(places, lock, idle_exit)
                started = True
            _wait_for(begun, places, idle_exit)
            begun = None
        raise SupervisorError(
            "the supervisor leaves as soon as it is started\n"
            f"look at {places.supervisor_log} and at `ltspec doctor`"
        )
    finally:
        os.close(lock)


def _is_older(version: str) -> bool:
    """True for a version of ltspec before this one."""
    return _numbers(version) < _numbers(__version__)


def _numbers(version: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in version.split(".")]


def _renewed(places: Places, connection: Connection) -> Connection | None:
    """Ask an older supervisor for the reload, and reach the one that follows it.

    That is an older one again where its guardian belongs to another installation.
    """
    import signal

    pid = guardian(places)
    if not pid.isdigit():
        return connection
    try:
        os.kill(int(pid), signal.SIGHUP)
    except ProcessLookupError:
        return connection    # the guardian was killed in this moment: the next command asks again
    with connection:
        connection.wait_for_its_end(HELLO_SECONDS)
    return _dial(places)


def _open(path: str, flags: int) -> int:
    """A file of ours in the state directory, made where it is missing."""
    try:
        return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}\nltspec needs it; see `ltspec doctor`"
        raise CannotDo(message) from error


def _take_turn(places: Places, lock: int) -> Connection | None:
    """Take the start lock, or the connection to the supervisor that another command has started."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            connection = _dial(places)
        else:
            return None
        if connection is not None:
            return connection
        if time.monotonic() > deadline:
            raise SupervisorError(
                f"another command has been starting the supervisor for {START_SECONDS:g} s\n"
                f"it holds {places.start_lock}; `ltspec doctor` says which one"
            )
        time.sleep(_PAUSE)


def _dial(places: Places) -> Connection | None:
    """Connect and wait for the hello. None: nobody is there, or it left in this moment."""
    try:
        directory = os.open(places.state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        check_private(places.state_dir)      # has better words
        raise CannotDo(f"cannot use {places.state_dir}: {error.strerror}") from error
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.settimeout(HELLO_SECONDS)
        sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(places.socket)}")
        hello, rest = _hello(sock)
    except (ConnectionError, FileNotFoundError):
        sock.close()
        return None
    except TimeoutError as error:
        sock.close()
        raise SupervisorError(
            f"the supervisor does not answer within {HELLO_SECONDS:g} s; its last words:\n"
            f"{last_words(places)}\nsee `ltspec doctor`"
        ) from error
    except OSError as error:
        sock.close()
        raise SupervisorError(f"cannot reach the supervisor: {error.strerror}") from error
    finally:
        os.close(directory)
    if hello.get("run_dir", places.run_dir) != places.run_dir:
        sock.close()
        raise CannotDo(other_run_dir(str(hello["run_dir"]), places))
    return Connection(sock, hello, rest)


def other_run_dir(recorded: str, places: Places) -> str:
    """What to say where a catalogue is used together with another run directory than its own."""
    return (
        f"the catalogue in {places.state_dir} has the run directory {recorded}, not"
        f" {places.run_dir}\nname that one; it is changed by the first `ltspec apply` that finds"
        " no task waiting or running and no supervisor"
    )


def last_words(places: Places) -> str:
    """The last line of the supervisor's log that is the supervisor's own, else its last line."""
    try:
        with open(places.supervisor_log, "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _LAST_WORDS))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"{places.supervisor_log} cannot be read: {error.strerror}"
    own = [line for line in lines if line.split()[1:2] == ["supervisor"]]
    return (own or lines or ["none"])[-1]


def _hello(sock: _socket.socket) -> tuple[dict[str, Any], bytes]:
    data = b""
    while b"\n" not in data:
        chunk = sock.recv(65536)
        if not chunk:
            raise ConnectionResetError
        data += chunk
    line, _, rest = data.partition(b"\n")
    hello: dict[str, Any] = json.loads(line)
    return hello, rest


def _wait_for(begun: Begun, places: Places, idle_exit: float | None) -> None:
    """Return when its supervisor works. Raises SupervisorError with the reason why it does not."""
    status, problem = begun.problem()
    if begun.in_scope and status and not problem:     # systemd-run could not reach its manager
        begun = _start(places, begun.lock, idle_exit, without_scope=True)
        _, problem = begun.problem()
    if problem:
        raise SupervisorError(problem)


def _start(
    places: Places, lock: int, idle_exit: float | None, *, without_scope: bool = False
) -> Begun:
    """Start a guardian."""
    log = _open(places.supervisor_log, os.O_WRONLY | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    scope, dies_with = _scope()
    if without_scope:
        scope, dies_with = [], "this login or unit"
    argv = [
        *scope, sys.executable, "-I", "-m", "ltspec.supervisor.guardian", "--detach",
        "--state-dir", places.state_dir, "--run-dir", places.run_dir,
        "--ready-fd", str(writing), "--start-lock-fd", str(lock), "--dies-with", dies_with,
    ]
    if idle_exit is not None:
        argv += ["--idle-exit", str(idle_exit)]
    environment = fixed_environment()
    if scope and os.geteuid() != 0:           # by it systemd-run finds the user's manager
        environment["XDG_RUNTIME_DIR"] = os.environ["XDG_RUNTIME_DIR"]
    for number in (writing, lock):
        os.set_inheritable(number, True)
    try:
        pid = os.posix_spawn(
            argv[0], argv, environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, source, number)
                          for source, number in ((null, 0), (null, 1), (log, 2))],
            setsid=True,
        )
    except OSError as error:
        from ltspec.process import reason

        os.close(reading)
        raise SupervisorError(f"cannot start the supervisor: {reason(error)}") from error
    finally:
        os.set_inheritable(lock, False)
        for number in (writing, log, null):
            os.close(number)
    return Begun(lock, pid, reading, in_scope=bool(scope))


def fixed_environment() -> dict[str, str]:
    """What the supervisor runs with, whoever starts it: nothing of the caller leaks into tasks."""
    return {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": "/"}


def _scope() -> tuple[list[str], str]:
    """(how to start it outside the caller's unit, with what it may die; "" if it survives).

    A scope of its own where systemd runs; else a double fork, which outlives a login, but neither a
    container nor a CI job that kills what it started.
    """
    in_container = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
    if in_container or os.environ.get("CI"):
        return [], "this container" if in_container else "this CI job"
    if not os.path.isdir("/run/systemd/system"):
        return [], ""
    runner = _find_systemd_run()
    user = [] if os.geteuid() == 0 else ["--user"]
    if runner and (not user or os.environ.get("XDG_RUNTIME_DIR")):
        from ltspec import cgroup

        return [runner, "--scope", "--quiet", "--collect", "--unit", cgroup.scope_name(),
                "--property", "Delegate=memory pids", *user, "--"], ""
    return [], "this login or unit"


def group_obstacle(places: Places, group: str, controllers: "Sequence[str]") -> str:
    """Why the supervisor, the running one or one that would be started now, could not bound tasks
    by these cgroup controllers; "" where it can. `group` is the configured one, "" for its own."""
    from ltspec import cgroup

    try:
        if not group:
            pid = guardian(places)
            if not pid and _scope()[0]:
                return cgroup.lacking(cgroup.root(), controllers)
            group = cgroup.delegated(pid or "self")
        return cgroup.obstacle(group, controllers)
    except cgroup.Unavailable as error:
        return str(error)


def guardian(places: Places) -> str:
    """The pid that the lock's holder has written, "" where nobody holds it."""
    try:
        lock = os.open(places.lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return ""     # none was ever started; what is wrong otherwise, connecting will tell
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(lock, 20).decode(errors="replace").strip()
    finally:
        os.close(lock)
    return ""


def _find_systemd_run() -> str:
    for folder in ("/usr/bin", "/bin"):
        if os.access(folder + "/systemd-run", os.X_OK):
            return folder + "/systemd-run"
    return ""
