"""An ltspec of its own: state on disk, run directory on tmpfs, nothing left at the end."""

import contextlib
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.grounds import Grounds
from ltspec.client import Connection, connect
from ltspec.paths import Places

LOOK_SECONDS = 0.02       # one question to the catalogue costs a hundredth of this
PATIENCE_SECONDS = 300.0


class Failed(Exception):
    """What was measured did not do its work; its time would mean nothing."""


class Site:
    """One state directory and one run directory; a context manager that ends all that it began.

    `config` is the text of the configuration; without one none is read, as on most hosts.
    """

    def __init__(self, grounds: Grounds, config: str = "") -> None:
        self.grounds = grounds
        self.root = Path(tempfile.mkdtemp(prefix="site-", dir=grounds.disk))
        self.run_dir = Path(tempfile.mkdtemp(prefix="ltspec-benchmarks-", dir=grounds.memory))
        self.places = Places(str(self.root / "state"), str(self.run_dir))
        self.config = ""
        if config:
            self.configure(config)
        self.env = grounds.environment(
            LTSPEC_STATE_DIR=self.places.state_dir, LTSPEC_RUN_DIR=self.places.run_dir
        )
        self._foreground: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Site":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        shutil.rmtree(self.run_dir)      # the rest goes with the grounds; see their docstring

    def command(self, name: str, *words: str | Path) -> list[str]:
        """The argv of `ltspec NAME WORDS…` as a user of this site types it."""
        config = ["--config", self.config] if self.config else []
        return [str(self.grounds.bin / "ltspec"), *config, name, *map(str, words)]

    def configure(self, text: str) -> None:
        """Use this configuration from now on; none where the text is empty."""
        path = self.root / "config.yml"
        path.write_text(text)
        self.config = str(path) if text else ""

    def ltspec(self, name: str, *words: str | Path, **env: str) -> float:
        """Run `ltspec NAME WORDS…` to its end and return its seconds. Raises Failed."""
        return self.run(self.command(name, *words), **env)

    def run(self, argv: list[str], **env: str) -> float:
        """Run any command to its end and return its seconds. Raises Failed unless it gives 0."""
        return timed(argv, {**self.env, **env}, self.root)

    def supervise(self) -> None:
        """Start a supervisor that does not leave, and return when it answers."""
        self._foreground = subprocess.Popen(
            self.command("supervise"), env=self.env, cwd=self.root,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not os.path.exists(self.places.socket):
            if time.monotonic() > deadline or self._foreground.poll() is not None:
                raise Failed("the supervisor does not start")
            time.sleep(LOOK_SECONDS)
        self.connect().close()

    def connect(self) -> Connection:
        """A connection to the supervisor that runs; its hello has come. Raises Failed."""
        connection = connect(self.places, start=False)
        if connection is None:
            raise Failed("no supervisor answers")
        return connection

    def ask(self, sql: str, *values: Any) -> Any:
        """The first value of a question to the catalogue."""
        with contextlib.closing(self.open(read_only=True)) as connection:
            return connection.execute(sql, values).fetchone()[0]

    def open(self, *, read_only: bool) -> sqlite3.Connection:
        """The catalogue itself."""
        mode = "ro" if read_only else "rw"
        return sqlite3.connect(f"file:{self.places.catalogue}?mode={mode}", uri=True, timeout=20)

    def until_idle(self, queue: str = "%") -> None:
        """Return when nothing waits or runs in the queue (default: in any); looks so seldom that
        it costs nothing."""
        with contextlib.closing(self.open(read_only=True)) as connection:
            deadline = time.monotonic() + PATIENCE_SECONDS
            live = ("SELECT EXISTS (SELECT 1 FROM task WHERE status IN ('QUE', 'RUN')"
                    " AND queue LIKE ?)")
            while connection.execute(live, (queue,)).fetchone()[0]:
                if time.monotonic() > deadline:
                    raise Failed("the tasks do not end")
                time.sleep(LOOK_SECONDS)

    def until_running(self, tasks: int) -> None:
        """Return when so many tasks run, with a recorded process each."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        running = "SELECT count(*) FROM attempt WHERE ended IS NULL AND pid IS NOT NULL"
        while self.ask(running) != tasks:
            if time.monotonic() > deadline:
                raise Failed(f"{self.ask(running)} of {tasks} tasks run")
            time.sleep(LOOK_SECONDS)

    def last_end(self, tasks: int) -> float:
        """When the last of so many tasks ended, seconds since 1970. Raises Failed unless all OK."""
        self.until_idle()
        good = self.ask("SELECT count(*) FROM task WHERE status = 'OK'")
        if good != tasks:
            raise Failed(f"{good} of {tasks} tasks ended OK")
        return float(self.ask("SELECT max(ended) FROM task"))

    def guardian(self) -> int:
        """The pid of the guardian, 0 where none was ever started."""
        with contextlib.suppress(FileNotFoundError):
            return int(Path(self.places.lock).read_text() or 0)
        return 0

    def processes(self) -> list[int]:
        """Every ltspec process that serves this site, not the tasks."""
        return [pid for pid in _pids() if self._serves(pid)]

    def supervisor(self) -> int:
        """The pid of the supervisor that answers."""
        with self.connect() as connection:
            return int(connection.hello["pid"])

    def _serves(self, pid: int) -> bool:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            ours = any(word.startswith(b"ltspec.") for word in words)
            return ours and os.fsencode(self.places.state_dir) in words
        return False

    def end(self) -> None:
        """End supervisor and guardian, then what is left of the tasks; again is harmless."""
        guardian = self.guardian()
        if guardian:
            with _watched(guardian) as gone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(guardian, signal.SIGTERM)
                if self._foreground is not None:
                    self._foreground.wait()
                gone()
            for pid in self._running():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            Path(self.places.lock).unlink()
        self._foreground = None

    def _running(self) -> list[int]:
        with contextlib.closing(self.open(read_only=True)) as connection:
            return [
                row[0] for row in connection.execute(
                    "SELECT pid FROM attempt WHERE ended IS NULL AND pid IS NOT NULL"
                )
            ]


def timed(argv: list[str], env: dict[str, str], cwd: Path) -> float:
    """Run a command to its end and return its seconds. Raises Failed unless it ends with 0."""
    begun = time.perf_counter()
    done = subprocess.run(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, check=False,
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        raise Failed(f"{' '.join(argv)} ended with {done.returncode}\n{said}")
    return seconds


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[Any]:
    """Gives a function that returns when the process is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield lambda: None
        return
    try:
        yield lambda: select.select([descriptor], [], [], PATIENCE_SECONDS)
    finally:
        os.close(descriptor)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
