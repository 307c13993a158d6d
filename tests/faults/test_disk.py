"""Disks that are full or read-only: nothing is lost, nothing runs twice, it heals by itself."""

import os
import resource
import signal

import pytest

from ltspec import pidfile
from ltspec.catalogue import enqueue

FULL = "the disk is full: make room, then try again; nothing was lost"


def test_full_disk_takes_nothing_in_and_leaves_nothing_behind(make_disk):
    disk = make_disk(2048)
    disk.fill()
    assert FULL in disk.ltspec("run", "--id", "a", "--", "true", code=5).stderr
    assert "no tasks yet" in disk.ltspec("list", code=0).stdout
    disk.free()
    disk.ltspec("run", "--id", "a", "--wait", "--", "true", code=0)
    assert disk.status("a") == "OK"


def test_disk_that_fills_up_while_tasks_run_loses_none(make_disk, host, wait_until):
    disk = make_disk(2048)
    gate, ran = host.fifo(), host.root / "ran"
    disk.ltspec("run", "-q", "q", "--id", "a", "--", "sh", "-c",
                f"read x < {gate}; echo out || echo log-full >> {ran}; exit 3", code=0)
    disk.ltspec("run", "-q", "q", "--id", "b", "--", "sh", "-c", f"echo b >> {ran}", code=0)
    disk.fill()
    assert FULL in disk.ltspec("run", "-q", "q", "--id", "c", "--", "true", code=5).stderr
    guardian = int((disk.state_dir / "supervisor.lock").read_text())
    host.release(gate)
    wait_until(lambda: ran.exists(), what="the task sees that its log is full")
    for pid in disk.processes():
        if pid != guardian:
            os.kill(pid, signal.SIGKILL)      # also a supervisor that waits for room loses nothing
    findings = disk.ltspec("doctor", code=1).stdout
    assert "a full disk" in findings
    disk.free()
    wait_until(lambda: disk.status("q/b") == "OK", what="it goes on by itself")
    assert (disk.status("q/a"), disk.status("q/c")) == ("ERR exit code 3", "")
    assert ran.read_text() == "log-full\nb\n"
    assert list((disk.run_dir / "ltspec" / "q").glob(".*")) == []


def test_script_on_a_disk_that_is_almost_full_is_never_run_in_part(make_disk, host, wait_until):
    disk = make_disk(512, state_dir=host.state_dir)
    gate, ran = host.fifo(), host.root / "ran"
    script = f"echo begin >> {ran}\n" + "# filling\n" * 20_000 + f"echo end >> {ran}\n"
    spec = host.write("jobs/j.yml", f"""
        tasks:
          - {{id: a, queue: q, command: [cat, {gate}]}}
          - id: b
            queue: q
            script: |
              SCRIPT
        """)
    spec.write_text(spec.read_text().replace("SCRIPT", script.replace("\n", "\n      ")))
    disk.ltspec("apply", str(spec), code=0)
    disk.fill(leave=50_000)
    host.release(gate)
    log = disk.state_dir / "supervisor.log"
    wait_until(lambda: "cannot start q/b" in log.read_text(), what="the script finds no room")
    assert not ran.exists()
    disk.free()
    wait_until(lambda: disk.status("q/b") == "OK", what="it goes on by itself")
    assert ran.read_text() == "begin\nend\n"


def test_pidfile_that_does_not_fit_is_not_put_in_place(tmp_path):
    run = pidfile.RunDirectory(str(tmp_path), shared=False)
    run.publish("m", "q", "a", b"QUE\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            run.publish("m", "q", "a", b"ERR " + b"long " * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        run.close()
    assert [path.read_bytes() for path in (tmp_path / "m" / "q").iterdir()] == [b"QUE\n"]


@pytest.mark.parametrize("what_then", ["room", "a kill"])
def test_start_that_cannot_be_committed_is_known_all_the_same(what_then, engine, host):
    """From the journal, which needs no room: it runs once, whatever becomes of the supervisor."""
    gate = host.fifo()
    engine.run(engine.spec("q/before"))
    supervisor = engine.supervisor
    files = len(os.listdir(f"/proc/{supervisor}/fd"))
    limits = resource.prlimit(supervisor, resource.RLIMIT_FSIZE)
    resource.prlimit(supervisor, resource.RLIMIT_FSIZE, (8192, limits[1]))
    with pytest.raises(Exception, match="accepted, but the supervisor has to wait"):
        engine.submit(engine.sh("q/a", f"echo a >> ran; read x < {gate}"), engine.spec("q/b"))
    engine.until(engine.path("ran").exists)
    pid = int(host.status("q/a").removeprefix("RUN "))
    assert engine.task("q/a").status == "QUE"
    assert len(os.listdir(f"/proc/{supervisor}/fd")) == files + 2        # its lock, its pidfd
    if what_then == "room":
        resource.prlimit(supervisor, resource.RLIMIT_FSIZE, limits)
    else:
        engine.kill_supervisor()
    assert engine.running("q/a").pid == pid
    host.release(gate)
    engine.ended("q/a", "q/b")
    assert (engine.lines("ran"), host.status("q/a")) == (["a"], "OK")


@pytest.mark.parametrize("what", ["stop", "remove"])
def test_start_that_is_not_recorded_yet_is_stopped_and_removed_like_any(what, engine, host):
    begun = engine.store.setting("journal")
    engine.run(engine.spec("q/before"))
    engine.until(lambda: engine.store.setting("journal") != begun, what="nothing else is to sync")
    limits = resource.prlimit(engine.supervisor, resource.RLIMIT_FSIZE)
    resource.prlimit(engine.supervisor, resource.RLIMIT_FSIZE, (8192, limits[1]))
    with pytest.raises(Exception, match="accepted, but the supervisor has to wait"):
        engine.submit(engine.sh("q/a", "echo a >> ran; exec sleep 600"), engine.spec("q/b"))
    engine.until(engine.path("ran").exists)
    pid = int(host.status("q/a").removeprefix("RUN "))
    with engine.store.write():
        enqueue.request(engine.store, engine.task("q/a").key, what)
    resource.prlimit(engine.supervisor, resource.RLIMIT_FSIZE, limits)
    engine.ended("q/b")
    engine.gone(pid)
    if what == "stop":
        assert (engine.task("q/a").detail, len(engine.attempts("q/a"))) == ("stopped", 1)
    else:
        engine.until(lambda: engine.find("q/a") is None, what="q/a is removed")
    assert engine.lines("ran") == ["a"]


def test_read_only_disk_can_be_read_and_is_told_as_such(make_disk, wait_until):
    disk = make_disk(4096)
    disk.ltspec("run", "--id", "a", "--wait", "--", "echo", "out", code=0)
    disk.kill_all()
    wait_until(lambda: disk.remount("ro"), what="nobody has files open any more")
    assert "OK      a" in disk.ltspec("list", code=0).stdout
    assert disk.ltspec("logs", "a", code=0).stdout == "out\n"
    assert "Read-only file system" in disk.ltspec("run", "--", "true", code=5).stderr
    assert "it is read-only" in disk.ltspec("doctor", code=1).stdout
    disk.remount("rw")
    disk.ltspec("run", "--id", "b", "--wait", "--", "true", code=0)
