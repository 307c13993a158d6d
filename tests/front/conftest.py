"""A catalogue made by hand, for commands that only look: no supervisor touches it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ltspec.catalogue import Store, lifecycle, open_store
from ltspec.catalogue.enqueue import enqueue
from ltspec.clock import Now
from ltspec.clock import now as read_clock
from ltspec.model import TaskSpec
from ltspec.states import End, Outcome, Status


def _created(*_: object) -> Any:
    from ltspec.decision import Verdict

    return Verdict("created")


class Catalogue:
    """Puts tasks into the states that a test wants to see."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = read_clock()

    def later(self, seconds: float) -> Now:
        return Now(self.now.wall + seconds, self.now.boot + seconds)

    def add(self, *specs: TaskSpec, ago: float = 100) -> list[int]:
        with self.store.write():
            changes = enqueue(
                self.store, specs, _created, now=self.later(-ago), boot_id="this-boot"
            )
        return [change.key or 0 for change in changes]

    def start(self, key: int, *, ago: float = 60, pid: int = 4242) -> int:
        attempts, digest = self.store.row("SELECT attempts, hash FROM task WHERE key = ?", (key,))
        then = self.later(-ago)
        start = lifecycle.Start(
            key, attempts + 1, "token", "this-boot", then.wall, then.boot, digest, pid, 1
        )
        with self.store.write():
            lifecycle.record_start(self.store, start)
        return start.number

    def end(self, key: int, number: int, end: End, *, ago: float = 30) -> None:
        with self.store.write():
            lifecycle.end_attempt(
                self.store, key, number, end, now=self.later(-ago), boot_id="this-boot"
            )

    def ran(self, spec: TaskSpec, end: End, *, ago: float = 30, took: float = 10) -> int:
        (key,) = self.add(spec, ago=ago + took)
        self.end(key, self.start(key, ago=ago + took), end, ago=ago)
        return key

    def succeeded(self, spec: TaskSpec, **times: float) -> int:
        return self.ran(spec, End(Status.OK, Outcome.SUCCEEDED, "", 0), **times)

    def failed(self, spec: TaskSpec, code: int = 3, **times: float) -> int:
        return self.ran(spec, End(Status.ERR, Outcome.EXIT, f"exit code {code}", code), **times)


@pytest.fixture
def catalogue(host: Any) -> Iterator[Catalogue]:
    """The host's catalogue, empty, opened for writing."""
    host.state_dir.mkdir(mode=0o700)
    host.run_dir.mkdir(mode=0o711)
    store = open_store(str(host.state_dir / "catalogue.db"), create=True)
    with contextlib.closing(store):
        yield Catalogue(store)


@pytest.fixture
def spec() -> Callable[..., TaskSpec]:
    """`spec("backups/b1", command=("tar",))`."""

    def make(reference: str, **fields: Any) -> TaskSpec:
        queue, _, task_id = reference.rpartition("/")
        fields.setdefault("command", ("/bin/true",))
        fields.setdefault("hash", "h1")
        return TaskSpec(id=task_id, queue=queue, **fields)

    return make
