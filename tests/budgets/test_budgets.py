"""What starts, ends and commands cost, counted; the numbers are in `costs`."""

import contextlib
import json
import os
import platform
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.filling import copy
from ltspec.catalogue import open_store
from tests.budgets.costs import ALLOWED, COMMANDS, GROWTH, HEAVY, START, START_AND_END, Cost

HERE = Path(__file__).parent
FEW, MANY = 5, 25
SYNCS = {"x86_64": ("74", "75"), "aarch64": ("82", "83")}[platform.machine()]  # fsync, fdatasync
NOT_PERMITTED = 77


def tracer(output, *argv):
    return [sys.executable, str(HERE / "tracer.py"), str(output), *argv]


def calls_and_syncs(output, word):
    """Of the processes that have this word in their command line."""
    calls = [one["calls"] for one in json.loads(output.read_text()) if word in one["argv"]]
    assert calls, f"no process has been counted with {word}"
    return (
        sum(sum(one.values()) for one in calls),
        sum(one.get(number, 0) for one in calls for number in SYNCS),
    )


def excess(counted, allowed):
    """What is over its budget, in words; nothing where all is within."""
    return [
        f"{counted_one:g} {what}, allowed are {allowed_one:g}"
        for what, counted_one, allowed_one in zip(Cost._fields, counted, allowed, strict=True)
        if counted_one > allowed_one
    ]


def whole_reads(host, statements):
    """Those of the statements that read every row of a table that grows with the tasks."""
    found = set()
    with contextlib.closing(sqlite3.connect(host.state_dir / "catalogue.db")) as connection:
        for statement in statements:
            if statement.split()[0] in ("SELECT", "WITH", "UPDATE", "DELETE", "INSERT"):
                plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
                if {row[3] for row in plan} & {"SCAN task", "SCAN attempt", "SCAN report"}:
                    found.add(statement)
    return sorted(found)


# -- the supervisor -----------------------------------------------------------------------------


@contextlib.contextmanager
def counted_supervisor(host, wait_until, output):
    """A supervisor of its own whose calls are in `output` when the block has ended."""
    host.state_dir.mkdir(mode=0o700)
    argv = tracer(
        output, sys.executable, "-I", "-m", "ltspec.supervisor.guardian", "--state-dir",
        host.state_dir, "--run-dir", host.run_dir, "--supervisor", str(HERE / "probe.py"),
    )
    with subprocess.Popen(argv, env=host.env, cwd=host.root) as process:
        socket = host.state_dir / "supervisor.sock"
        wait_until(lambda: socket.exists() or process.poll() is not None)
        if process.poll() == NOT_PERMITTED:
            pytest.skip("ptrace is not permitted here")
        yield
        os.kill(int((host.state_dir / "supervisor.lock").read_text()), signal.SIGTERM)


def whole_life(host, wait_until, count, command, queue, done):
    """Calls, statements and syncs of a supervisor with so many tasks, until all are `done`."""
    output = host.root / "calls.json"
    tasks = host.write("jobs/tasks.yml", f"""
        id: t{{{{ item }}}}
        {queue}
        command: {command}
        loop: "{{{{ range({count}) | list }}}}"
    """)
    with counted_supervisor(host, wait_until, output):
        host.ltspec("apply", tasks, code=0)
        with contextlib.closing(open_store(str(host.state_dir / "catalogue.db"))) as store:
            wait_until(lambda: store.row(done)[0] == count)
    statements = json.loads((host.state_dir / "probe.json").read_text())["statements"]
    assert whole_reads(host, statements) == []
    calls, syncs = calls_and_syncs(output, str(HERE / "probe.py"))
    return Cost(calls, len(statements), syncs)


def one_more_task(make_host, wait_until, *what):
    """What one more task costs, without what the supervisor costs by itself."""
    few, many = (
        whole_life(make_host(f"host{count}"), wait_until, count, *what) for count in (FEW, MANY)
    )
    return Cost._make((more - less) / (MANY - FEW) for more, less in zip(many, few, strict=True))


