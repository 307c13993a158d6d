"""Stop and timeout: the ladder of signals, and that nobody is left (DESIGN 5)."""

import os
import signal
import sys
from pathlib import Path

import pytest

from ltspec.model import Retries
from ltspec.supervisor.stopping import Ladder

QUICK = (("TERM", 0.2), ("KILL", 0.0))

# Leaves a grandchild in a session of its own, with nothing of ours but its environment.
ESCAPE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 64)
        with open("escaped.new", "w") as file:
            file.write(str(os.getpid()))
        os.rename("escaped.new", "escaped")
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""

# Beside the task a chain of processes: every 20 ms one forks the next and leaves, each in a session
# of its own; after a minute the chain ends, whatever became of the test.
FORKS = """
import os, time
if os.fork():
    time.sleep(600)
end = time.monotonic() + 60
while time.monotonic() < end:
    if os.fork():
        time.sleep(0.02)
        os._exit(0)
    os.setsid()
    with open("alive", "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(0.02)
"""


def test_stop_sends_term_and_ends_err_stopped(engine, host):
    engine.submit(engine.sh("q/a", "trap 'echo got TERM; exit 0' TERM; touch up; sleep 60 & wait"))
    engine.until(engine.path("up").exists)
    engine.ask("q/a", "stop")
    task = engine.ended("q/a")[0]
    assert (host.status("q/a"), task.outcome, task.code) == ("ERR stopped", "stopped", 0)
    assert engine.output("q/a") == "got TERM\n"


def test_task_that_ignores_term_is_killed(engine, host):
    engine.submit(engine.sh("a", "trap '' TERM; touch up; sleep 60", kill=QUICK))
    engine.until(engine.path("up").exists)
    engine.ask("a", "stop")
    task = engine.ended("a")[0]
    assert (host.status("a"), task.signal) == ("ERR stopped", signal.SIGKILL)


def test_own_ladder_is_climbed_in_its_order(engine):
    text = (
        "exec 2> /dev/null; trap 'echo INT' INT; trap 'echo USR1' USR1; touch up; "
        "while :; do sleep 0.02; done"
    )
    ladder = (("INT", 0.15), ("USR1", 0.15), ("KILL", 0.0))
    engine.submit(engine.sh("a", text, kill=ladder))
    engine.until(engine.path("up").exists)
    engine.ask("a", "stop")
    engine.ended("a")
    assert engine.output("a") == "INT\nUSR1\n"


def test_stopped_task_is_stopped_although_it_has_a_stopped_process(engine):
    engine.submit(engine.sh("a", "touch up; kill -STOP $$; sleep 60", kill=QUICK))
    engine.until(engine.path("up").exists)
    engine.ask("a", "stop")
    assert engine.ended("a")[0].outcome == "stopped"


def test_double_forked_child_in_a_session_of_its_own_is_ended_too(engine, process_runs):
    engine.submit(engine.spec("a", sys.executable, "-c", ESCAPE, kill=QUICK))
    engine.until(engine.path("escaped").exists)
    pid = int(engine.path("escaped").read_text())
    engine.ask("a", "stop")
    engine.ended("a")
    assert not process_runs(pid)


def test_slow_forker_does_not_get_away(engine, process_runs):
    engine.submit(engine.spec("a", sys.executable, "-c", FORKS, kill=(("TERM", 0.05), ("KILL", 0))))
    engine.until(lambda: len(engine.lines("alive")) > 3)
    engine.ask("a", "stop")
    engine.ended("a")
    assert [pid for pid in engine.lines("alive") if process_runs(int(pid))] == []


def test_normal_end_kills_nothing(engine, process_runs):
    text = "sleep 60 & echo $! > child"
    engine.run(engine.sh("a", text))
    pid = int(engine.path("child").read_text())
    assert process_runs(pid)
    os.kill(pid, signal.SIGKILL)


def test_timeout_leaves_nobody(engine, process_runs):
    engine.run(engine.sh("a", "sleep 60 & echo $! > child; wait", timeout=0.2))
    assert not process_runs(int(engine.path("child").read_text()))


def test_stop_of_a_waiting_task_takes_it_out_of_its_queue(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"read x < {gate}"), engine.spec("q/b"), engine.spec("q/c"))
    engine.ask("q/b", "stop")
    assert host.status("q/b") == "ERR stopped"
    host.release(gate)
    engine.ended("q/c")
    assert engine.attempts("q/b") == []


def test_stopped_task_is_not_retried(engine):
    engine.submit(engine.spec("a", "/bin/sleep", "60", retries=Retries(5, 0.01)))
    engine.running("a")
    engine.ask("a", "stop")
    engine.ended("a")
    assert len(engine.attempts("a")) == 1


def test_task_that_waits_for_its_retry_can_be_stopped(engine, host):
    engine.submit(engine.sh("a", "exit 1", retries=Retries(5, 60)))
    engine.until(lambda: engine.task("a").attempts == 1 and engine.task("a").status == "QUE")
    engine.ask("a", "stop")
    assert host.status("a") == "ERR stopped"


@pytest.mark.parametrize("state", ["waiting", "running", "ended"])
def test_remove_takes_row_pidfile_and_log_away(engine, host, state):
    gate = host.fifo()
    engine.submit(engine.sh("q/first", f"read x < {gate}"), engine.spec("q/b", "/bin/sleep", "60"))
    if state != "waiting":
        host.release(gate)
        engine.running("q/b")
    if state == "ended":
        engine.ask("q/b", "stop")
        engine.ended("q/b")
        from ltspec.catalogue import enqueue

        with engine.store.write():
            enqueue.remove_ended(engine.store, engine.task("q/b").key)
        engine.connection.sync(20)
    else:
        engine.ask("q/b", "remove")
    engine.until(lambda: engine.find("q/b") is None, what="the row is gone")
    engine.until(lambda: not host.pidfile("q/b").exists(), what="the PID-file is gone")
    left = [path for path in Path(engine.places.logs).rglob("*") if path.name.startswith("b")]
    assert left == []
    if state == "waiting":
        host.release(gate)


def test_ladder_that_has_come_to_its_end_asks_for_no_more_time():
    ladder = Ladder(QUICK)
    ladder.gave_up = True
    assert ladder.due() is None


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/sys/fs/cgroup/freezer", os.W_OK),
    reason="only a frozen cgroup (v1, as root) makes a process that KILL does not end",
)
def test_task_that_cannot_be_killed_is_named_and_costs_no_idle_time(engine, host, wait_until):
    group = Path("/sys/fs/cgroup/freezer") / f"ltspec-test-{os.getpid()}"
    group.mkdir()
    try:
        engine.submit(engine.spec("q/a", "/bin/sleep", "60", kill=(("KILL", 0.0),)))
        pid = engine.running("q/a").pid
        (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        engine.ask("q/a", "stop")
        engine.until(lambda: f"cannot be ended: {pid} (sleep" in engine.log)
        before = _cpu(engine.supervisor)
        engine.run(engine.sh("b", "sleep 0.5"))
        assert (engine.task("q/a").status, _cpu(engine.supervisor) - before < 20) == ("RUN", True)
    finally:
        (group / "freezer.state").write_text("THAWED")
        engine.ended("q/a")
        wait_until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def _cpu(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
