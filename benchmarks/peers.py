"""The programs that ltspec is compared with: how they are called, in a folder of their own each."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.grounds import Grounds, program
from benchmarks.site import timed

TITLES = {"tsp": "task-spooler", "nq": "nq", "parallel": "GNU parallel"}


class Peer:
    """One of them, with its own folder and environment, while it takes part once."""

    def __init__(self, path: str, folder: Path, env: dict[str, str]) -> None:
        self.path = path
        self.folder = folder
        self.env = env

    def do(self, *words: str) -> None:
        """Call it as a shell's loop does, without the shell. Its own output goes nowhere."""
        silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1)]
        argv = [self.path, *words]
        os.waitpid(os.posix_spawn(self.path, argv, self.env, file_actions=silent), 0)

    def timed(self, words: Sequence[str]) -> float:
        """Call it once and return its seconds. Raises Failed."""
        return timed([self.path, *words], self.env, self.folder)


def installed(names: Sequence[str]) -> list[tuple[str, str]]:
    """(name, path) of those that are there."""
    return [(name, path) for name in names if (path := program(name))]


@contextlib.contextmanager
def peer(grounds: Grounds, name: str, slots: int = 1) -> Iterator[Peer]:
    """One of TITLES, ready to take tasks; what it leaves behind goes with the grounds."""
    folder = Path(tempfile.mkdtemp(prefix="peer-", dir=grounds.disk))
    env = grounds.environment(
        TS_SOCKET=f"{folder}/socket", TMPDIR=str(folder), TS_SLOTS=str(slots), NQDIR=str(folder)
    )
    one = Peer(program(name) or name, folder, env)
    try:
        yield one
    finally:
        if name == "tsp":
            one.do("-K")