def test_start_of_a_task_stays_within_its_budget(make_host, wait_until):
    running = (
        "SELECT count(*) FROM task JOIN attempt ON task = key WHERE pid IS NOT NULL AND dirty = 0"
    )
    cost = one_more_task(make_host, wait_until, "[/bin/sleep, 1000]", "", running)
    assert excess(cost, START) == []


def test_start_and_end_of_a_task_stay_within_their_budget(make_host, wait_until):
    ended = "SELECT count(*) FROM task WHERE status = 'OK' AND dirty = 0"
    cost = one_more_task(make_host, wait_until, "[/bin/true]", "queue: q", ended)
    assert excess(cost, START_AND_END) == []


# -- commands -----------------------------------------------------------------------------------


@pytest.fixture
def busy(host):
    """A host with three ended tasks in a paused queue, three waiting and three running ones."""
    for number in range(3):
        host.ltspec("run", "--id", f"ended{number}", "-q", "q", "--wait", "--", "true", code=0)
    host.ltspec("queue", "pause", "q", code=0)
    for number in range(3):
        host.ltspec("run", "--id", f"waiting{number}", "-q", "q", "--", "true", code=0)
        host.ltspec("run", "--id", f"running{number}", "--", "sleep", "1000", code=0)
    for number in (1, 2):
        host.write(f"one{number}.yml", f"{{id: one{number}, command: [/bin/true], queue: q}}")
    return host


def asked(host, command):
    """What a command loads and asks: the modules, the statements, SQLite's instructions."""
    output = host.root / "probe.json"
    program, *words = command.split()
    host.run([sys.executable, HERE / "probe.py", program, output, *words], code=0)
    return json.loads(output.read_text())


def traced(host, *argv):
    """Calls and syncs of one process to its end."""
    output = host.root / "calls.json"
    done = host.run(tracer(output, *argv))
    if done.returncode == NOT_PERMITTED:
        pytest.skip("ptrace is not permitted here")
    assert done.returncode == 0, done.stderr
    return calls_and_syncs(output, argv[-1])


def command_cost(host, command):
    """What one command costs beyond an empty Python, and the modules that it has loaded."""
    found = asked(host, command.format(1, run_dir=host.run_dir))
    assert whole_reads(host, found["statements"]) == []
    program, *words = command.format(2, run_dir=host.run_dir).split()
    module = {"ltspec": "ltspec.cli", "mgrctl": "ltspec.mgrctl.command"}[program]
    start = [sys.executable, "-c", f"from {module} import entry; entry()", *words]
    calls, syncs = traced(host, *start)
    empty, _ = traced(host, sys.executable, "-c", "pass")
    modules = [name for name in found["modules"] if name.split(".")[0] == "ltspec"]
    return Cost(calls - empty, len(found["statements"]), syncs, len(modules)), found["modules"]


def test_commands_stay_within_their_budgets_and_load_nothing_heavy(busy):
    over = {}
    for command, budget in COMMANDS.items():
        cost, modules = command_cost(busy, command)
        heavy = sorted(set(modules) & (HEAVY - ALLOWED.get(command, set())))
        over[command] = excess(cost, budget) + [f"loads {name}" for name in heavy]
    assert {command: what for command, what in over.items() if what} == {}


def fill(host, start, count):
    """As many waiting and ended tasks as `count`; `start` of each are there."""
    with contextlib.closing(sqlite3.connect(host.state_dir / "catalogue.db")) as connection:
        copy(connection, "waiting", count, start)
        copy(connection, "ended", count, start)
        connection.commit()


def test_commands_do_not_grow_with_the_catalogue(busy):
    fill(busy, 3, 100)
    before = {one: asked(busy, one.format(1))["instructions"] for one in GROWTH}
    fill(busy, 100, 600)
    growth = {
        one: (asked(busy, one.format(2))["instructions"] - less) / 1000
        for one, less in before.items()
    }
    assert {one: grown for one, grown in growth.items() if grown > GROWTH[one]} == {}
