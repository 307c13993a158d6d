"""Runs real ltspec commands, several at once, some of which are killed at a random moment.

An `apply` is repeated until it has come to its end by itself: what a killed one had committed is
found unchanged. Commands that look are killed too, and lose nothing. What any of them answers that
it must not answer (a traceback, a bug of ltspec) is kept in `wrong`.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.chaos.plan import Job, chances, write_file

GOOD = (0, 5)          # 5: could not do it, as when the supervisor was killed again and again
LOOKS = ("list", "show", "wait", "logs", "queue", "why", "wake")


class Commands:
    """Starts commands and counts; used by several threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            **os.environ, "NO_COLOR": "1", "LTSPEC_CONFIG": f"{root}/ltspec.yml",
            "LTSPEC_STATE_DIR": f"{root}/state", "LTSPEC_RUN_DIR": f"{root}/run",
        }
        self.lock = threading.Lock()
        self.killed = 0
        self.done = 0
        self.told_again = 0
        self.waited: list[tuple[str, int]] = []      # what `ltspec wait TASK` ended with
        self.wrong: list[str] = []

    def apply(self, path: Path, chance: random.Random) -> None:
        """Until one has ended by itself and well; now and then two of them at once."""
        while True:
            others = [self.start("apply", str(path))] if chance.random() < 0.2 else []
            code = self.end(self.start("apply", str(path)), chance, share=0.3)
            codes = [self.end(other, chance, share=0.5) for other in others]
            if 0 in (code, *codes):
                return
            with self.lock:
                self.told_again += 1

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`ltspec …` with its errors in a pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", "ltspec", *arguments], env=self.environment, cwd=self.root,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )

    def end(
        self, process: "subprocess.Popen[str]", chance: random.Random, *, share: float,
        good: tuple[int, ...] = GOOD,
    ) -> int:
        """Wait for it, in a `share` of cases not without a SIGKILL; its exit code."""
        if chance.random() < share:
            time.sleep(chance.random() * 0.6)
            process.kill()
        _, errors = process.communicate()
        code = process.returncode
        with self.lock:
            self.done += 1
            self.killed += code == -signal.SIGKILL
            if code not in (*good, -signal.SIGKILL):
                self.wrong.append(f"{process.args!r} ended with {code}: {errors.strip()[-500:]}")
        return code


class Submitters:
    """Threads that apply the plan's files, no further ahead than they are let."""

    def __init__(self, commands: Commands, files: list[list[Job]], seed: int, threads: int) -> None:
        self.commands = commands
        self.files = files
        self.submitted: list[Job] = []
        self.condition = threading.Condition()
        self.next = 0
        self.allowed = 0
        self.closed = False
        self.threads = [
            threading.Thread(target=self._work, args=(chances(seed, f"submit {number}"),))
            for number in range(threads)
        ]
        for thread in self.threads:
            thread.start()

    def let(self, files: float) -> None:
        """So many files may be submitted by now."""
        with self.condition:
            self.allowed = max(self.allowed, int(files))
            self.condition.notify_all()

    def close(self) -> None:
        """No new file from here on."""
        with self.condition:
            self.closed = True
            self.condition.notify_all()

    @property
    def busy(self) -> bool:
        """True while one of them works or will."""
        return any(thread.is_alive() for thread in self.threads)

    def _work(self, chance: random.Random) -> None:
        while (jobs := self._take()) is not None:
            self.commands.apply(write_file(self.commands.root, jobs), chance)

    def _take(self) -> list[Job] | None:
        with self.condition:
            while self.next < len(self.files) and self.next >= self.allowed and not self.closed:
                self.condition.wait()
            if self.closed or self.next >= len(self.files):
                return None
            self.next += 1
            self.submitted += self.files[self.next - 1]
            return self.files[self.next - 1]


class Lookers:
    """One thread that runs commands of those who only want to know."""

    def __init__(self, commands: Commands, submitters: Submitters, seed: int) -> None:
        self.commands = commands
        self.submitters = submitters
        self.chance = chances(seed, "look")
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def close(self) -> None:
        """End it."""
        self.stop.set()
        self.thread.join()

    def _work(self) -> None:
        while not self.stop.wait(self.chance.random() * 2):
            if not self.submitters.submitted:
                continue
            job = self.chance.choice(self.submitters.submitted)
            command = self.chance.choice(LOOKS)
            others = {"list": [], "queue": ["list"], "wake": []}
            arguments = others.get(command, [job.reference])
            if command == "wait":
                arguments = [job.reference, "--timeout", "3s"]
            # wait has the task's own code; a task may not be known yet, its apply is under way.
            code = self.commands.end(
                self.commands.start(command, *arguments), self.chance, share=0.3,
                good=(0, 1, 2, 5, 7, 124, 125, 137, 139),
            )
            if command == "wait" and code not in (1, 5, -signal.SIGKILL):
                self.commands.waited.append((job.reference, code))
