"""A reboot as the catalogue shows it: another boot id (DESIGN 4, issue: nothing is lost)."""

import os
import shutil
import signal

import pytest

OTHER_BOOT = "00000000-0000-0000-0000-000000000000"


def reboot(engine):
    """Stop everything as a reboot does, and let the catalogue be of an earlier boot."""
    engine.kill_both()
    with engine.store.write():
        engine.store.execute("UPDATE attempt SET boot_id = ?", (OTHER_BOOT,))
        engine.store.execute("UPDATE task SET boot_id = ? WHERE boot_id IS NOT NULL", (OTHER_BOOT,))
        engine.store.set_setting("boot_id", OTHER_BOOT)
    shutil.rmtree(engine.places.run_dir)       # it is on a tmpfs


@pytest.fixture
def running(engine):
    """A task that runs and one that waits behind it; the process is killed at the end."""
    engine.queue("q", on_reboot="resume")
    engine.submit(engine.spec("q/a", "/bin/sleep", "60"), engine.spec("q/b"))
    pid = engine.running("q/a").pid
    yield pid
    os.kill(pid, signal.SIGKILL)


def test_running_task_of_another_boot_is_crashed_at_once(engine, host, running):
    reboot(engine)
    task = engine.ended("q/a")[0]
    assert (task.outcome, host.status("q/a")) == ("lost", "ERR crashed")


def test_process_that_has_the_pid_now_is_left_alone(engine, running, process_runs):
    reboot(engine)
    engine.ended("q/a")
    assert process_runs(running)


def test_queue_resumes_after_a_reboot(engine, running):
    reboot(engine)
    assert engine.ended("q/b")[0].status == "OK"


def test_queue_is_held_after_a_reboot_where_that_is_wanted(engine, host, running):
    engine.queue("q", on_reboot="hold")
    reboot(engine)
    engine.ended("q/a")
    assert engine.task("q/b").status == "QUE"
    assert engine.store.row("SELECT paused FROM queue WHERE name = 'q'")[0] == 1
    engine.until(lambda: host.status("q/b") == "QUE", what="the waiting one is published again")


def test_waiting_tasks_fail_after_a_reboot_where_that_is_wanted(engine, host, running):
    engine.queue("q", on_reboot="fail")
    reboot(engine)
    task = engine.ended("q/b")[0]
    assert (task.outcome, host.status("q/b")) == (
        "not-started", "ERR not started: the host was rebooted",
    )


def test_delay_that_was_running_at_the_reboot_ends_at_its_instant(engine):
    engine.submit(engine.spec("a", start_after=0.5))
    reboot(engine)
    assert engine.ended("a")[0].status == "OK"


def test_second_start_in_the_same_boot_changes_no_queue(engine, running):
    engine.queue("q", on_reboot="hold")
    engine.kill_both()
    engine.connection.fileno()
    assert engine.store.row("SELECT paused FROM queue WHERE name = 'q'")[0] == 0
