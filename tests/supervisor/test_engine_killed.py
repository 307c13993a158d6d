"""Who is killed, and what is kept: supervisor, guardian, both; restarts; leaving (DESIGN 5)."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ltspec import alive, client
from ltspec.errors import CannotDo


def guardian_of(engine):
    """The guardian that holds the lock now, once it has written down who it is."""
    return engine.until(lambda: int(Path(engine.places.lock).read_text() or 0))


def test_kill_9_of_the_supervisor_keeps_task_lock_log_and_exit_code(engine, host):
    gate = host.fifo()
    engine.submit(
        engine.sh("q/a", f"echo one; read x < {gate}; echo two; exit 7"), engine.spec("q/b")
    )
    pid = engine.running("q/a").pid
    old = engine.supervisor
    engine.kill_supervisor()
    assert engine.supervisor != old
    assert (engine.task("q/a").pid, engine.task("q/b").status) == (pid, "QUE")
    assert subprocess.run(["flock", "-n", host.pidfile("q/a"), "true"], check=False).returncode == 1
    host.release(gate)
    ended = engine.ended("q/a", "q/b")
    assert [(task.status, task.code) for task in ended] == [("ERR", 7), ("OK", 0)]
    assert (engine.output("q/a"), host.status("q/a")) == ("one\ntwo\n", "ERR exit code 7")


def test_exit_code_of_a_task_that_ends_while_no_supervisor_runs_is_kept(engine, host):
    gates = [host.fifo("g0"), host.fifo("g1")]
    engine.submit(
        engine.sh("a", f"read x < {gates[0]}; exit 9"),
        engine.sh("b", f"read x < {gates[1]}; kill -SEGV $$"),
    )
    pids = [engine.running(name).pid for name in ("a", "b")]
    guardian, supervisor = engine.guardian, engine.supervisor
    engine.disconnect()
    os.kill(guardian, signal.SIGSTOP)          # it cannot start another one
    os.kill(supervisor, signal.SIGKILL)
    engine.gone(supervisor)
    for gate in gates:
        host.release(gate)
    for pid in pids:
        engine.gone(pid)
    os.kill(guardian, signal.SIGCONT)
    ended = engine.ended("a", "b")
    assert [(task.code, task.signal) for task in ended] == [(9, None), (None, signal.SIGSEGV)]


def test_kill_9_of_the_guardian_lets_the_supervisor_take_its_place(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"read x < {gate}; exit 7"), engine.spec("q/b"))
    engine.running("q/a")
    guardian, supervisor = engine.guardian, engine.supervisor
    engine.disconnect()
    os.kill(guardian, signal.SIGKILL)
    engine.gone(guardian)
    engine.until(lambda: guardian_of(engine) == supervisor, what="the supervisor guards")
    host.release(gate)
    ended = engine.ended("q/a", "q/b")
    assert [(task.status, task.code) for task in ended] == [("ERR", 7), ("OK", 0)]


def test_kill_9_of_both_lets_tasks_run_on_and_the_next_one_finds_them(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"read x < {gate}; touch done"), engine.spec("q/b"))
    pid = engine.running("q/a").pid
    engine.kill_both()
    assert host.status("q/a") == f"RUN {pid}"
    assert (engine.running("q/a").pid, engine.task("q/b").status) == (pid, "QUE")
    host.release(gate)
    a, b = engine.ended("q/a", "q/b")
    assert engine.path("done").exists()
    assert b.status == "OK"
    if a.outcome == "lost":                    # a kernel before 6.15 does not tell
        assert host.status("q/a") == "ERR crashed"
    else:
        assert (a.outcome, host.status("q/a")) == ("succeeded", "OK")


def test_task_that_ended_while_nobody_watched_is_lost_but_its_own_word_counts(engine, host):
    gates = [host.fifo("g0"), host.fifo("g1")]
    finish = 'mgrctl longtask.finish elid="$MGR_LT_PID" status=ok'
    engine.submit(
        engine.sh("a", f"read x < {gates[0]}"),
        engine.sh("b", f"{finish}; touch told; read x < {gates[1]}"),
    )
    pids = [engine.running(name).pid for name in ("a", "b")]
    engine.until(engine.path("told").exists)
    engine.kill_both()
    for gate in gates:
        host.release(gate)
    for pid in pids:
        engine.gone(pid)
    for pid in pids:                           # the host's init may be slow to reap
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    a, b = engine.ended("a", "b")
    assert a.outcome in ("lost", "succeeded")  # the latter where the zombie was still to be seen
    assert (b.outcome, host.status("b")) == ("reported", "OK")


def test_process_with_the_same_pid_and_another_start_time_is_not_taken_for_the_task(engine):
    engine.submit(engine.spec("a", "/bin/sleep", "60"))
    pid = engine.running("a").pid
    engine.kill_both()
    with engine.store.write():
        engine.store.execute("UPDATE attempt SET start_ticks = start_ticks - 1")
    try:
        assert engine.ended("a")[0].outcome == "lost"
        assert alive.start_ticks(pid) is not None
    finally:
        os.kill(pid, signal.SIGKILL)


def test_many_kills_of_the_supervisor_lose_nothing(engine):
    text = 'echo "$LTSPEC_ID" >> order; sleep 0.05; exit 4'
    names = [f"q/t{number:02}" for number in range(12)]
    engine.submit(*(engine.sh(name, text) for name in names))
    for _ in range(3):
        engine.kill_supervisor()
        engine.connection.fileno()
    ended = engine.ended(*names)
    assert engine.lines("order") == [name[2:] for name in names]
    assert {(task.status, task.code) for task in ended} == {("ERR", 4)}


@pytest.mark.parametrize("victim", ["guardian", "supervisor"])
def test_sighup_replaces_the_supervisor_and_touches_no_task(engine, host, victim):
    if victim == "supervisor":
        engine.connection.fileno()
        os.kill(engine.supervisor, signal.SIGHUP)       # not its to obey: ignored
        engine.run(engine.spec("b"))
        return
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"read x < {gate}; exit 5"))
    pid = engine.running("q/a").pid
    guardian, old = engine.guardian, engine.supervisor
    os.kill(guardian, signal.SIGHUP)
    engine.gone(old)
    engine.disconnect()
    assert engine.guardian == guardian
    assert engine.supervisor != old
    assert engine.running("q/a").pid == pid
    host.release(gate)
    assert engine.ended("q/a")[0].code == 5


def test_sigterm_to_the_guardian_ends_both_and_the_task_runs_on(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"read x < {gate}; touch done"))
    pid = engine.running("q/a").pid
    pids = engine.guardian, engine.supervisor
    engine.disconnect()
    os.kill(pids[0], signal.SIGTERM)
    for one in pids:
        engine.gone(one)
    assert client.connect(engine.places, start=False) is None
    assert engine.running("q/a").pid == pid
    host.release(gate)
    engine.ended("q/a")


def test_two_connects_at_once_start_one_supervisor(engine):
    program = (
        "import sys; from ltspec import client; from ltspec.paths import Places\n"
        "sys.stdin.read(1); c = client.connect(Places(*sys.argv[1:]))\n"
        "print(c.hello['pid'], flush=True); sys.stdin.read()"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", program, *engine.places], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )
        for _ in range(6)
    ]
    for starter in starters:
        assert starter.stdin
        starter.stdin.write("x")
        starter.stdin.flush()
    pids = {starter.stdout.readline().strip() for starter in starters if starter.stdout}
    for starter in starters:
        starter.communicate()
    assert len(pids) == 1
    assert pids != {""}


def test_supervisor_leaves_when_idle_and_takes_its_socket_along(engine):
    engine.idle_exit = 0.1
    engine.run(engine.spec("a"))
    pids = engine.guardian, engine.supervisor
    engine.disconnect()
    for pid in pids:
        engine.gone(pid)
    assert not os.path.exists(engine.places.socket)


def test_supervisor_stays_while_something_waits(engine):
    engine.idle_exit = 0.05
    engine.submit(engine.spec("a", start_after=0.6))
    supervisor = engine.supervisor
    engine.disconnect()
    engine.ended("a")
    assert engine.supervisor == supervisor


def test_no_task_is_stranded_that_is_submitted_while_the_supervisor_leaves(engine):
    """Submit again and again at the moment at which an idle supervisor goes."""
    engine.idle_exit = 0.03
    for number in range(12):
        engine.submit(engine.spec(f"q/t{number}"))
        engine.disconnect()
        time.sleep(0.006 * number)
    engine.idle_exit = 30.0
    engine.ended(*(f"q/t{number}" for number in range(12)))


def test_hello_says_version_and_whether_tasks_survive_the_caller(engine):
    from ltspec import __version__

    hello = engine.connection.hello
    assert (hello["hello"], hello["version"]) == (1, __version__)
    assert hello["survives"] is (hello["dies_with"] == "")


def test_start_up_error_reaches_the_one_who_started_it(engine, host):
    host.state_dir.mkdir(mode=0o700)
    Path(engine.places.catalogue).write_text("no database, whatever its name says\n" * 99)
    with pytest.raises(CannotDo, match="not a catalogue"):
        client.connect(engine.places)


def test_lost_connection_is_told_as_such(engine):
    connection = engine.connection
    os.kill(engine.guardian, signal.SIGTERM)
    with pytest.raises(client.ConnectionLost):
        connection.wait_event(20)


def test_supervisor_that_dies_before_it_has_worked_is_restarted_with_a_brake(engine):
    for _ in range(3):
        engine.kill_supervisor()
        engine.connection.fileno()
    assert [f"starts in {pause:g} s" in engine.log for pause in (0.1, 0.2, 0.4)] == [True] * 3
    assert "starts in 0 s" not in engine.log


def test_many_watchers_at_once_are_all_told(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("a", f"read x < {gate}"))
    engine.running("a")
    told: list[str | bool] = []

    def watch() -> None:
        connection = client.connect(engine.places)
        assert connection
        with connection:
            connection.watch()
            told.append("ready")
            told.append(connection.wait_event(20))

    threads = [threading.Thread(target=watch) for _ in range(10)]
    for thread in threads:
        thread.start()
    engine.until(lambda: told.count("ready") == 10)
    host.release(gate)
    for thread in threads:
        thread.join()
    assert told.count(True) == 10
