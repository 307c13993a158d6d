"""`on_finish` commands: run once after each final end, with its facts, whatever becomes of them."""

import os
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from ltspec import process
from ltspec.catalogue import hooks
from ltspec.model import Need, Retries

FACTS = "env | grep -E '^(LTSPEC_|MGR_LT_PID|GIVEN)' | LC_ALL=C sort > $0"


def hook(when, *command):
    return {"when": when, "command": list(command)}


def facts(path):
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def settled(engine, key):
    found = hooks.of_task(engine.store, key)
    return found if found and all(one.state in ("done", "failed") for one in found) else []


def leave(guardian):
    pidfd = os.pidfd_open(guardian)
    os.kill(guardian, signal.SIGTERM)
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    assert poller.poll(20_000)
    os.close(pidfd)


def test_facts_of_a_failure_reach_the_command(engine):
    out = engine.host.root / "facts"
    engine.submit(engine.spec(
        "q/bad", "/bin/sh", "-c", "exit 7", env={"GIVEN": "yes"}, name="A bad one",
        on_finish=(hook("failure", "/bin/sh", "-c", FACTS, str(out)), hook("success", "false")),
    ))
    task = engine.ended("q/bad")[0]
    assert [one.state for one in engine.until(lambda: settled(engine, task.key))] == ["done"]
    found = facts(out)
    assert found["GIVEN"] == "yes"
    assert found["MGR_LT_PID"] == task.pidfile(engine.places.run_dir)
    wanted = {
        "STATUS": "ERR", "OUTCOME": "exit", "DETAIL": "exit code 7", "EXIT_CODE": "7", "SIGNAL": "",
        "ID": "bad", "QUEUE": "q", "NAME": "A bad one", "REFERENCE": "q/bad", "WHEN": "failure",
        "ATTEMPT": "1", "LOG": engine.places.log("ltspec", "q", "bad", 1),
    }
    assert {name: found[f"LTSPEC_{name}"] for name in wanted} == wanted
    assert float(found["LTSPEC_SECONDS"]) >= 0
    assert int(found["LTSPEC_STARTED"]) <= int(found["LTSPEC_ENDED"])
    assert "LTSPEC_TOKEN" not in found


@pytest.mark.parametrize(
    ("command", "wanted"),
    [("/bin/true", ["success", "always"]), ("/bin/false", ["failure", "always"])],
)
def test_kind_of_end_decides_which_commands_run(engine, command, wanted):
    engine.submit(engine.spec("t", command, on_finish=tuple(
        hook(when, "/bin/true") for when in ("success", "failure", "always")
    )))
    task = engine.ended("t")[0]
    assert [one.moment for one in engine.until(lambda: settled(engine, task.key))] == wanted


def test_no_command_between_attempts(engine):
    engine.submit(engine.spec(
        "t", "/bin/false", retries=Retries(limit=2), on_finish=(hook("always", "/bin/true"),),
    ))
    task = engine.ended("t")[0]
    found = engine.until(lambda: settled(engine, task.key))
    assert [(one.attempt, one.state) for one in found] == [(3, "done")]


@pytest.mark.parametrize(("command", "problem"), [
    (("/bin/sh", "-c", "echo to the log; exit 3"), "exit code 3"),
    (("/bin/sh", "-c", "kill -9 $$"), "signal 9"),
    (("/nowhere/notify",), "cannot start: /nowhere/notify: No such file or directory"),
    (("no-such-notifier",), "cannot start: no-such-notifier: command not found"),
])
def test_failing_command_changes_nothing_and_is_visible(engine, command, problem):
    engine.submit(engine.spec("q/t", on_finish=(hook("success", *command),)))
    task = engine.ended("q/t")[0]
    [one] = engine.until(lambda: settled(engine, task.key))
    assert one.state == "failed"
    assert one.detail.startswith(problem)
    assert (task.status, task.detail) == ("OK", "")
    engine.until(lambda: f"on_finish (success) of q/t failed: {problem}" in engine.log)
    shown = engine.host.ltspec("show", "q/t", code=0).stdout
    assert f"success: failed: {problem}" in shown
    if "echo" in command[-1]:
        log = engine.places.log("ltspec", "q", "t", 1) + ".on_finish"
        assert log in shown
        with open(log) as file:
            assert file.read() == "to the log\n"


