"""What `doctor --fix` does: each mend is one small function that says what it has done.

Nothing is deleted that somebody could want: a damaged catalogue is put aside, links are removed,
not what they lead to. Tasks are neither stopped nor started by a mend; the supervisor that it
starts goes on with them.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ltspec import clock
from ltspec.catalogue import repair, republish
from ltspec.commands import session
from ltspec.commands.health import catalogue, pidfiles, places, proc, supervisor
from ltspec.errors import CannotDo, LtspecError
from ltspec.output import plain
from ltspec.paths import make_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ltspec.commands.health.finding import Finding
    from ltspec.paths import Places

_LEAVE_SECONDS = 10.0
_PAUSE = 0.02


def mend(finding: Finding, where: Places, idle_exit: float) -> list[str]:
    """Mend one finding; the lines say what was done. Raises LtspecError, OSError."""
    if finding.check in ("state-dir", "run-dir"):
        return _directory(where.state_dir if finding.check == "state-dir" else where.run_dir)
    if finding.check == "files":
        return _files(where)
    if finding.check == "catalogue":
        return _catalogue(where, idle_exit)
    if finding.check in ("supervisor", "start-lock"):
        return _supervisor(where, idle_exit)
    if finding.check == "stale":
        return _stale(where)
    return _pidfiles(where, idle_exit)


def _directory(path: str) -> list[str]:
    if not os.path.lexists(path):
        make_private(path, 0o711)
        return [f"made {path}"]
    mode = os.stat(path).st_mode & 0o7755 | 0o700
    os.chmod(path, mode)
    return [f"set the mode of {path} to {mode & 0o777:03o}"]


def _files(where: Places) -> list[str]:
    done = []
    for one in places.bad_files(where):
        if one.is_link:
            os.unlink(one.path)
            done.append(f"removed the symbolic link {one.path}")
        elif one.mode is not None:
            os.chmod(one.path, one.mode)
            done.append(f"set the mode of {one.path} to {one.mode:03o}")
    return done


# -- catalogue ------------------------------------------------------------------------------


def _catalogue(where: Places, idle_exit: float) -> list[str]:
    """Bring an old one up to date (the supervisor does), replace or put aside a damaged one."""
    if catalogue.broken(where):
        return [*_replace(where), *_wake(where, idle_exit)]
    return _wake(where, idle_exit)


def _replace(where: Places) -> list[str]:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(clock.now().wall))
    aside = f"{where.catalogue}.damaged-{stamp}"
    with _alone(where):
        running = proc.attempts_of(where.state_dir)
        sources = repair.sources(where.catalogue)
        if repair.salvage(where.catalogue, aside):
            return [f"copied the catalogue, every task is in it; the damaged one is {aside}"]
        repair.put_aside(where.catalogue, aside)
    return [
        f"put the damaged catalogue aside, as {aside}: the next one is empty",
        *_running_lines(running), *_source_lines(sources),
    ]


def _running_lines(running: list[tuple[int, str]]) -> list[str]:
    if not running:
        return []
    return [
        "these tasks run on and the new catalogue does not know them: wait for their end, or they"
        " will run twice",
        *(f"  process {pid}: {pidfile}" for pid, pidfile in running),
    ]


def _source_lines(sources: list[str] | None) -> list[str]:
    if sources is None:
        return ["which specs were applied cannot be read any more: apply yours again"]
    if not sources:
        return []
    return ["apply again what is still wanted:", *(f"  ltspec apply {path}" for path in sources)]


@contextmanager
def _alone(where: Places) -> Iterator[None]:
    """Hold the supervisor's lock; one that runs is told to leave, its tasks run on."""
    pid = supervisor.processes(where).guardian
    if pid:
        os.kill(pid, signal.SIGTERM)
    lock = os.open(where.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        deadline = time.monotonic() + _LEAVE_SECONDS
        while not _locked(lock):
            if time.monotonic() > deadline:
                message = f"the supervisor (process {pid or 'unknown'}) does not leave"
                raise CannotDo(f"{message}\nend it, then try again")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# -- supervisor and PID-files ---------------------------------------------------------------


def _supervisor(where: Places, idle_exit: float) -> list[str]:
    there = supervisor.processes(where)
    stopped = supervisor.stopped(where)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    done = [f"let process {pid} go on" for pid in stopped]
    if stopped and (there.guardian or not supervisor.is_needed(where)):
        return done
    if stopped:                                # a command that was about to start it
        return [*done, *_wake(where, idle_exit)]
    if there.guardian and not os.path.lexists(where.socket):
        os.kill(there.guardian, signal.SIGHUP)
        return [f"had the supervisor replaced (SIGHUP to {there.guardian})"]
    return _wake(where, idle_exit)


def _wake(where: Places, idle_exit: float) -> list[str]:
    with session.connect(where, idle_exit=idle_exit) as connection:
        session.tell(where, connection)
        return [f"the supervisor runs: process {connection.hello.get('pid')}"]


def _pidfiles(where: Places, idle_exit: float) -> list[str]:
    with session.connect(where, idle_exit=idle_exit) as connection:
        with closing(session.writer(where)) as store, store.write():
            count = sum(
                len(republish.names_lost(store, line, names))
                for line, names in pidfiles.lost(store, where.run_dir)
            )
        session.tell(where, connection)
    return [f"published {count} PID-files again"]


def _stale(where: Places) -> list[str]:
    """Inside a transaction: no task can take one of these names meanwhile."""
    with closing(session.writer(where)) as store, store.write():
        stale = [one for one in pidfiles.strangers(store, where.run_dir) if not one.locked]
        for one in stale:
            os.unlink(one.path)
    return [f"removed {plain.plural(len(stale), 'PID-file')} of no task"]


def tried(finding: Finding, where: Places, idle_exit: float) -> list[str]:
    """`mend`, with what kept it from being mended as its line."""
    try:
        return mend(finding, where, idle_exit)
    except LtspecError as error:
        return [f"cannot mend {finding.what}: {error}".split("\n")[0]]
    except OSError as error:
        return [f"cannot mend {finding.what}: {error.filename or ''} {error.strerror}"]
