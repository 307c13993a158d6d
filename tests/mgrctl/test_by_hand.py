"""PID-files that somebody touches by hand: nothing of it may make ltspec write outside RUN, lose
a task or wedge a queue (C22)."""

import os
import shutil
import signal
import stat
import subprocess
import threading

import pytest

from ltspec.model import TaskSpec


def remove_all(run_dir):
    """`rm -rf RUN/*`, as an administrator types it."""
    subprocess.run(f"rm -rf {run_dir}/*", shell=True, check=True)


def gated(host, *names, **fields):
    """Tasks of queue q that block until the gate is opened, one release each."""
    gate = str(host.root / "gate")
    return [TaskSpec(id=name, queue="q", command=("/bin/cat", gate), **fields) for name in names]


def running(host, wait_until, name):
    return wait_until(lambda: host.status(f"q/{name}").startswith("RUN "), what=f"{name} runs")


@pytest.fixture
def line(host, submit, wait_until):
    """Three tasks in one queue; the first runs."""
    host.fifo()
    submit(host, *gated(host, "one", "two", "three"))
    running(host, wait_until, "one")
    return host


def listed(host):
    return {text.split(" id=")[1].split(" ")[0]: text.split(" status=")[1].split(" ")[0]
            for text in host.mgrctl("longtask", code=0).stdout.splitlines()}


def test_c22_pidfiles_removed_by_hand_wedge_no_queue_and_are_published_again(line, wait_until):
    remove_all(line.run_dir)
    assert listed(line) == {"one": "run", "two": "que", "three": "que"}
    line.release(line.root / "gate")
    running(line, wait_until, "two")
    line.release(line.root / "gate")
    running(line, wait_until, "three")
    line.release(line.root / "gate")
    for name in ("one", "two", "three"):
        wait_until(lambda name=name: line.status(f"q/{name}") == "OK", what=name)


def test_c22_removed_pidfiles_come_back_at_once(line, wait_until):
    remove_all(line.run_dir)
    wait_until(lambda: line.status("q/one").startswith("RUN "))
    wait_until(lambda: line.status("q/two") == line.status("q/three") == "QUE")
    locked = subprocess.run(["flock", "-n", line.pidfile("q/one"), "true"], check=False)
    assert locked.returncode == 1
    os.unlink(line.pidfile("q/two"))
    wait_until(lambda: line.status("q/two") == "QUE")


def test_c22_hundreds_pile_up_and_an_administrator_kills_and_removes(host, submit, wait_until):
    host.fifo()
    submit(host, *gated(host, "stuck"),
           *[TaskSpec(id=f"t{n}", queue="q", command=("/bin/true",)) for n in range(300)])
    running(host, wait_until, "stuck")
    pid = int(host.status("q/stuck").split()[1])
    remove_all(host.run_dir)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: set(listed(host).values()) == {"ok", "err"}, timeout=60)
    assert sorted(listed(host).values()).count("err") == 1
    assert host.status("q/t299") == "OK"


def drain(host, wait_until):
    """Let one after the other go on, each when it runs."""
    for name in ("one", "two", "three"):
        wait_until(lambda name=name: listed(host)[name] == "run", what=f"{name} runs")
        host.release(host.root / "gate")
        wait_until(lambda name=name: listed(host)[name] == "ok", what=f"{name} ends")


def outside(host):
    """A directory with a file that nothing may touch."""
    victim = host.root / "outside"
    victim.mkdir()
    (victim / "victim").write_text("keep me\n")
    return victim


def untouched(victim):
    return sorted(os.listdir(victim)) == ["victim"] and (
        victim / "victim").read_text() == "keep me\n"


@pytest.mark.parametrize("name", ["one", "two"])
def test_pidfile_replaced_by_a_symbolic_link_is_not_followed(line, wait_until, name):
    victim = outside(line)
    path = line.pidfile(f"q/{name}")
    path.unlink()
    path.symlink_to(victim / "victim")
    drain(line, wait_until)
    wait_until(lambda: not path.is_symlink() and line.status(f"q/{name}") == "OK")
    assert untouched(victim)


def test_queue_directory_replaced_by_a_symbolic_link_is_not_followed(line, wait_until):
    victim = outside(line)
    shutil.rmtree(line.run_dir / "ltspec" / "q", ignore_errors=True)
    (line.run_dir / "ltspec" / "q").symlink_to(victim)
    drain(line, wait_until)
    assert untouched(victim)


def test_manager_directory_replaced_by_a_symbolic_link_is_not_followed(line, wait_until):
    victim = outside(line)
    shutil.rmtree(line.run_dir / "ltspec", ignore_errors=True)
    (line.run_dir / "ltspec").symlink_to(victim)
    drain(line, wait_until)
    assert untouched(victim)


