"""Logs: straight from the task, one an attempt, held to a size where one is wanted."""

import os
import stat
import sys
from pathlib import Path

# Writes numbered lines until it is told to end; never waits for a reader.
WRITER = """
import os, sys, time
number = 0
while not os.path.exists(sys.argv[1]):
    os.write(1, b"line %09d\\n" % number * 100)
    number += 1
    time.sleep(0.001)
"""


def test_stdout_and_stderr_are_in_the_log_in_order(engine):
    engine.run(engine.sh("q/a", "echo one; echo two >&2; echo three"))
    assert engine.output("q/a") == "one\ntwo\nthree\n"


def test_log_is_private(engine):
    engine.run(engine.sh("q/a", "echo one"))
    log = Path(engine.places.log("ltspec", "q", "a", 1))
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_log_that_is_a_symbolic_link_is_not_followed(engine, host):
    target = host.write("precious", "untouched\n")
    engine.run(engine.sh("q/a", "echo one"))
    link = Path(engine.places.log("ltspec", "q", "a", 2))
    os.symlink(target, link)
    engine.run(engine.sh("q/a", "echo two"))
    assert target.read_text() == "untouched\n"
    assert host.status("q/a").startswith("ERR cannot start: ")


def test_log_with_a_size_keeps_its_tail_while_the_task_writes_on(engine):
    done = engine.path("done")
    limit = 200_000
    engine.submit(engine.spec("a", sys.executable, "-c", WRITER, str(done), log_max_size=limit))
    log = Path(engine.places.log("ltspec", "", "a", 1))
    engine.until(lambda: log.exists() and log.stat().st_size > limit)
    engine.until(lambda: log.stat().st_size < limit, what="the log is cut")
    done.touch()
    engine.ended("a")
    last = log.read_text().splitlines()[-1]
    assert last.startswith("line ")
    assert int(last.split()[1]) > 100


def test_log_with_a_size_ends_the_task_where_that_is_wanted(engine, host):
    done = engine.path("done")
    engine.run(
        engine.spec("a", sys.executable, "-c", WRITER, str(done), log_max_size=100_000,
                    log_on_full="stop")
    )
    assert host.status("a") == "ERR stopped: its log is longer than 100000 bytes"
