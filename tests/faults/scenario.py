"""One kill at one step, and what became of three tasks, their reports and their hooks.

The supervisor is started through `dying_supervisor.py`, which strikes the first time it comes to
the step: at itself, at its guardian, or at both. Afterwards everything has to be as if nothing had
happened, but for what DESIGN 5 allows to be `lost`.
"""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ltspec import client, clock, starter
from ltspec.catalogue import enqueue, open_store
from ltspec.decision import decide
from ltspec.model import TaskSpec
from ltspec.paths import Places

VICTIMS = ("supervisor", "guardian", "both")
SECONDS = 30
# Between these two lines of the journal nobody can know whether a start happened, unless its
# process is still there.
UNKNOWN = {"start.begun", "start.spawned"}
TOLD = 'echo "$LTSPEC_REFERENCE" >> $0'


def may_be_lost(step: str, victim: str) -> int:
    """How many of the tasks, which run one after the other, a kill at this step may cost."""
    if victim == "supervisor":
        return int(step in UNKNOWN)
    return int(victim == "both")


class Row(NamedTuple):
    """What the catalogue says of a task."""

    id: str
    status: str
    outcome: str
    code: int | None
    pid: int | None
    dirty: int


class Scenario:
    """A state directory of its own with a supervisor that a program of the tests has changed.

    `environment` is for that program; `dying_supervisor.py` strikes at `step`.
    """

    def __init__(
        self, root: Path, step: str = "", victim: str = "", program: str = "dying_supervisor.py",
        **environment: str,
    ) -> None:
        self.root = root
        self.step = step
        self.victim = victim
        self.places = Places(str(root / "state"), str(root / "run"))
        self.died = root / "died"
        self.ran, self.told, self.reported = root / "ran", root / "told", root / "reported"
        for file in (self.ran, self.told, self.reported):
            file.touch()
        self.mgrctl = root / "mgrctl"
        self.mgrctl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{self.reported}\n')
        self.mgrctl.chmod(0o755)
        os.mkdir(self.places.state_dir, 0o700)
        self.guardian = subprocess.Popen(
            [sys.executable, "-I", "-m", "ltspec.supervisor.guardian", "--idle-exit", "0.3",
             "--state-dir", self.places.state_dir, "--run-dir", self.places.run_dir,
             "--supervisor", str(Path(__file__).with_name(program))],
            env={**starter.fixed_environment(), "FAULT_STEP": step, "FAULT_VICTIM": victim,
                 "FAULT_MARK": str(self.died), **environment},
            stderr=subprocess.DEVNULL,
        )

    def spec(self, name: str, text: str, **fields: Any) -> TaskSpec:
        """A task that writes its name, does `text`, reports, and has a hook."""
        fields.setdefault("queue", "q")
        return TaskSpec(
            id=name, cwd=str(self.root), hash="h", mgrctl=str(self.mgrctl),
            command=("/bin/sh", "-c", f"echo {name} >> {self.ran}; echo out; {text}"),
            on_finish=({"when": "always", "command": ["/bin/sh", "-c", TOLD, str(self.told)]},),
            **fields,
        )

    def submit(self, *specs: TaskSpec) -> None:
        """Connect, commit, tell."""
        now = clock.now()
        with self.reach() as connection:
            store = open_store(self.places.catalogue)
            with store.write(durable=True):
                store.set_setting("retention_tasks", "100")
                enqueue.enqueue(
                    store, specs, functools.partial(decide, force=False, now=now.wall),
                    now=now, boot_id=clock.boot_id(),
                )
            store.close()
            with contextlib.suppress(client.ConnectionLost):
                connection.sync(SECONDS)

    def reach(self) -> Any:
        """A connection; where the guardian was killed too, it may have to start a supervisor."""
        start = self.victim != "supervisor" and self.died.exists()
        return wait_until(
            lambda: client.connect(self.places, start=start, idle_exit=0.3), "a supervisor answers"
        )

    def rows(self) -> list[Row]:
        """All tasks, in the order of their queue."""
        store = open_store(self.places.catalogue, read_only=True)
        try:
            return [Row(*row) for row in store.execute(
                "SELECT id, task.status, coalesce(task.outcome, ''), attempt.code, pid, dirty"
                " FROM task LEFT JOIN attempt ON task = key AND number = attempts"
                " ORDER BY position"
            )]
        finally:
            store.close()

    def settle(self) -> None:
        """Until all tasks have ended, are published, reported and told of."""
        if self.victim == "both":
            self.reach().close()
        wait_until(lambda: all(r.status in ("OK", "ERR") and not r.dirty for r in self.rows()),
                   "all end and are published")
        count = len(self.rows())
        for file in (self.reported, self.told):
            wait_until(
                functools.partial(_has_lines, file, count), f"{count} lines in {file.name}"
            )

    def status(self, name: str) -> str:
        """The first line of the PID-file."""
        path = Path(self.places.run_dir, "ltspec", "q", name)
        return path.read_text().split("\n", 1)[0].rstrip()

    def close(self) -> None:
        """End whoever is left of it."""
        until = time.monotonic() + SECONDS
        while (left := _processes(self.root)) and time.monotonic() < until:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.guardian.poll()
            time.sleep(0.01)
        self.guardian.wait(SECONDS)


