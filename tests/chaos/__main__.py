"""The chaos run: thousands of tasks with known outcomes while a seeded killer sends SIGKILL.

    python -m tests.chaos [--seed N] [--tasks 400] [--kills 40]
    python -m tests.chaos --tasks 10000 --kills 1000          the long form

It kills supervisor, guardian, both, submitting commands and tasks, in a directory of its own.
Afterwards an auditor that uses what the tasks themselves wrote checks each of them: run at most
once, exactly once unless it is `lost` or was killed, in order within its queue, never more than
the slots at once, and its status, exit code and PID-file right. Ends with 1 where one is wrong.
"""

import argparse
import contextlib
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ltspec import client, clock
from ltspec.catalogue import enqueue, open_store
from ltspec.decision import decide
from ltspec.errors import LtspecError
from ltspec.model import TaskSpec
from ltspec.paths import Places

SLOTS = {"one": 1, "two": 2, "four": 4}
QUEUES = tuple(SLOTS)


def specs(root: Path, first: int, count: int) -> list[TaskSpec]:
    """Task n writes what it does, sleeps a moment, and ends with n modulo 5."""
    made = []
    for number in range(first, first + count):
        queue = QUEUES[number % 3]
        text = (
            f"echo s {number} $$ >> {root}/{queue}; sleep 0.0{number % 4};"
            f" echo e {number} >> {root}/{queue}; exit {number % 5}"
        )
        made.append(
            TaskSpec(id=f"t{number}", queue=queue, command=("/bin/sh", "-c", text), hash="h")
        )
    return made


def submit(places: Places, root: Path, first: int, count: int) -> None:
    """What a command does: connect, commit, sync. Killed anywhere it strands nothing."""
    now = clock.now()
    connection = client.connect(places)
    assert connection is not None
    with contextlib.closing(open_store(places.catalogue)) as store:
        with store.write(durable=True):
            enqueue.enqueue(
                store, specs(root, first, count),
                functools.partial(decide, force=False, now=now.wall), now=now,
                boot_id=clock.boot_id(),
            )
        with contextlib.suppress(LtspecError):
            connection.sync(30)
    connection.close()


def submit_all(places: Places, root: Path, tasks: int, chance: random.Random) -> int:
    """Apply in pieces of 50, each in a process of its own, some of which are killed midway."""
    killed = 0
    for first in range(0, tasks, 50):
        argv = [sys.executable, "-m", "tests.chaos", "--submit", *places, str(root), str(first)]
        while True:
            command = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
            if chance.random() < 0.2:
                time.sleep(chance.random() * 0.3)
                command.kill()
                killed += 1
            if command.wait() == 0:
                break
    return killed


