"""What a task last said of its progress: the last line `NN% text` of its $LTSPEC_PROGRESS file.

A task may write anything there: at most the last 400 bytes are looked at, and what is not of the
form is no progress.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ltspec.paths import PROGRESS_SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ltspec.model import Task
    from ltspec.paths import Places

_TAIL = 400


class Progress(NamedTuple):
    """Percent from 0 to 100 and what the task is doing."""

    percent: int
    text: str

    def __str__(self) -> str:
        return f"{self.percent}% {self.text}".rstrip()


def of_task(where: Places, task: Task) -> Progress | None:
    """The progress of a running task; None where it says nothing."""
    if task.status != "RUN":
        return None
    return read(where.log(task.manager, task.queue, task.id, task.attempts) + PROGRESS_SUFFIX)


def read(path: str) -> Progress | None:
    """The last whole statement in the file. The file is the task's: no links, no FIFOs."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None      # no such file: the task says nothing
    try:
        size = os.fstat(handle).st_size
        data = os.pread(handle, _TAIL, max(0, size - _TAIL))
    except OSError:
        return None
    finally:
        os.close(handle)
    for line in reversed(data.decode(errors="replace").splitlines()):
        found = parse(line)
        if found is not None:
            return found
    return None


def parse(line: str) -> Progress | None:
    """`40% copying` or `40 copying`; None for anything else."""
    number, _, text = line.strip().replace("%", " ", 1).partition(" ")
    if not number.isascii() or not number.isdigit() or len(number) > 3 or int(number) > 100:
        return None
    return Progress(int(number), text.strip())
