"""The engine, driven from outside: real supervisor, real tasks, through client and enqueue."""

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ltspec import client, clock
from ltspec.catalogue import Store, enqueue, listing, open_store
from ltspec.decision import decide
from ltspec.model import Task, TaskSpec
from ltspec.paths import Places


class Engine:
    """One host's supervisor: connect, submit, wait for what the catalogue then says."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.places = Places(str(host.state_dir), str(host.run_dir))
        self.idle_exit: float | None = 30.0
        self._connection: client.Connection | None = None
        self._store: Store | None = None

    # -- reaching it ------------------------------------------------------------------------

    @property
    def connection(self) -> client.Connection:
        """A connection that watches; the supervisor is started where none runs."""
        if self._connection is None:
            self._connection = client.connect(self.places, idle_exit=self.idle_exit)
            assert self._connection is not None
            self._connection.watch()
        return self._connection

    @property
    def store(self) -> Store:
        if self._store is None:
            self.connection.fileno()
            self._store = open_store(self.places.catalogue)
        return self._store

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        self.disconnect()
        if self._store is not None:
            self._store.close()
            self._store = None

    @property
    def supervisor(self) -> int:
        return int(self.connection.hello["pid"])

    @property
    def guardian(self) -> int:
        return int(Path(self.places.lock).read_text())

    @property
    def log(self) -> str:
        return Path(self.places.supervisor_log).read_text()

    # -- submitting -------------------------------------------------------------------------

    def spec(self, reference: str, *command: str, **fields: Any) -> TaskSpec:
        queue, _, task_id = reference.rpartition("/")
        fields.setdefault("hash", "h1")
        fields.setdefault("cwd", str(self.host.root))
        return TaskSpec(id=task_id, queue=queue, command=command or ("/bin/true",), **fields)

    def sh(self, reference: str, text: str, **fields: Any) -> TaskSpec:
        return self.spec(reference, "/bin/sh", "-c", text, **fields)

    def write(self, *specs: TaskSpec, force: bool = True) -> list[str]:
        """Commit without telling anybody."""
        now = clock.now()
        choose = functools.partial(decide, force=force, now=now.wall)
        with self.store.write(durable=True):
            changes = enqueue.enqueue(
                self.store, specs, choose, now=now, boot_id=clock.boot_id()
            )
        return [change.verdict.action for change in changes]

    def submit(self, *specs: TaskSpec, force: bool = True) -> list[str]:
        self.connection.fileno()
        actions = self.write(*specs, force=force)
        self.connection.sync(20)
        return actions

    def queue(self, name: str, **settings: Any) -> None:
        with self.store.write():
            enqueue.declare_queues(
                self.store, "ltspec", {name: enqueue.QueueSettings(**settings)}
            )
        self.connection.sync(20)

    def ask(self, reference: str, what: str) -> None:
        with self.store.write(durable=True):
            enqueue.request(self.store, self.task(reference).key, what)
        self.connection.sync(20)

    def retry(self, reference: str) -> None:
        with self.store.write(durable=True):
            enqueue.retry(
                self.store, self.task(reference).key, now=clock.now(), boot_id=clock.boot_id()
            )
        self.connection.sync(20)

    # -- looking ----------------------------------------------------------------------------

    def find(self, reference: str) -> Task | None:
        queue, _, task_id = reference.rpartition("/")
        found = listing.tasks(self.store, "WHERE queue = ? AND task.id = ?", (queue, task_id))
        return found[0] if found else None

    def task(self, reference: str) -> Task:
        found = self.find(reference)
        assert found is not None, f"no task {reference}"
        return found

    def until(self, condition: Callable[[], Any], timeout: float = 20, what: str = "") -> Any:
        """The first true value of `condition`, looked at after each event and twice a second."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {timeout:g} s: {what or condition}\n{self.log}")
            try:
                self.connection.wait_event(0.05)
            except client.ConnectionLost:
                self.disconnect()
        return value

    def _is_final(self, reference: str) -> bool:
        return self.task(reference).status.is_final

    def _is_clean(self, reference: str) -> bool:
        return not self.dirty(reference)

    def ended(self, *references: str, timeout: float = 20) -> list[Task]:
        """These tasks once all of them are at a final status and published."""
        for reference in references:
            self.until(
                functools.partial(self._is_final, reference),
                timeout, f"{reference} ends",
            )
            self.until(functools.partial(self._is_clean, reference), timeout, "published")
        return [self.task(reference) for reference in references]

    def run(self, spec: TaskSpec, timeout: float = 20) -> Task:
        """Submit one task and wait for its end."""
        self.submit(spec)
        return self.ended(spec.reference, timeout=timeout)[0]

    def running(self, reference: str) -> Task:
        """The task once its process is there and recorded."""
        self.until(lambda: self.task(reference).pid is not None, what=f"{reference} runs")
        return self.task(reference)

    def dirty(self, reference: str) -> int:
        return int(
            self.store.row("SELECT dirty FROM task WHERE key = ?", (self.task(reference).key,))[0]
        )

    def attempts(self, reference: str) -> list[tuple[Any, ...]]:
        """(number, status, outcome, detail, code, signal, started, ended) of each attempt."""
        return self.store.execute(
            "SELECT number, status, outcome, detail, code, signal, started, ended FROM attempt"
            " WHERE task = ? ORDER BY number", (self.task(reference).key,),
        ).fetchall()

    def output(self, reference: str, attempt: int = 1) -> str:
        queue, _, task_id = reference.rpartition("/")
        return Path(self.places.log("ltspec", queue, task_id, attempt)).read_text()

    def path(self, name: str) -> Path:
        return Path(self.host.root, name)

    def lines(self, name: str) -> list[str]:
        """What tasks have appended to a file under the host's root."""
        try:
            return self.path(name).read_text().split()
        except FileNotFoundError:
            return []

    # -- hurting it -------------------------------------------------------------------------

    def kill_supervisor(self) -> None:
        pid = self.supervisor
        self.disconnect()
        os.kill(pid, signal.SIGKILL)
        self.gone(pid)

    def kill_both(self) -> None:
        pids = (self.guardian, self.supervisor)
        self.disconnect()
        os.kill(pids[0], signal.SIGSTOP)      # or it might start another one in between
        for pid in reversed(pids):
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            self.gone(pid)

    def gone(self, pid: int, timeout: float = 20) -> None:
        """Wait until the process does not run any more."""
        deadline = time.monotonic() + timeout
        while _runs(pid):
            assert time.monotonic() < deadline, f"process {pid} still runs"
            time.sleep(0.005)


def _runs(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture
def make_engine() -> Iterator[Callable[[Any], Engine]]:
    """`make_engine(host)`: a further engine, for tests with several hosts or odd ones."""
    with contextlib.ExitStack() as stack:

        def make(host: Any) -> Engine:
            engine = Engine(host)
            stack.callback(engine.close)
            return engine

        yield make


@pytest.fixture
def engine(host: Any, make_engine: Callable[[Any], Engine]) -> Engine:
    """The engine of an isolated host. Nothing is started before it is asked for."""
    return make_engine(host)


@pytest.fixture
def process_runs() -> Callable[[int], bool]:
    """`process_runs(pid)`: it exists and is no zombie."""
    return _runs