class Killer:
    """Sends SIGKILL to what its seed says, and counts."""

    def __init__(self, places: Places, root: Path, chance: random.Random) -> None:
        self.places, self.root, self.chance = places, root, chance
        self.counts = {"supervisor": 0, "guardian": 0, "both": 0, "task": 0}
        self.victims: set[int] = set()

    def strike(self) -> None:
        what = self.chance.choice(["supervisor"] * 5 + ["guardian", "both", "task", "task"])
        try:
            guardian = int(Path(self.places.lock).read_text())
            children = Path(f"/proc/{guardian}/task/{guardian}/children").read_text().split()
        except (OSError, ValueError):
            return
        supervisors = [int(pid) for pid in children if b"supervisor.main" in _cmdline(int(pid))]
        if what == "task":
            self._kill_task()
        elif supervisors and what == "both":
            with contextlib.suppress(ProcessLookupError):
                os.kill(guardian, signal.SIGSTOP)
            self._kill(what, supervisors[0], guardian)
        elif supervisors:
            self._kill(what, supervisors[0] if what == "supervisor" else guardian)

    def _kill_task(self) -> None:
        with contextlib.closing(open_store(self.places.catalogue)) as store:
            row = store.row(
                "SELECT pid, id FROM attempt JOIN task ON key = task WHERE attempt.ended IS NULL"
                " AND pid IS NOT NULL ORDER BY random() LIMIT 1"
            )
        if row and f"{row[1][1:]} $$".encode() in _cmdline(row[0]):
            self.victims.add(int(row[1][1:]))
            self._kill("task", row[0])

    def _kill(self, what: str, *pids: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.counts[what] += 1


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def audit(places: Places, root: Path, tasks: int, killer: Killer) -> tuple[list[str], int]:
    """What is wrong, and how many attempts are `lost`."""
    wrong: list[str] = []
    with contextlib.closing(open_store(places.catalogue, read_only=True)) as store:
        rows = {
            int(row[0][1:]): row[1:] for row in store.execute(
                "SELECT id, queue, task.status, task.outcome, code FROM task LEFT JOIN attempt"
                " ON attempt.task = key AND number = attempts"
            )
        }
    if len(rows) != tasks:
        wrong.append(f"{tasks - len(rows)} tasks are missing")
    lost = {number for number, row in rows.items() if row[2] == "lost"}
    started = _audit_queues(root, lost | killer.victims, wrong)
    _audit_tasks(places, rows, started, lost | killer.victims, wrong)
    # A kill of the supervisor may cost the one start without a recorded pid; one of the guardian
    # or of both the running ones, at most all slots.
    allowed = killer.counts["supervisor"] + sum(SLOTS.values()) * (
        killer.counts["guardian"] + killer.counts["both"]
    )
    if len(lost) > allowed:
        wrong.append(f"{len(lost)} lost, {allowed} allowed")
    return wrong, len(lost)


def _audit_queues(root: Path, excused: set[int], wrong: list[str]) -> dict[int, int]:
    """Order and slots, from what the tasks wrote; how often each one ran."""
    started: dict[int, int] = {}
    for queue, slots in SLOTS.items():
        order, open_now = [], set()
        for line in (root / queue).read_text().splitlines():
            kind, number = line.split()[0], int(line.split()[1])
            if kind == "e":
                open_now.discard(number)
                continue
            started[number] = started.get(number, 0) + 1
            order.append(number)
            open_now = {n for n in open_now if n not in excused} | {number}
            if len(open_now) > slots:
                wrong.append(f"queue {queue}: {sorted(open_now)} at once, {slots} slots")
        if slots == 1 and order != sorted(order):
            wrong.append(f"queue {queue} is out of order")
    return started


def _audit_tasks(
    places: Places, rows: dict[int, tuple[Any, ...]], started: dict[int, int], excused: set[int],
    wrong: list[str],
) -> None:
    """How often each ran, its status, exit code and PID-file."""
    for number, (queue, status, outcome, code) in sorted(rows.items()):
        runs = started.get(number, 0)
        if runs > 1 or (runs == 0 and number not in excused):
            wrong.append(f"task {number} ran {runs} times ({status} {outcome})")
        if number not in excused and (code != number % 5 or (status == "OK") != (code == 0)):
            wrong.append(f"task {number}: {status} {outcome} code {code}, not {number % 5}")
        first = Path(places.run_dir, "ltspec", queue, f"t{number}").read_text().split("\n")[0]
        if first.split()[0] != status:
            wrong.append(f"task {number}: PID-file {first!r}, catalogue {status}")


def run(seed: int, tasks: int, kills: int) -> int:
    """One whole run; prints its summary."""
    chance = random.Random(seed)  # noqa: S311 - a run can be repeated by its seed
    root = Path(tempfile.mkdtemp(prefix="ltspec-chaos-"))
    places = Places(str(root / "state"), str(root / "run"))
    connection = client.connect(places)
    assert connection is not None
    connection.close()
    with contextlib.closing(open_store(places.catalogue)) as store, store.write():
        settings = {name: enqueue.QueueSettings(slots) for name, slots in SLOTS.items()}
        enqueue.declare_queues(store, "ltspec", settings)
    begun = time.monotonic()
    killer = Killer(places, root, chance)
    pid = os.fork()
    if pid == 0:
        killed = submit_all(places, root, tasks, random.Random(seed))  # noqa: S311 - as above
        (root / "submitters").write_text(str(killed))
        os._exit(0)
    while _live(places, tasks) and time.monotonic() - begun < max(120, tasks):
        if sum(killer.counts.values()) < kills:
            time.sleep(chance.random() * 0.15)
            killer.strike()
        else:
            time.sleep(0.1)
        with contextlib.suppress(LtspecError):
            _wake(places)
    os.waitpid(pid, 0)
    connection = client.connect(places)
    if connection is not None:
        connection.sync(60)
        connection.close()
    wrong, lost = audit(places, root, tasks, killer)
    print(  # noqa: T201 - the summary is what the program is for
        f"seed {seed}: {tasks} tasks, kills {killer.counts}, submitting commands killed"
        f" {(root / 'submitters').read_text()}, {lost} lost, {len(wrong)} wrong,"
        f" {time.monotonic() - begun:.0f} s"
    )
    for line in wrong[:50]:
        print("  " + line)  # noqa: T201 - the same
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(Path(places.lock).read_text()), signal.SIGTERM)
    if not wrong:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if wrong else 0


def _live(places: Places, tasks: int) -> bool:
    with contextlib.closing(open_store(places.catalogue, read_only=True)) as store:
        ended, dirty = store.row(
            "SELECT coalesce(sum(status IN ('OK', 'ERR')), 0), coalesce(sum(dirty > 0), 0)"
            " FROM task"
        )
    return bool(ended < tasks or dirty)


def _wake(places: Places) -> None:
    connection = client.connect(places)
    if connection is not None:
        connection.close()


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--submit", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.submit:
        state, run_dir, root, first = arguments.submit
        submit(Places(state, run_dir), Path(root), int(first), 50)
        return 0
    tasks = -(-arguments.tasks // 50) * 50      # in whole pieces
    return run(arguments.seed, tasks, arguments.kills)


if __name__ == "__main__":
    sys.exit(main())
