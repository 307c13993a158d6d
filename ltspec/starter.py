"""Starts the guardian of a supervisor: detached, outside of the caller's session, login and unit.

Owns how it is started and how long whoever starts it waits for its word; whether one is to be
started, and the lock for that, are the client's.
"""

import os

from ltspec import program
from ltspec.errors import CannotDo, SupervisorError
from ltspec.paths import SYSTEM_PATH, Places


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


def wait_for(begun: Begun, places: Places, idle_exit: float | None) -> None:
    """Return when its supervisor works. Raises SupervisorError with the reason why it does not."""
    status, problem = begun.problem()
    if begun.in_scope and status and not problem:     # systemd-run could not reach its manager
        begun = start(places, begun.lock, idle_exit, without_scope=True)
        _, problem = begun.problem()
    if problem:
        raise SupervisorError(problem)


def start(
    places: Places, lock: int, idle_exit: float | None, *, without_scope: bool = False
) -> Begun:
    """Start a guardian."""
    log = open_own(places.supervisor_log, os.O_WRONLY | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    scope, dies_with = scope_of_caller()
    if without_scope:
        scope, dies_with = [], "this login or unit"
    argv = [
        *scope, *program.words("ltspec.supervisor.guardian"), "--detach",
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


def scope_of_caller() -> tuple[list[str], str]:
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


def open_own(path: str, flags: int) -> int:
    """A file of ours in the state directory, made where it is missing."""
    try:
        return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}\nltspec needs it; see `ltspec doctor`"
        raise CannotDo(message) from error


def _find_systemd_run() -> str:
    for folder in ("/usr/bin", "/bin"):
        if os.access(folder + "/systemd-run", os.X_OK):
            return folder + "/systemd-run"
    return ""
