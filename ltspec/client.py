"""Reaches the supervisor, and has it started where none answers (DESIGN 5, submitting).

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
import time
from typing import Any

from ltspec import __version__
from ltspec.errors import CannotDo, LtspecError, SupervisorError
from ltspec.paths import Places, check_private, make_private

HELLO_SECONDS = 20.0
START_SECONDS = 30.0     # how long another command may take to start the supervisor
_TRIES = 5
_PAUSE = 0.02
_LAST_WORDS = 1000       # bytes at the end of the supervisor's log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltspec.starter import Begun


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


def begin(places: Places, idle_exit: float | None) -> "Begun | None":
    """Start a supervisor where none answers and do not wait for it, so that it starts beside what
    the caller still has to do; then `connect` or `abandon` it.

    None where one is there or on its way, and where something is wrong: `connect` says what.
    """
    try:
        connection = _dial(places)
        if connection is not None:
            connection.close()
            return None
        from ltspec import starter  # only now: most often one is there

        make_private(places.state_dir)
        lock = starter.open_own(places.start_lock, os.O_RDWR)
    except (OSError, LtspecError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return starter.start(places, lock, idle_exit)
    except (OSError, LtspecError):       # another command has the lock, or no pipe can be had
        os.close(lock)
        return None


def connect(
    places: Places, *, start: bool = True, idle_exit: float | None = 10.0,
    begun: "Begun | None" = None,
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
    from ltspec import starter

    make_private(places.state_dir)
    lock = starter.open_own(places.start_lock, os.O_RDWR)
    return _reach(places, lock, idle_exit, None)


def _reach(
    places: Places, lock: int, idle_exit: float | None, begun: "Begun | None"
) -> Connection:
    """Start one under the start lock, which is let go, unless another command was faster."""
    from ltspec import starter

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
                begun = starter.start(places, lock, idle_exit)
                started = True
            starter.wait_for(begun, places, idle_exit)
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


def group_obstacle(places: Places, group: str, controllers: "Sequence[str]") -> str:
    """Why the supervisor, the running one or one that would be started now, could not bound tasks
    by these cgroup controllers; "" where it can. `group` is the configured one, "" for its own."""
    from ltspec import cgroup, starter

    try:
        if not group:
            pid = guardian(places)
            if not pid and starter.scope_of_caller()[0]:
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
