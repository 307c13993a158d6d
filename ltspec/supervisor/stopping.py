"""Ending a task on request or at its timeout: the ladder of signals, and who is left (DESIGN 5).

The ladder (`kill`, default TERM, 10 s, KILL) goes to the process group while its leader is
unreaped, then to what is left of the task's session and to what carries its mark, double-forked
children included, until two scans in a row are empty. Only in a control group of its own can
nothing of a task hide. What survives KILL is named. A normal end kills nothing.
"""

import signal

from ltspec import alive, cgroup
from ltspec.supervisor.running import Running

SCAN_SECONDS = 0.05       # between two scans while a task is being ended
SURVIVAL_SECONDS = 5.0    # how long KILL may take before the survivors are named


class Ladder:
    """Where one attempt stands on its way down. Times are the boot clock's."""

    def __init__(self, steps: tuple[tuple[str, float], ...]) -> None:
        self.steps = steps
        self.next_step = 0
        self.step_due = 0.0
        self.last_signal = signal.SIGTERM
        self.empty_scans = 0
        self.gave_up = False

    def due(self) -> float | None:
        """When `climb` wants to be called again; None: KILL is sent, only its end is left."""
        return None if self.gave_up else self.step_due


def climb(running: Running, boot: float) -> None:
    """Send what is due now. Call it when its time has come or the leader has ended."""
    ladder: Ladder = running.ladder
    if boot >= ladder.step_due and ladder.next_step < len(ladder.steps):
        name, wait = ladder.steps[ladder.next_step]
        ladder.last_signal = signal.Signals["SIG" + name]
        ladder.next_step += 1
        last = ladder.next_step == len(ladder.steps)
        ladder.step_due = boot + (SURVIVAL_SECONDS if last else wait)
        _send(running, ladder.last_signal)
    elif boot >= ladder.step_due:
        ladder.gave_up = True


def _send(running: Running, number: int) -> None:
    alive.signal_group(running.pid, number)
    if running.seen is not None or number == signal.SIGKILL:
        _signal_all(running, _left(running), number)


def _signal_all(running: Running, left: list[alive.Identity], number: int) -> None:
    if number == signal.SIGKILL and running.group:
        cgroup.kill(running.group)
    for identity in left:
        alive.signal_identity(identity, number)


def _left(running: Running) -> list[alive.Identity]:
    """Who is left of an attempt beside its leader."""
    found = alive.members(running.pid, running.token)
    if running.group:
        known = {running.pid, *(identity.pid for identity in found)}
        for pid in cgroup.pids(running.group):
            ticks = alive.start_ticks(pid)
            if pid not in known and ticks is not None:
                found.append(alive.Identity(pid, ticks))
    return found


def is_over(running: Running) -> bool:
    """True where the leader has ended and nobody is left, or KILL did not help within its time.

    Sets `survivors` to those that are left then. Each call is one scan.
    """
    ladder: Ladder = running.ladder
    if running.seen is None:
        if ladder.gave_up:
            running.survivors = alive.describe(alive.Identity(running.pid, running.ticks))
        return False
    left = _left(running)
    if not left:
        ladder.empty_scans += 1
        return ladder.empty_scans >= 2
    ladder.empty_scans = 0
    if ladder.last_signal == signal.SIGKILL and not ladder.gave_up:
        _signal_all(running, left, signal.SIGKILL)
    if ladder.gave_up:
        running.survivors = ", ".join(alive.describe(identity) for identity in left[:20])
    return ladder.gave_up
