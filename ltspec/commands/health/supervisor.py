"""The supervisor: whether it runs where it is needed, gets on, and has what it needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from ltspec.catalogue.listing import work_waits
from ltspec.client import connect, guardian, last_words
from ltspec.commands import session
from ltspec.commands.health import proc
from ltspec.commands.health.finding import Finding
from ltspec.errors import LtspecError, SupervisorError
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ltspec.paths import Places

_ANSWER_SECONDS = 5.0
_STOPPED = ("T", "t")


class Processes(NamedTuple):
    """The guardian and its supervisor; 0 where there is none."""

    guardian: int
    supervisor: int


def processes(where: Places) -> Processes:
    """Who supervises this state directory now."""
    words = guardian(where)
    pid = int(words) if words.isdigit() else 0
    if "ltspec.supervisor" not in proc.command_line(pid):
        return Processes(0, 0)
    own = [child for child in proc.children(pid) if "supervisor.main" in proc.command_line(child)]
    return Processes(pid, own[0] if own else 0)


def stopped(where: Places) -> list[int]:
    """Those of ltspec's own processes that somebody has stopped and that others wait for."""
    holders = proc.Locks().holders(where.start_lock) if os.path.exists(where.start_lock) else []
    waited_for = [*processes(where), *holders]
    return [pid for pid in waited_for if pid and proc.state(pid) in _STOPPED]


def supervisor(where: Places, *, readable: bool) -> Finding:
    """Whether it runs where it is needed, and gets on."""
    what = "supervisor"
    there = processes(where)
    if not there.guardian:
        if not readable or not is_needed(where):
            return Finding("supervisor", what)
        advice = f"`ltspec wake` starts it; {where.supervisor_log} says why it ended"
        return Finding("supervisor", what, "work waits and none runs", advice, True)
    what = f"supervisor (guardian {there.guardian}, supervisor {there.supervisor or 'none'})"
    still = [pid for pid in there if pid and proc.state(pid) in _STOPPED]
    if still:
        words = " ".join(map(str, still))
        problem = f"stopped by a signal: {plain.plural(len(still), 'process', 'processes')} {words}"
        return Finding("supervisor", what, problem, f"kill -CONT {words}", True)
    if not os.path.lexists(where.socket):
        problem = f"{where.socket} is gone: no command reaches it"
        return Finding("supervisor", what, problem, f"kill -HUP {there.guardian}", True)
    if not there.supervisor:
        problem = f"it ends as soon as it is started: {last_words(where)}"
        return Finding("supervisor", what, problem, "it is tried again every few seconds")
    return _answer(where, what)


def _answer(where: Places, what: str) -> Finding:
    try:
        connection = connect(where, start=False)
        if connection is not None:
            with connection:
                connection.sync(_ANSWER_SECONDS)
    except SupervisorError as error:
        problem, _, advice = str(error).partition("\n")
        problem = problem.replace("accepted, but the supervisor", "it")
        return Finding("supervisor", what, problem, advice or "it goes on when that is mended")
    except LtspecError as error:
        return Finding("supervisor", what, str(error))
    return Finding("supervisor", what)


def is_needed(where: Places) -> bool:
    """Whether something waits for a supervisor. Raises LtspecError."""
    with closing(session.existing(where)) as store:
        return work_waits(store)


def start_lock(where: Places) -> Finding:
    """Whether a command that was stopped keeps all others from starting the supervisor."""
    what = f"lock {where.start_lock}"
    try:
        holders = [pid for pid in proc.Locks().holders(where.start_lock)
                   if proc.state(pid) in _STOPPED]
    except OSError:
        return Finding("start-lock", what)
    if not holders:
        return Finding("start-lock", what)
    problem = f"process {holders[0]} ({proc.command_line(holders[0])}) holds it and is stopped"
    return Finding("start-lock", what, problem, f"kill -CONT {holders[0]}", True)


def limits(where: Places) -> Iterator[Finding]:
    """Open files and processes of the supervisor, or of one that would be started now."""
    pid = processes(where).supervisor or os.getpid()
    of_files, of_processes = proc.open_files(pid), proc.processes(pid)
    problem = f"{of_files.used} of {of_files.limit} are in use: tasks wait until some end"
    advice = "raise `ulimit -n` (LimitNOFILE= of the unit), or lower max_running"
    yield Finding("open-files", "open files of the supervisor",
                  *((problem, advice) if of_files.is_exhausted else ()))
    problem = f"{of_processes.used} of {of_processes.limit} are in use: tasks wait until some end"
    advice = "raise `ulimit -u` (LimitNPROC=, TasksMax= of the unit), or lower max_running"
    yield Finding("processes", "processes of the user",
                  *((problem, advice) if of_processes.is_exhausted else ()))


def after_reboot() -> Finding:
    """No fault: what makes waiting tasks go on after a reboot."""
    advice = (
        "waiting tasks go on when ltspec is called again: put `@reboot ltspec wake` into the\n"
        "crontab, or install the unit of docs/operations.md"
    )
    return Finding("reboot", "after a reboot", "", advice)
