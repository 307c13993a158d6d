"""A catalogue that tests fill by hand, and the sender as the process that the supervisor starts."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ltspec.catalogue import Store, details, enqueue, lifecycle, open_store
from ltspec.clock import boot_id, now
from ltspec.decision import Verdict
from ltspec.model import Report, TaskSpec
from ltspec.states import End, Outcome, Status


class Outbox:
    """A catalogue whose tasks have ended, without a supervisor."""

    def __init__(self, root: Path, store: Store) -> None:
        self.state_dir = root / "state"
        self.run_dir = root / "run"
        self.store = store

    def ended(self, mgrctl: Path | str, task: str = "a", detail: str = "", **fields: Any) -> int:
        """A task that has just ended OK, or ERR with `detail`; returns its key."""
        spec = TaskSpec(id=task, command=("/bin/true",), mgrctl=str(mgrctl), **fields)
        with self.store.write():
            change = enqueue.enqueue(
                self.store, [spec], lambda there, _spec: Verdict("rerun" if there else "created"),
                now=now(), boot_id=boot_id(),
            )[0]
        assert change.key is not None
        self.end(change.key, detail)
        return change.key

    def end(self, key: int, detail: str = "") -> None:
        end = End(Status.ERR, Outcome.EXIT, detail) if detail else End(Status.OK, Outcome.SUCCEEDED)
        with self.store.write():
            lifecycle.end_waiting(self.store, key, end, now=now())

    def send(self, time_limit: float = 20) -> None:
        """Run the sender once, to its end."""
        subprocess.run(self.command(time_limit), check=True, timeout=60, env=self.environment)

    def command(self, time_limit: float) -> list[str]:
        return [
            sys.executable, "-m", "ltspec.report.sender", "--state-dir", str(self.state_dir),
            "--run-dir", str(self.run_dir), "--time-limit", str(time_limit),
        ]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONWARNINGS": "error"}

    def make_due(self) -> None:
        """As if the delay until the next try were over."""
        with self.store.write():
            self.store.execute("UPDATE report SET next_try = 0 WHERE state = 'pending'")

    def reports(self, key: int) -> list[Report]:
        """Every report about the task, the newest first."""
        return details.reports(self.store, key)[::-1]

    def report(self, key: int) -> Report:
        """The newest report of the task."""
        return self.reports(key)[0]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    """An empty catalogue with a run directory."""
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "run").mkdir()
    store = open_store(str(tmp_path / "state" / "catalogue.db"), create=True)
    yield Outbox(tmp_path, store)
    store.close()


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """`script(text)`: an executable shell script."""

    def make(text: str, name: str = "script") -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return make