def run(root: Path, step: str, victim: str) -> tuple[list[str], list[str]]:
    """Three tasks that end with 0, 1 and 2, one after the other, and a kill: (what is wrong, which
    of them are lost)."""
    scenario = Scenario(root, step, victim)
    try:
        scenario.submit(*(scenario.spec(f"t{code}", f"exit {code}") for code in range(3)))
        wait_until(scenario.died.exists, f"the kill at {step}")
        if step == "exit.decided":              # it had nothing to do; work that comes is done
            scenario.submit(scenario.spec("t3", "exit 3"))
        scenario.settle()
        return list(_wrong(scenario)), [row.id for row in scenario.rows() if row.outcome == "lost"]
    finally:
        scenario.close()


def _wrong(scenario: Scenario) -> "list[str]":
    wrong = []
    rows = scenario.rows()
    ran = lines(scenario.ran)
    if len(ran) != len(set(ran)) or ran != sorted(ran):
        wrong.append(f"they ran as {ran}")
    lost = {row.id for row in rows if row.outcome == "lost"}
    if len(lost) > may_be_lost(scenario.step, scenario.victim):
        wrong.append(f"lost are {sorted(lost)}")
    for row in rows:
        code = int(row.id[1])
        status = "OK" if code == 0 else f"ERR exit code {code}"
        if row.id in lost:
            status = "ERR crashed"
        elif (row.code, row.id in ran) != (code, True):
            wrong.append(f"{row} ran {ran.count(row.id)} times")
        elif Path(scenario.places.log("ltspec", "q", row.id, 1)).read_text() != "out\n":
            wrong.append(f"{row.id} has lost its log")
        if scenario.status(row.id) != status:
            wrong.append(f"the PID-file of {row.id} says {scenario.status(row.id)}, not {status}")
        words = f"elid={scenario.places.run_dir}/ltspec/q/{row.id} status="
        words += "ok" if status == "OK" else f"err errmsg={status[4:]}"
        if sum(call.endswith(words) for call in lines(scenario.reported)) != 1:
            wrong.append(f"not once reported: {words}")
    if sorted(lines(scenario.told)) != sorted(f"q/{row.id}" for row in rows):
        wrong.append(f"told of {lines(scenario.told)}")
    return wrong


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value. Raises TimeoutError naming what did not come."""
    until = time.monotonic() + SECONDS
    while not (value := condition()):
        if time.monotonic() > until:
            raise TimeoutError(f"not within {SECONDS} s: {what}")
        time.sleep(0.01)
    return value


def _has_lines(file: Path, count: int) -> bool:
    return len(lines(file)) >= count


def lines(file: Path) -> list[str]:
    """The lines that were appended to a file."""
    return file.read_text().splitlines()


def _processes(root: Path) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            told = Path(f"/proc/{name}/cmdline").read_bytes()
            if os.fsencode(root) in told + Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
    return found
