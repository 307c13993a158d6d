"""The seeded killer: SIGKILL to supervisor, guardian, both, a running task, the report sender.

Now and then it is polite: SIGHUP (reload) and SIGTERM (end) to the guardian. It writes down what it
struck and when; of a task also which attempt it aimed at.
"""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from ltspec.paths import Places
from tests.chaos.auditor import Strike
from tests.chaos.journal import Attempt, Journal

TARGETS = {"supervisor": 50, "guardian": 13, "both": 10, "task": 20, "sender": 7, "reload": 4,
           "end": 3}
POLITE = {"reload": signal.SIGHUP, "end": signal.SIGTERM}


class Killer:
    """Strikes when told; `strikes` and `victims` are its memory, `kills` counts the SIGKILLs."""

    def __init__(self, places: Places, root: Path, chance: random.Random) -> None:
        self.places = places
        self.root = root
        self.chance = chance
        self.strikes: list[Strike] = []
        self.victims: set[Attempt] = set()

    @property
    def kills(self) -> int:
        return sum(strike.what not in POLITE for strike in self.strikes)

    def strike(self) -> bool:
        """Kill what chance says; False where it is not there at this moment."""
        what = self.chance.choices(list(TARGETS), weights=list(TARGETS.values()))[0]
        if what == "task":
            return self._task()
        if what == "sender":
            return self._kill(what, *self._processes("ltspec.report.sender")[:1])
        return self._supervisor(what)

    def _supervisor(self, what: str) -> bool:
        guardian = self._guardian()
        if guardian is None:
            return False
        if what in POLITE:
            return self._kill(what, guardian)
        supervisors = [pid for pid in _children(guardian) if _runs(pid, "ltspec.supervisor.main")]
        if not supervisors:
            if what == "supervisor":
                return False
            return self._kill("both", guardian)      # nobody is left to follow it
        if what == "supervisor":
            return self._kill(what, supervisors[0])
        if what == "guardian":
            return self._kill(what, guardian)
        if self.chance.random() < 0.5:               # so that it cannot even see it die
            with contextlib.suppress(ProcessLookupError):
                os.kill(guardian, signal.SIGSTOP)
        return self._kill(what, supervisors[0], guardian)

    def _guardian(self) -> int | None:
        try:
            pid = int(Path(self.places.lock).read_text())
        except (OSError, ValueError):
            return None
        return pid if _runs(pid, "ltspec.supervisor.guardian") else None

    def _processes(self, module: str) -> list[int]:
        return [
            int(name) for name in os.listdir("/proc")
            if name.isdigit() and _runs(int(name), module)
            and self.places.state_dir in _cmdline(int(name))
        ]

    def _task(self) -> bool:
        """SIGKILL to an attempt that is under way as its own lines say; it may just be over."""
        journal = Journal(self.root / "journal")
        under_way = [
            event for event in journal.events[-200:]
            if event.what == "start" and not journal.where(event.attempt, "end")
        ]
        if not under_way:
            return False
        event = self.chance.choice(under_way)
        try:
            pidfd = os.pidfd_open(int(event.value))
        except ProcessLookupError:
            return False
        try:
            if not self._is_attempt(int(event.value), event.attempt):
                return False
            self.victims.add(event.attempt)
            before = time.time()
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            self.strikes.append(Strike("task", before, time.time()))
        finally:
            os.close(pidfd)
        return True

    def _is_attempt(self, pid: int, attempt: Attempt) -> bool:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False
        wanted = {
            f"LTSPEC_ID={attempt[0].rpartition('/')[2]}", f"LTSPEC_ATTEMPT={attempt[1]}",
            f"LTSPEC_STATE_DIR={self.places.state_dir}",
        }
        return {word.encode() for word in wanted} <= set(environment)

    def _kill(self, what: str, *pids: int) -> bool:
        before = time.time()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, POLITE.get(what, signal.SIGKILL))
        if pids:
            self.strikes.append(Strike(what, before, time.time()))
        return bool(pids)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _runs(pid: int, module: str) -> bool:
    return f"\0{module}\0" in _cmdline(pid)


def _cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
