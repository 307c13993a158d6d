"""The chaos run: thousands of tasks with known outcomes while a seeded killer sends SIGKILL.

    python -m tests.chaos --seconds 40                       the short one of .ci/run
    python -m tests.chaos --tasks 10000 --kills 1000         the long one

It kills supervisor, guardian, both, report sender, running commands and tasks, while several real
`ltspec apply` at once submit the tasks; afterwards the auditor compares what ltspec says with what
the tasks themselves wrote. Everything happens in a directory of its own, which is left where
something is wrong. Ends with 1 where something is. A seed repeats the same tasks and the same
choices, at moments that the machine's load decides.
"""

import argparse
import collections
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from ltspec import client
from ltspec.catalogue import lifecycle, open_store
from ltspec.errors import LtspecError
from ltspec.paths import Places
from tests.chaos import plan
from tests.chaos.auditor import End, Evidence, Row, Said, audit
from tests.chaos.commands import Commands, Lookers, Submitters
from tests.chaos.journal import Journal
from tests.chaos.killer import Killer

SUBMITTERS = 3
SETTLE_SECONDS = 180.0         # how long the rest may take once nobody is killed any more
LONGEST_PAUSE = 0.5            # between two kills


class Run(NamedTuple):
    """Who takes part."""

    root: Path
    places: Places
    killer: Killer
    commands: Commands
    submitters: Submitters


def run(seed: int, tasks: int, kills: int, seconds: float) -> int:
    """One whole run; prints its summary and what is wrong. 1 where anything is."""
    begun = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="ltspec-chaos-"))
    say(f"seed {seed}: {tasks} tasks, {kills} kills, at most {seconds:g} s of them, in {root}")
    plan.write_program(root)
    drawn = plan.chances(seed, "plan")
    files = [plan.jobs(drawn, number) for number in range(-(-tasks // plan.FILE_SIZE))]
    places = Places(str(root / "state"), str(root / "run"))
    killer = Killer(places, root, plan.chances(seed, "kill"))
    commands = Commands(root)
    it = Run(root, places, killer, commands, Submitters(commands, files, seed, SUBMITTERS))
    lookers = Lookers(commands, it.submitters, seed)
    try:
        hunt(it, kills, begun + seconds)
    finally:
        it.submitters.close()
        lookers.close()
    wrong = [] if settle(it) else [f"not at an end {SETTLE_SECONDS:g} s after the last kill"]
    found = evidence(it)
    wrong += audit(found) + commands.wrong + leave(it)
    summary(seed, it, found, wrong, time.monotonic() - begun)
    if not wrong:
        shutil.rmtree(root)
    return 1 if wrong else 0


def say(text: str) -> None:
    """What the program is for."""
    print(text, flush=True)  # noqa: T201 - it is a program


def hunt(it: Run, kills: int, until: float) -> None:
    """Kill until it is enough or the time is up; work is let in as fast as kills are done."""
    chance = it.killer.chance
    told = time.monotonic()
    files = len(it.submitters.files)
    while it.killer.kills < kills and time.monotonic() < until:
        done = it.killer.kills
        it.submitters.let(files * done / kills + SUBMITTERS)
        time.sleep(chance.random() * LONGEST_PAUSE)
        wake(it.places)
        it.killer.strike()
        if time.monotonic() > told + 60:
            told = time.monotonic()
            say(f"  {done} kills, {len(it.submitters.submitted)} tasks submitted")
    if it.killer.kills >= kills:
        it.submitters.let(files)
        while it.submitters.busy and time.monotonic() < until:
            time.sleep(0.05)


def wake(places: Places) -> None:
    """What a command does that finds nobody: it starts a supervisor."""
    with contextlib.suppress(LtspecError):
        connection = client.connect(places, idle_exit=5.0)
        if connection is not None:
            connection.close()


def settle(it: Run) -> bool:
    """Wait until everything submitted has ended, is published and reported; False: too late."""
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until:
        if it.submitters.busy:
            time.sleep(0.05)
            continue
        wake(it.places)
        with contextlib.closing(open_store(it.places.catalogue, read_only=True)) as store:
            if not lifecycle.has_work(store):
                return True
        time.sleep(0.05)
    return False


def leave(it: Run) -> list[str]:
    """End the supervisor; whoever of this run is still there then is wrong."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(Path(it.places.lock).read_text()), signal.SIGTERM)
    until = time.monotonic() + 20
    while (left := _processes(it.root)) and time.monotonic() < until:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return [f"process {pid} was left: {line}" for pid, line in left.items()]


def _processes(root: Path) -> dict[int, str]:
    """Whoever has the run's directory in its environment or on its command line."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{name}/cmdline").read_bytes()
            if os.fsencode(root) in line + Path(f"/proc/{name}/environ").read_bytes():
                found[int(name)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


def evidence(it: Run) -> Evidence:
    """Everything that the auditor needs."""
    rows: dict[str, Row] = {}
    with contextlib.closing(open_store(it.places.catalogue, read_only=True)) as store:
        for key, queue, name, status, outcome, detail in store.execute(
            "SELECT key, queue, id, status, outcome, detail FROM task"
        ).fetchall():
            attempts = {
                row[0]: Said(End(*row[3:]), row[1], row[2] or 0.0) for row in store.execute(
                    "SELECT number, started, ended, status, outcome, detail, code, signal"
                    " FROM attempt WHERE task = ?", (key,),
                )
            }
            reference = f"{queue}/{name}" if queue else name
            rows[reference] = Row(status, outcome or "", detail, attempts)
    return Evidence(
        it.root, it.places, it.submitters.submitted, Journal(it.root / "journal"), rows,
        it.killer.strikes, it.killer.victims, it.commands.waited,
    )


def summary(seed: int, it: Run, found: Evidence, wrong: list[str], took: float) -> None:
    """What was done, what came of it, and what is wrong."""
    struck = collections.Counter(strike.what for strike in found.strikes)
    attempts = [said for row in found.rows.values() for said in row.attempts.values()]
    outcomes = collections.Counter(said.end.outcome for said in attempts)
    done = it.commands
    say(f"seed {seed}: {len(found.rows)} tasks, {len(attempts)} attempts, {took:.0f} s")
    say(f"  kills   {it.killer.kills}: {_counts(struck)}")
    say(f"  commands {done.done}, {done.killed} of them killed, {done.told_again} applied again")
    skipped = sum(not row.attempts for row in found.rows.values())
    say(f"  ends    {_counts(outcomes)}, skipped {skipped}")
    say(f"  wrong   {len(wrong)}" + (f"; see {it.root}" if wrong else ""))
    for line in wrong[:50]:
        say("    " + line)


def _counts(counted: collections.Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3600.0, help="kill no longer than this")
    arguments = parser.parse_args()
    return run(arguments.seed, arguments.tasks, arguments.kills, arguments.seconds)


if __name__ == "__main__":
    sys.exit(main())