def test_skipped_task_has_its_end_told_too(engine):
    out = engine.host.root / "facts"
    engine.submit(
        engine.spec("q/first", "/bin/false"),
        engine.spec("q/second", needs=(Need("first", "q"),),
                    on_finish=(hook("failure", "/bin/sh", "-c", FACTS, str(out)),)),
    )
    task = engine.ended("q/second")[0]
    engine.until(lambda: settled(engine, task.key))
    found = facts(out)
    assert found["LTSPEC_OUTCOME"] == "skipped"
    assert found["LTSPEC_DETAIL"] == "skipped: needs q/first"
    assert (found["LTSPEC_ATTEMPT"], found["LTSPEC_STARTED"], found["LTSPEC_LOG"]) == ("0", "", "")


def test_hanging_command_holds_up_nothing(engine):
    fifo = engine.host.root / "fifo"
    os.mkfifo(fifo)
    engine.submit(engine.spec("q/hangs", on_finish=(hook("success", "/bin/cat", str(fifo)),)))
    hanging = engine.ended("q/hangs")[0]
    key = hanging.key
    engine.until(lambda: [one.state for one in hooks.of_task(engine.store, key)] == ["running"])
    engine.submit(engine.spec("q/next", on_finish=(hook("success", "/bin/true"),)))
    task = engine.ended("q/next")[0]
    assert engine.until(lambda: settled(engine, task.key))
    with open(fifo, "w"):
        pass
    assert [one.state for one in engine.until(lambda: settled(engine, hanging.key))] == ["done"]


def test_command_over_its_time_is_killed(engine):
    engine.submit(engine.spec("t"))
    task = engine.ended("t")[0]
    leave(engine.guardian)          # the runner of this test is the only one
    with engine.store.write():
        engine.store.execute(
            "INSERT INTO hook (task, attempt, moment, command, facts, created)"
            " VALUES (?, 1, 'always', '[\"/bin/sleep\", \"60\"]', '{}', 1)", (task.key,),
        )
    done = subprocess.run(
        [sys.executable, "-m", "ltspec.supervisor.hooks", "--state-dir", engine.places.state_dir,
         "--run-dir", engine.places.run_dir, "--time-limit", "0.2"], check=False,
    )
    assert done.returncode == 0
    [one] = hooks.of_task(engine.store, task.key)
    assert (one.state, one.detail) == ("failed", "it was killed after 0.2 s")


def test_killed_runner_runs_nothing_twice(engine):
    ran, fifo = engine.host.root / "ran", engine.host.root / "fifo"
    os.mkfifo(fifo)
    told = f"echo $PPID >> {ran}; cat {fifo}"
    engine.submit(engine.spec("t", on_finish=(hook("always", "/bin/sh", "-c", told),)))
    task = engine.ended("t")[0]
    runner = engine.until(lambda: ran.exists() and ran.read_text().split())[0]
    os.kill(int(runner), signal.SIGKILL)
    [one] = engine.until(lambda: settled(engine, task.key))
    assert (one.state, one.detail) == ("failed", hooks.UNSEEN)
    assert ran.read_text().split() == [runner]
    with open(fifo, "w"):
        pass


def test_second_runner_leaves_the_work_to_the_first(engine):
    engine.submit(engine.spec("t"))
    engine.ended("t")[0]
    with process.only_one(engine.places.state_dir + "/hooks.lock"):
        done = subprocess.run(
            [sys.executable, "-m", "ltspec.supervisor.hooks", "--state-dir",
             engine.places.state_dir, "--run-dir", engine.places.run_dir], check=False,
        )
    assert done.returncode == process.BUSY


def test_supervisor_applies_the_stored_retention(engine):
    engine.submit(*(engine.spec(f"q/t{number}") for number in range(4)))
    for number in range(4):
        engine.ended(f"q/t{number}")[0]
    with closing(sqlite3.connect(engine.places.catalogue)) as other, other:
        other.execute("INSERT INTO setting (name, value) VALUES ('retention_tasks', '2')")
    engine.connection.sync(20)
    engine.until(
        lambda: engine.store.row("SELECT count(*) FROM task")[0] == 2, what="two are forgotten"
    )
    assert sorted(os.listdir(engine.host.run_dir / "ltspec" / "q")) == ["t2", "t3"]
    assert sorted(os.listdir(engine.places.logs + "/ltspec/q")) == ["t2=1.log", "t3=1.log"]
    assert float(engine.store.setting("retention_done")) > 0
