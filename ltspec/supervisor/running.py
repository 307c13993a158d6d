"""The attempts that run now, in memory: what the loop needs to watch and end them.

Everything here can be made again from the catalogue; nothing here is the truth.
"""

import os
from collections import Counter
from typing import Any

from ltspec import process
from ltspec.model import TaskSpec
from ltspec.states import End, Finish, Outcome, Status, decide_end


class Running:
    """One attempt whose process has been started and whose end is not committed."""

    __slots__ = (
        "_failure",
        "deadline", "ended_by", "error_fd", "file", "finished", "group", "id", "is_over", "key",
        "ladder", "lock", "manager", "needed", "number", "pid", "pidfd", "published", "queue",
        "quiet", "retried",
        "script", "seen", "spec", "started_boot", "survivors", "ticks", "token", "uid",
    )

    def __init__(
        self,
        *,
        key: int,
        number: int,
        token: str,
        spec: TaskSpec,
        file: str,
        pid: int,
        ticks: int,
        pidfd: int,
        started_boot: float,
        retried: int,
        uid: int,
        lock: int | None = None,
        error_fd: int | None = None,
        script: str | None = None,
        group: str = "",
        ended_by: str = "",
        needed: bool = False,
        quiet: int = -1,
    ) -> None:
        self.key = key
        self.number = number
        self.token = token
        self.spec = spec
        self.manager = spec.manager
        self.queue = spec.queue
        self.id = spec.id
        self.file = file
        self.pid = pid
        self.ticks = ticks
        self.pidfd = pidfd
        self.started_boot = started_boot
        self.retried = retried
        self.uid = uid
        self.lock = lock
        self.error_fd = error_fd
        self.script = script
        self.group = group             # its control group, "" where it has none of its own
        self.ended_by = ended_by
        self.needed = needed           # others need it, as was known in the quiet time
        self.quiet = quiet             # of this number, in which it was started
        self.seen: Any = None          # states.Seen once the process has ended
        self.is_over = False           # it waits for the commit of its end
        self.ladder: Any = None        # stopping.Ladder while ltspec ends it
        self.survivors = ""
        self._failure: process.StartFailure | None = None
        self.finished = False          # the PID-file shows what the task said of itself
        self.published = lock is not None
        self.deadline = started_boot + spec.timeout if spec.timeout else None

    @property
    def line(self) -> tuple[str, str]:
        """The line whose slot it holds."""
        return self.manager, self.queue

    def close(self) -> None:
        """Let go of its descriptors (after its end was committed)."""
        for number in (self.pidfd, self.lock, self.error_fd):
            if number is not None and number >= 0:
                os.close(number)
        self.lock = self.error_fd = None

    def start_failure(self) -> process.StartFailure | None:
        """Why the child never came to its exec; kept, for a commit that has to be tried again."""
        if self._failure is None and self.error_fd is not None:
            self._failure = process.read_failure(self.error_fd)
        return self._failure


    def decide(self, said: Finish | None) -> End:
        """How it has ended; `said` is what it said of itself."""
        failure = self.start_failure()
        if failure and not self.ended_by:
            return End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {failure.words}")
        return decide_end(
            self.seen, success_codes=self.spec.success_codes, ended_by=self.ended_by, finish=said,
            must_report=self.spec.report == "self",
        )


class Table:
    """The running attempts by task and by pidfd, and the slots taken in each line."""

    def __init__(self) -> None:
        self.by_key: dict[int, Running] = {}
        self.by_pidfd: dict[int, Running] = {}
        self.taken: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return len(self.by_key)

    def add(self, running: Running) -> None:
        """Take a slot."""
        self.by_key[running.key] = running
        self.by_pidfd[running.pidfd] = running
        self.taken[running.line] += 1

    def add_over(self, running: Running) -> None:
        """Take a slot for an attempt that is over and whose end is about to be committed."""
        self.by_key[running.key] = running
        self.taken[running.line] += 1

    def discard(self, running: Running) -> None:
        """Give the slot back."""
        del self.by_key[running.key]
        self.by_pidfd.pop(running.pidfd, None)
        self.taken[running.line] -= 1
        if not self.taken[running.line]:
            del self.taken[running.line]
