"""Locks, sockets and processes that are stale, gone or stopped."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ltspec import client
from ltspec.errors import SupervisorError
from ltspec.paths import Places


def test_stale_locks_and_sockets_of_a_dead_supervisor_are_in_nobodys_way(host, inside):
    host.ltspec("run", "--id", "a", "--wait", "--", "true", code=0)
    host.kill_all()
    (host.state_dir / "supervisor.lock").write_text("4194000\n")
    for path in (host.state_dir / "supervisor.sock", host.run_dir / ".finish.sock"):
        path.unlink(missing_ok=True)
        with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path.name)
            path.chmod(0o600)
    inside("doctor", "--fix", code=0)
    inside("run", "--id", "b", "--wait", "--", "true", code=0)


@pytest.mark.parametrize("name", ["state/supervisor.sock", "run/.finish.sock", "run/.bin"])
def test_socket_or_tools_that_are_removed_come_back_while_tasks_run(
    engine, host, wait_until, process_runs, name
):
    engine.submit(engine.sh("q/a", "echo a >> ran; until test -e go; do sleep 0.05; done; exit 3"))
    pid = engine.running("q/a").pid
    engine.disconnect()
    path = host.root / name
    subprocess.run(["rm", "-r", path], check=True)
    wait_until(path.exists, what=f"{name} comes back")
    host.ltspec("run", "--wait", "--", host.run_dir / ".bin" / "ltspec", "--version", code=0)
    with contextlib.chdir(host.run_dir), socket.socket(socket.AF_UNIX) as door:
        door.connect(".finish.sock")
        assert b'"hello"' in door.recv(1000)
    assert process_runs(pid)
    engine.path("go").touch()
    engine.ended("q/a")
    assert (host.status("q/a"), engine.lines("ran")) == ("ERR exit code 3", ["a"])


def test_command_that_holds_the_start_lock_for_ever_is_told_and_named(
    host, monkeypatch, inside
):
    host.ltspec("run", "--id", "a", "--wait", "--", "true", code=0)
    host.kill_all()
    program = "import fcntl, signal, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, 2); " \
              "signal.signal(signal.SIGCONT, lambda *_: sys.exit()); " \
              "print('locked', flush=True); sys.stdin.read()"
    lock = host.state_dir / "start.lock"
    with subprocess.Popen([sys.executable, "-c", program, lock], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdin
        assert other.stdout.readline() == "locked\n"
        os.kill(other.pid, signal.SIGSTOP)
        places = Places(str(host.state_dir), str(host.run_dir))
        with monkeypatch.context() as patch:
            patch.setattr(client, "START_SECONDS", 0.1)
            with pytest.raises(SupervisorError, match="another command has been starting"):
                client.connect(places)
        found = inside("doctor", code=1).stdout
        assert f"process {other.pid} ({sys.executable} -c" in found
        assert f"kill -CONT {other.pid}" in found
        assert f"let process {other.pid} go on" in inside("doctor", "--fix", code=0).stdout
    inside("run", "--id", "b", "--wait", "--", "true", code=0)


def test_stopped_supervisor_is_found_without_waiting_for_it_and_goes_on(
    engine, host, inside, wait_until
):
    engine.submit(engine.sh("a", "until test -e go; do sleep 0.05; done"))
    for pid in (engine.guardian, engine.supervisor):
        os.kill(pid, signal.SIGSTOP)
        stat = Path(f"/proc/{pid}/stat")
        wait_until(lambda stat=stat: ") T " in stat.read_text(), what="it is stopped")
    started = time.monotonic()
    found = inside("doctor", code=1).stdout
    assert time.monotonic() - started < client.HELLO_SECONDS
    assert f"stopped by a signal: 2 processes {engine.guardian} {engine.supervisor}" in found
    inside("doctor", "--fix", code=0)
    engine.path("go").touch()
    engine.ended("a")


def test_lock_that_is_taken_away_ends_the_supervisor_and_the_next_takes_over(engine, host, inside):
    engine.submit(engine.sh("a", "echo a >> ran; until test -e go; do sleep 0.05; done"))
    engine.running("a")
    pids = (engine.supervisor, engine.guardian)
    engine.disconnect()
    (host.state_dir / "supervisor.lock").unlink()
    for pid in pids:
        engine.gone(pid)
    engine.path("go").touch()
    inside("wait", "a", "--timeout", "20")
    assert engine.lines("ran") == ["a"]


def test_lost_pidfile_that_nobody_noticed_is_found_and_published_again(engine, host, inside):
    engine.submit(engine.sh("q/a", "until test -e go; do sleep 0.05; done"), engine.spec("q/b"))
    engine.running("q/a")
    before = [host.pidfile(name).read_bytes() for name in ("q/a", "q/b")]
    for name in ("q/a", "q/b"):
        host.pidfile(name).rename(host.root / name[-1])      # a rename raises no event
    found = inside("doctor", code=1).stdout
    assert "2 tasks without one: ltspec/q/a, ltspec/q/b" in found
    assert "published 2 PID-files again" in inside("doctor", "--fix", code=0).stdout
    assert [host.pidfile(name).read_bytes() for name in ("q/a", "q/b")] == before
    with open(host.pidfile("q/a")) as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    engine.path("go").touch()
    engine.ended("q/a", "q/b")
