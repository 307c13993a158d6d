"""The run directory in other people's hands: removed, replaced, moved, blocked (C22)."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from ltspec.catalogue import enqueue
from ltspec.model import Need


@pytest.fixture
def busy(engine, host):
    """A running task, two that wait behind it, a common one that runs, and one that has ended."""
    gates = host.fifo("g0"), host.fifo("g1")
    engine.submit(
        engine.spec("done"), engine.sh("q/a", f"read x < {gates[0]}"), engine.spec("q/b"),
        engine.spec("q/c"), engine.sh("common", f"read x < {gates[1]}"),
    )
    engine.ended("done")
    for name in ("q/a", "common"):
        engine.running(name)
    engine.connection.sync(20)

    def finish():
        for gate in gates:
            host.release(gate)
        return engine.ended("q/a", "q/b", "q/c", "common")

    return finish


def live(host):
    """The first words of the live tasks' PID-files."""
    return [host.status(name)[:3] for name in ("q/a", "q/b", "q/c", "common")]


def test_removed_pidfiles_are_published_again_and_the_queue_goes_on(engine, host, busy):
    for name in list(host.run_dir.iterdir()):
        if not name.name.startswith("."):       # as the shell's `rm -rf RUN/*`
            shutil.rmtree(name)
    engine.until(lambda: live(host) == ["RUN", "QUE", "QUE", "RUN"], what="published again")
    assert not host.pidfile("done").exists()
    assert {task.status for task in busy()} == {"OK"}
    assert live(host) == ["OK"] * 4


@pytest.mark.parametrize("name", ["q/a", "q/b", "common"])
def test_single_removed_pidfile_is_published_again(engine, host, busy, name):
    before = host.pidfile(name).read_bytes()
    host.pidfile(name).unlink()
    engine.until(lambda: host.pidfile(name).exists(), what="published again")
    assert host.pidfile(name).read_bytes() == before
    busy()


def test_pidfile_published_again_of_a_running_task_is_locked(engine, host, busy):
    import subprocess

    host.pidfile("q/a").unlink()
    engine.until(lambda: host.pidfile("q/a").exists())
    command = ["flock", "-n", host.pidfile("q/a"), "true"]
    assert subprocess.run(command, check=False).returncode == 1
    busy()
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("how", ["remove", "rename"])
@pytest.mark.parametrize("what", ["", "ltspec", "ltspec/q"])
def test_directory_that_vanishes_is_made_again(engine, host, busy, how, what):
    victim = host.run_dir / what
    if how == "remove":
        shutil.rmtree(victim, ignore_errors=True)      # it comes back while it is removed
    else:
        victim.rename(host.root / "moved")
    wanted = ["RUN", "QUE", "QUE", "RUN"]
    engine.until(lambda: live(host) == wanted, what="published again")
    assert {task.status for task in busy()} == {"OK"}
    assert live(host) == ["OK"] * 4


def test_run_directory_that_vanishes_is_furnished_again(engine, host, busy):
    shutil.rmtree(host.run_dir, ignore_errors=True)
    names = {".ltspec", ".bin", ".finish.sock", "ltspec"}
    engine.until(lambda: host.run_dir.is_dir() and set(os.listdir(host.run_dir)) >= names)
    assert oct(host.run_dir.stat().st_mode)[-3:] == "711"
    busy()


def test_what_was_removed_while_no_supervisor_ran_is_published_at_its_start(engine, host, busy):
    engine.kill_both()
    shutil.rmtree(host.run_dir)
    engine.until(lambda: live(host) == ["RUN", "QUE", "QUE", "RUN"], what="published again")
    busy()


def test_state_directory_that_vanishes_ends_the_supervisor(engine, host):
    engine.connection.fileno()
    pids = engine.guardian, engine.supervisor
    engine.close()
    shutil.rmtree(host.state_dir)
    for pid in pids:
        engine.gone(pid)


BLOCKS = ("link", "dangling", "directory", "full-directory", "fifo", "foreign")


def block(path: Path, how: str, host) -> Path:
    """Put something else in the PID-file's place; returns what must stay as it is."""
    precious: Path = host.write("precious/file", "untouched\n")
    path.unlink(missing_ok=True)
    if how == "link":
        path.symlink_to(precious)
    elif how == "dangling":
        path.symlink_to(host.root / "nowhere")
    elif how.endswith("directory"):
        path.mkdir()
        if how == "full-directory":
            (path / "inside").write_text("x")
    elif how == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("somebody's\n")
    return precious


@pytest.mark.parametrize("how", BLOCKS)
def test_something_else_in_place_of_a_pidfile_loses_no_task(engine, host, busy, how):
    precious = [block(host.pidfile(name), how, host) for name in ("q/a", "q/b")]
    ended = busy()
    assert [task.status for task in ended] == ["OK"] * 4
    assert precious[0].read_text() == "untouched\n"
    assert not (host.root / "nowhere").exists()
    if "directory" not in how:
        assert live(host) == ["OK"] * 4