@pytest.mark.parametrize("name", ["one", "two"])
def test_pidfile_replaced_by_a_directory_wedges_nothing(line, wait_until, name):
    path = line.pidfile(f"q/{name}")
    path.unlink()
    path.mkdir()
    (path / "mine").write_text("keep me\n")
    drain(line, wait_until)
    assert (path / "mine").read_text() == "keep me\n"
    assert line.status("q/three") == "OK"


@pytest.mark.parametrize("name", ["one", "two"])
def test_pidfile_replaced_by_a_fifo_blocks_nothing(line, wait_until, name):
    path = line.pidfile(f"q/{name}")
    path.unlink()
    os.mkfifo(path)
    drain(line, wait_until)
    wait_until(lambda: stat.S_ISREG(path.lstat().st_mode) and line.status(f"q/{name}") == "OK")


def test_pidfile_whose_content_was_changed_is_published_whole(line, wait_until):
    line.pidfile("q/two").write_text("OK\n")
    assert listed(line)["two"] == "que"
    line.release(line.root / "gate")
    running(line, wait_until, "two")
    assert line.pidfile("q/two").read_text().splitlines()[1:] == [str(line.root / "gate")]


def test_pidfile_replaced_by_somebody_elses_file_wedges_nothing(line, wait_until):
    theirs = line.root / "theirs"
    theirs.write_text("not a status\n")
    if os.geteuid() == 0:
        os.chown(theirs, 65534, 65534)
    theirs.chmod(0)
    theirs.rename(line.pidfile("q/two"))
    drain(line, wait_until)
    wait_until(lambda: line.status("q/two") == "OK")


def test_run_directory_that_is_gone_is_made_again(line, wait_until):
    shutil.rmtree(line.run_dir, ignore_errors=True)
    drain(line, wait_until)
    wait_until(lambda: line.status("q/three") == "OK")


def test_reader_in_a_loop_never_sees_an_empty_or_torn_first_line(host, submit, wait_until):
    command = ("/bin/sh", "-c", "exit 3", "x" * 9000)
    spec = TaskSpec(id="a", queue="q", command=command)
    submit(host, spec)
    wait_until(lambda: host.status("q/a") == "ERR exit code 3")
    whole = host.pidfile("q/a").read_text().split("\n", 1)[1]
    over, bad = threading.Event(), []

    def read():
        while not over.is_set():
            first, rest = host.pidfile("q/a").read_text().split("\n", 1)
            word, _, detail = first.rstrip().partition(" ")
            fine = {"QUE": detail == "", "RUN": not detail or detail.isdigit(),
                    "ERR": detail == "exit code 3"}
            if not fine.get(word) or rest != whole:
                bad.append((first, len(rest)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(60):
            submit(host, spec)
            wait_until(lambda: host.status("q/a") == "ERR exit code 3")
    finally:
        over.set()
        reader.join()
    assert bad == []


@pytest.fixture
def panels(host):
    """A run directory that a panel has made and uses."""
    (host.run_dir / "ltspec" / "q").mkdir(parents=True)
    (host.run_dir / "core.pid").write_text("123\n")
    return host


def test_file_that_ltspec_did_not_make_is_never_touched(panels, submit, wait_until):
    theirs = panels.pidfile("q/taken")
    theirs.write_text("RUN\ntheirs\n")
    before = theirs.stat()
    submit(panels, TaskSpec(id="taken", queue="q", command=("/bin/true",)),
           TaskSpec(id="free", queue="q", command=("/bin/true",)))
    wait_until(lambda: panels.status("q/free") == "OK")
    wait_until(lambda: listed(panels)["taken"] == "err")
    after = theirs.stat()
    assert theirs.read_text() == "RUN\ntheirs\n"
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "taken by a file that is not ltspec's" in panels.mgrctl("longtask").stdout
    assert (panels.run_dir / "core.pid").read_text() == "123\n"


def test_removing_a_task_whose_name_was_taken_leaves_their_file(panels, submit, wait_until):
    theirs = panels.pidfile("q/taken")
    theirs.write_text("RUN\ntheirs\n")
    submit(panels, TaskSpec(id="taken", queue="q", command=("/bin/true",)))
    wait_until(lambda: listed(panels) == {"taken": "err"})
    panels.mgrctl("longtask.delete", f"elid={theirs}", code=0)
    wait_until(lambda: listed(panels) == {})
    assert theirs.read_text() == "RUN\ntheirs\n"
