"""A catalogue that tests fill by hand, asked through the real `mgrctl` command.

For what concerns running tasks the tests use `host`, with a real supervisor.
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ltspec.catalogue import Store, enqueue, lifecycle, open_store
from ltspec.client import connect
from ltspec.clock import boot_id, now
from ltspec.decision import Verdict
from ltspec.model import TaskSpec
from ltspec.paths import Places
from ltspec.states import End, Outcome, Status


class Filled:
    """Tasks in every state, without a supervisor; `host` is where they are asked for."""

    def __init__(self, host: Any, store: Store) -> None:
        self.host = host
        self.store = store
        self.mgrctl = host.mgrctl

    def task(self, task: str, queue: str = "", *parameters: str, **fields: Any) -> int:
        """A waiting task; returns its key."""
        fields.setdefault("command", ("bin/work",))
        spec = TaskSpec(id=task, queue=queue, parameters=parameters, **fields)
        with self.store.write():
            change = enqueue.enqueue(
                self.store, [spec], lambda _there, _spec: Verdict("created"),
                now=now(), boot_id=boot_id(),
            )[0]
        assert change.key is not None
        return change.key

    def start(self, key: int, token: str = "token") -> int:
        """QUE -> RUN, without a process; the task must be the next of its line."""
        manager, queue = self.store.row("SELECT manager, queue FROM task WHERE key = ?", (key,))
        ready = lifecycle.next_ready(self.store, manager, queue)
        assert ready is not None
        assert ready.key == key
        digest = TaskSpec.from_json(ready.spec).hash
        start = lifecycle.Start(
            key, ready.attempts + 1, token, boot_id(), now().wall, now().boot, digest
        )
        with self.store.write():
            lifecycle.record_start(self.store, start)
        return key

    def end(self, key: int, detail: str = "") -> int:
        """RUN -> OK, or ERR with `detail`."""
        end = End(Status.ERR, Outcome.EXIT, detail) if detail else End(Status.OK, Outcome.SUCCEEDED)
        (number,) = self.store.row("SELECT attempts FROM task WHERE key = ?", (key,))
        with self.store.write():
            lifecycle.end_attempt(
                self.store, key, number, end, now=now(), boot_id=boot_id()
            )
        return key

    def failed(self, task: str, queue: str = "", *parameters: str, **fields: Any) -> int:
        """A task that has ended `ERR exit code 3`."""
        return self.end(self.start(self.task(task, queue, *parameters, **fields)), "exit code 3")

    def running(self, task: str, queue: str = "", *parameters: str, **fields: Any) -> int:
        """A task that runs, as far as the catalogue knows."""
        return self.start(self.task(task, queue, *parameters, **fields))

    def elid(self, reference: str, manager: str = "ltspec") -> str:
        """The PID-file's path."""
        return f"{self.host.run_dir}/{manager}/{reference}"

    def xml(self, *arguments: str) -> ET.Element:
        """The parsed answer of `mgrctl -o xml …`, whose exit code is 0."""
        return ET.fromstring(self.mgrctl("-o", "xml", *arguments, code=0).stdout)

    def status(self, key: int) -> str:
        """The status as `longtask` shows it."""
        elid = "/".join(
            [str(self.host.run_dir)]
            + [part for part in self.store.row(
                "SELECT manager, queue, file FROM task WHERE key = ?", (key,)) if part]
        )
        return self.xml("longtask.edit", f"elid={elid}").findtext("status", "")

    def snapshot(self) -> list[str]:
        """The whole catalogue as SQL: to see that nothing was touched."""
        return list(self.store.connection.iterdump())


@pytest.fixture
def filled(host: Any) -> Iterator[Filled]:
    """An empty catalogue of an isolated host."""
    host.state_dir.mkdir(mode=0o700)
    host.run_dir.mkdir()
    store = open_store(str(host.state_dir / "catalogue.db"), create=True)
    yield Filled(host, store)
    store.close()


PROGRAM = """
import json, os, socket, sys
import ltspec.client, ltspec.config, ltspec.mgrctl.finish, ltspec.mgrctl.functions
uid = int(os.environ.get("TEST_UID", "65534"))
os.setgroups([]); os.setgid(uid); os.setuid(uid)
from ltspec.mgrctl.command import main
sys.exit(main())
"""


@pytest.fixture
def as_another_user() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`as_another_user(host, *arguments, env={})`: mgrctl as nobody (or as TEST_UID of `env`).

    The interpreter may be where that user cannot go, so all is imported before. Without root
    nobody can become another user: then the directory is closed to ourselves, the same to see.
    """

    def run(host: Any, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        program = PROGRAM
        if os.geteuid() != 0:
            host.state_dir.chmod(0)
            program = "import sys; from ltspec.mgrctl.command import main; sys.exit(main())"
        return subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True,
            check=False, cwd="/", env={**host.env, **options.get("env", {})}, timeout=60,
        )

    return run


@pytest.fixture
def submit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`submit(host, *specs)`: as `apply` does it, without a file; starts the supervisor."""

    def do(host: Any, *specs: TaskSpec) -> None:
        for name in ("LTSPEC_STATE_DIR", "LTSPEC_RUN_DIR"):
            monkeypatch.setenv(name, host.env[name])
        where = Places(str(host.state_dir), str(host.run_dir))
        connection = connect(where)
        assert connection is not None
        with connection:
            store = open_store(where.catalogue)
            with store.write(durable=True):
                enqueue.enqueue(
                    store, specs, lambda there, _spec: Verdict("rerun" if there else "created"),
                    now=now(), boot_id=boot_id(),
                )
            store.close()
            connection.sync()

    return do