@pytest.mark.parametrize("how", ["link", "dangling", "directory", "fifo", "foreign"])
def test_queue_directory_that_is_something_else_wedges_nothing(engine, host, how):
    engine.run(engine.spec("first"))
    place = host.run_dir / "ltspec" / "q"
    outside = host.root / "outside"
    outside.mkdir()
    if how == "link":
        place.symlink_to(outside)
    else:
        block(place, how, host)
    engine.submit(engine.sh("q/a", "echo ran > ran"), engine.spec("q/b"))
    assert [task.status for task in engine.ended("q/a", "q/b")] == ["OK", "OK"]
    assert list(outside.iterdir()) == []
    assert engine.lines("ran") == ["ran"]


def test_reader_never_sees_an_empty_or_torn_first_line(engine, host):
    words = ("QUE", "RUN", "OK", "ERR")
    bad, seen, stop = [], set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            for number in range(5):
                try:
                    data = host.pidfile(f"q/t{number}").read_bytes()
                except FileNotFoundError:
                    continue
                first = data.split(b"\n")[0].decode()
                word = first.split(" ")[0]
                seen.add(word)
                if word not in words or not data.endswith(b"\nlast\n"):
                    bad.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(6):
            engine.submit(
                *(engine.spec(f"q/t{n}", "/bin/true", "some parameter", "last") for n in range(5))
            )
            engine.ended(*(f"q/t{number}" for number in range(5)))
    finally:
        stop.set()
        thread.join()
    assert (bad, {"QUE", "OK"} <= seen) == ([], True)


def test_task_that_unlocks_its_pidfile_and_a_stranger_that_writes_into_it_hurt_nobody(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"read x < {gate}"), engine.spec("q/b"))
    engine.running("q/a")
    host.pidfile("q/a").write_text("OK\n")
    host.release(gate)
    engine.ended("q/a", "q/b")
    assert host.status("q/a") == "OK"


class TestPanelsDirectory:
    """A run directory that was there before and is somebody else's too."""

    @pytest.fixture
    def panels(self, host):
        host.run_dir.mkdir(mode=0o711)
        host.write("run/ltspec/q/taken", "RUN 1\nthe panel's\n")
        for folder in ("run/ltspec", "run/ltspec/q"):
            (host.root / folder).chmod(0o711)

    def test_name_that_is_taken_is_left_alone_and_the_task_says_so(self, engine, host, panels):
        engine.submit(engine.spec("q/taken"), engine.spec("q/free"))
        task = engine.ended("q/taken", "q/free")[0]
        assert host.pidfile("q/taken").read_text() == "RUN 1\nthe panel's\n"
        assert "taken by a file that is not ltspec's" in task.detail
        assert host.status("q/free") == "OK"

    def test_name_taken_while_it_waits_is_left_alone(self, engine, host, panels):
        gate = host.fifo()
        engine.submit(engine.sh("q/a", f"read x < {gate}"), engine.spec("q/b"))
        engine.running("q/a")
        host.pidfile("q/b").unlink()
        host.pidfile("q/b").write_text("the panel's now\n")
        engine.until(lambda: "is not ltspec's" in engine.log)
        host.release(gate)
        engine.ended("q/b")
        assert host.pidfile("q/b").read_text() == "the panel's now\n"


@pytest.fixture
def looked_at(engine, host, busy):
    """`looked_at()`: the supervisor has looked at what is committed, for another reason."""

    def look():
        host.pidfile("common").unlink()
        engine.until(lambda: host.pidfile("common").exists(), what="published again")
        clean = "SELECT 1 FROM task WHERE dirty > 0"
        engine.until(lambda: engine.store.row(clean) is None, what="everything is followed up")

    return look


def test_task_that_nobody_told_of_runs(engine, busy, looked_at):
    engine.write(engine.spec("late", needs=(Need("done"),)))
    looked_at()
    assert engine.ended("late")[0].status == "OK"
    busy()


def test_request_that_nobody_told_of_is_obeyed(engine, busy, looked_at):
    with engine.store.write():
        enqueue.request(engine.store, engine.task("q/c").key, "stop")
    looked_at()
    assert engine.ended("q/c")[0].detail == "stopped"
    with engine.store.write():
        enqueue.request(engine.store, engine.task("q/b").key, "remove")
    looked_at()
    engine.until(lambda: engine.find("q/b") is None, what="q/b is removed")
    for gate in ("g0", "g1"):
        engine.host.release(engine.host.root / gate)


def test_nothing_is_kept_ready_behind_a_task_that_runs_long(engine, host, busy):
    def left():
        logs = Path(engine.places.log("ltspec", "q", "b", 1)).parent
        return [*host.pidfile("q/a").parent.glob(".*"), *logs.glob("b=*")]

    engine.until(lambda: not left(), what="what was made ready for q/b is gone")
    engine.connection.sync(20)               # asked once more: it is not made again
    engine.until(lambda: not left(), what="it is gone again")
    busy()
    assert host.status("q/b") == "OK"
