"""The supervisor is killed at each numbered step; afterwards everything is as it should be."""

import contextlib
import functools
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ltspec import client, clock
from ltspec.catalogue import enqueue, open_store
from ltspec.decision import decide
from ltspec.model import TaskSpec
from ltspec.paths import Places
from ltspec.supervisor.seam import STEPS

PROGRAM = Path(__file__).with_name("dying_supervisor.py")
# Killed within the spawn itself nobody can know whether it happened (DESIGN 5); it is found by its
# mark while it runs.
MAY_BE_LOST = {"start.spawned"}
TOLD = 'echo "$LTSPEC_REFERENCE" >> $0'


@pytest.fixture
def places(host, request):
    """The places of a host whose supervisor dies once at the step `request.param`."""
    os.mkdir(host.state_dir, 0o700)
    environment = {
        **client.fixed_environment(), "FAULT_STEP": request.param,
        "FAULT_MARK": str(host.root / "died"),
    }
    guardian = subprocess.Popen(
        [sys.executable, "-I", "-m", "ltspec.supervisor.guardian", "--idle-exit", "0.3",
         "--state-dir", str(host.state_dir), "--run-dir", str(host.run_dir),
         "--supervisor", str(PROGRAM)],
        env=environment, stderr=subprocess.DEVNULL,
    )
    yield Places(str(host.state_dir), str(host.run_dir))
    guardian.kill()
    guardian.wait()


def reach(places: Places) -> client.Connection:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        connection = client.connect(places, start=False)
        if connection is not None:
            return connection
        time.sleep(0.01)
    pytest.fail("no supervisor answers")


def submit(places: Places, specs: list[TaskSpec]) -> None:
    now = clock.now()
    with reach(places) as connection:
        store = open_store(places.catalogue)
        with store.write(durable=True):
            store.set_setting("retention_tasks", "100")
            enqueue.enqueue(
                store, specs, functools.partial(decide, force=False, now=now.wall),
                now=now, boot_id=clock.boot_id(),
            )
        store.close()
        with contextlib.suppress(client.ConnectionLost):
            connection.sync(20)


def rows(places: Places) -> list[tuple[Any, ...]]:
    store = open_store(places.catalogue, read_only=True)
    try:
        return store.execute(
            "SELECT id, task.status, task.outcome, attempt.code, dirty FROM task LEFT JOIN attempt"
            " ON attempt.task = task.key AND number = attempts ORDER BY position"
        ).fetchall()
    finally:
        store.close()


@pytest.mark.parametrize("places", STEPS, indirect=True)
def test_kill_at_this_step_loses_nothing_and_runs_nothing_twice(
    host, panel, places, wait_until, request
):
    step = request.node.callspec.params["places"]
    ran, told = host.root / "ran", host.root / "told"
    specs = [
        TaskSpec(
            id=f"t{number}", queue="q", cwd=str(host.root), hash="h", mgrctl=str(panel.mgrctl),
            command=("/bin/sh", "-c", f"echo t{number} >> {ran}; echo out; exit {number}"),
            on_finish=({"when": "always", "command": ["/bin/sh", "-c", TOLD, str(told)]},),
        )
        for number in range(3)
    ]
    submit(places, specs)
    died = host.root / "died"
    wait_until(died.exists, what=f"the supervisor dies at {step}")
    if step == "exit.decided":                 # it had nothing to do; work that comes is done
        again = ("/bin/sh", "-c", f"echo t3 >> {ran}; echo out")
        submit(places, [specs[0]._replace(id="t3", command=again)])
    wait_until(
        lambda: all(row[1] in ("OK", "ERR") and not row[4] for row in rows(places)), what="all end"
    )
    count = len(rows(places))
    wait_until(lambda: len({call[3] for call in panel.calls}) == count, what="all are reported")
    wait_until(lambda: told.exists() and told.read_text().count("\n") >= count, what="all are told")
    assert len(set(told.read_text().split())) == count == len(told.read_text().split())
    lost = [row[0] for row in rows(places) if row[2] == "lost"]
    assert len(lost) <= (step in MAY_BE_LOST)
    lines = ran.read_text().split()
    assert len(lines) == len(set(lines))
    assert lines == sorted(lines)
    for name, status, _, code, _ in rows(places):
        if name in lost:
            assert host.status(f"q/{name}") == "ERR crashed"
            continue
        wanted = 0 if name == "t3" else int(name[1])
        assert (code, name in lines) == (wanted, True)
        assert host.status(f"q/{name}") == ("OK" if wanted == 0 else f"ERR exit code {wanted}")
        assert Path(places.log("ltspec", "q", name, 1)).read_text() == "out\n"
        assert (status == "OK") == (wanted == 0)
    statuses = [next(e for e in call if e.startswith("status=")) for call in panel.calls]
    assert statuses.count("status=ok") >= 1 - ("t0" in lost)
