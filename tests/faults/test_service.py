"""The supervisor as a service: replaced by a newer version, found there by another one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ltspec import __version__
from tests.faults import scenario


@pytest.fixture
def gate(tmp_path):
    """What the task of these tests reads before it ends."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def guardian(it):
    return scenario.wait_until(
        lambda: int(Path(it.places.lock).read_text() or 0), "the guardian's pid"
    )


def test_newer_command_has_an_older_supervisor_replaced_and_no_task_is_touched(tmp_path, gate):
    older = tmp_path / "older"
    older.touch()
    it = scenario.Scenario(tmp_path, program="older_supervisor.py", OLDER=str(older))
    try:
        it.submit(it.spec("t", f"read word <{gate}; exit 7"))
        scenario.wait_until(lambda: it.rows()[0].pid, "it runs")
        before = (guardian(it), it.rows()[0].pid)
        older.unlink()                             # the new version is installed
        with it.reach() as connection:
            assert connection.hello["version"] == __version__
        assert (guardian(it), it.rows()[0].pid) == before
        gate.write_text("go\n")
        it.settle()
        assert (it.rows()[0].code, scenario.lines(it.ran)) == (7, ["t"])
    finally:
        it.close()


def test_guardian_of_another_installation_stays_older_and_is_used(tmp_path):
    older = tmp_path / "older"
    older.touch()
    it = scenario.Scenario(tmp_path, program="older_supervisor.py", OLDER=str(older))
    try:
        with it.reach() as connection:
            assert connection.hello["version"] == "0.0.9"
        it.submit(it.spec("t", "exit 0"))
        it.settle()
    finally:
        it.close()


def test_service_waits_for_the_supervisor_that_is_there_and_follows_it(tmp_path, gate):
    it = scenario.Scenario(tmp_path, program="older_supervisor.py", OLDER="/nowhere")
    log = tmp_path / "service.log"
    it.submit(it.spec("t", f"read word <{gate}; exit 7"))
    with log.open("w") as file:
        service = subprocess.Popen(
            [sys.executable, "-m", "ltspec", "supervise"], stderr=file,
            env={**os.environ, "LTSPEC_STATE_DIR": it.places.state_dir,
                 "LTSPEC_RUN_DIR": it.places.run_dir},
        )
    try:
        scenario.wait_until(lambda: "waiting until it leaves" in log.read_text(), "it waits")
        with it.reach() as connection:
            service.send_signal(signal.SIGHUP)     # a reload means the one that supervises
            connection.wait_for_its_end(scenario.SECONDS)
        assert service.poll() is None
        gate.write_text("go\n")
        it.settle()                                # the first one has nothing to do, and leaves
        scenario.wait_until(lambda: guardian(it) == service.pid, "the service guards")
        with it.reach() as connection:
            assert connection.hello["pid"] != service.pid
        assert it.rows()[0].code == 7
        service.terminate()
        assert service.wait(scenario.SECONDS) == 0
    finally:
        it.close()
        service.wait(scenario.SECONDS)
