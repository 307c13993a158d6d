"""How an attempt ends: codes, signals, the task's own word, timeouts, retries (DESIGN 4)."""

import itertools
import os
import signal
import time

import pytest

from ltspec.model import Retries

FINISH = 'mgrctl -m ltspec longtask.finish elid="$MGR_LT_PID" '


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("exit 0", "OK"), ("exit 3", "ERR exit code 3"), ("exit 255", "ERR exit code 255"),
        ("kill -SEGV $$", "ERR crashed"), ("kill -KILL $$", "ERR crashed"),
    ],
)
def test_end_of_the_process_is_the_pidfiles_first_line(engine, host, text, line):
    engine.run(engine.sh("q/a", text))
    assert host.status("q/a") == line


def test_signal_that_ended_a_task_is_kept(engine):
    engine.run(engine.sh("a", "kill -SEGV $$"))
    assert engine.attempts("a")[0][2:6] == ("signal", "crashed", None, int(signal.SIGSEGV))


def test_success_codes_decide_what_is_well(engine):
    engine.submit(
        engine.sh("a", "exit 24", success_codes=(0, 24)),
        engine.sh("b", "exit 0", success_codes=(1,)),
    )
    ended = engine.ended("a", "b")
    assert [(task.status, task.code) for task in ended] == [("OK", 24), ("ERR", 0)]


def test_kill_9_of_a_task_is_crashed_and_the_queue_goes_on(engine, host):
    engine.submit(engine.spec("q/a", "/bin/sleep", "60"), engine.spec("q/b"))
    os.kill(engine.running("q/a").pid, signal.SIGKILL)
    engine.ended("q/a", "q/b")
    assert (host.status("q/a"), host.status("q/b")) == ("ERR crashed", "OK")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/no/such/program", "No such file"), ("nosuchprogram", "command not found"),
        ("/", "Permission denied"),
    ],
)
def test_program_that_cannot_be_started_is_said_in_the_pidfile(engine, host, command, words):
    engine.run(engine.spec("q/a", command))
    assert host.status("q/a").startswith("ERR cannot start: ")
    assert words in host.status("q/a")


def test_working_directory_that_is_missing_is_said(engine, host):
    engine.run(engine.spec("a", cwd="/no/such/place"))
    assert host.status("a").startswith("ERR cannot start: ")


def test_finish_ok_is_shown_at_once_and_a_bad_exit_does_not_change_it(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("a", f"{FINISH} status=ok; read x < {gate}; exit 3"))
    engine.until(lambda: host.status("a") == "OK", what="finish is published")
    assert engine.task("a").status == "RUN"
    host.release(gate)
    task = engine.ended("a")[0]
    assert (task.status, task.outcome, task.code) == ("OK", "reported", 3)


def test_finish_err_counts_as_failed_attempt_with_its_text(engine, host):
    engine.run(engine.sh("a", f"{FINISH} status=err 'errmsg=no space  left'; exit 0"))
    assert (host.status("a"), engine.task("a").outcome) == ("ERR no space  left", "reported")


def test_first_finish_is_final(engine, host):
    engine.run(engine.sh("a", f"{FINISH} status=ok; {FINISH} status=err errmsg=late; kill -9 $$"))
    assert host.status("a") == "OK"


def test_slot_is_kept_until_the_process_has_ended_after_its_finish(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"{FINISH} status=ok; read x < {gate}"), engine.spec("q/b"))
    engine.until(lambda: host.status("q/a") == "OK")
    assert engine.task("q/b").status == "QUE"
    host.release(gate)
    engine.ended("q/b")


def test_silence_of_a_task_that_reports_itself_is_a_failure(engine, host):
    engine.submit(
        engine.spec("a", report="self"), engine.sh("b", f"{FINISH} status=ok", report="self")
    )
    engine.ended("a", "b")
    assert (host.status("a"), host.status("b")) == ("ERR crashed", "OK")


def test_timeout_ends_the_attempt_and_says_so(engine, host):
    task = engine.run(engine.spec("q/a", "/bin/sleep", "60", timeout=0.2))
    assert (host.status("q/a"), task.outcome) == ("ERR timeout after 0.2s", "timeout")


def test_timeout_is_not_triggered_by_a_task_that_ends_in_time(engine):
    assert engine.run(engine.sh("a", "sleep 0.05", timeout=30)).status == "OK"


def test_each_attempt_has_its_own_log_code_and_times(engine):
    text = 'echo "attempt $LTSPEC_ATTEMPT"; exit $((4 - LTSPEC_ATTEMPT))'
    task = engine.run(engine.sh("q/a", text, retries=Retries(5, 0.01)))
    attempts = engine.attempts("q/a")
    assert (task.status, [row[4] for row in attempts]) == ("OK", [3, 2, 1, 0])
    assert [engine.output("q/a", n) for n in (1, 4)] == ["attempt 1\n", "attempt 4\n"]
    times = [time for row in attempts for time in row[6:8]]
    assert times == sorted(times)


def test_retries_stop_at_their_limit(engine):
    task = engine.run(engine.sh("a", "echo x >> ran; exit 7", retries=Retries(2, 0.01)))
    assert (task.status, task.detail, len(engine.lines("ran"))) == ("ERR", "exit code 7", 3)


def test_retries_on_codes_leave_other_codes_alone(engine):
    engine.submit(
        engine.sh("a", "echo a >> ran; exit 7", retries=Retries(1, 0.01, on=(7,))),
        engine.sh("b", "echo b >> ran; exit 8", retries=Retries(1, 0.01, on=(7,))),
    )
    engine.ended("a", "b")
    assert sorted(engine.lines("ran")) == ["a", "a", "b"]


def test_retry_waits_for_its_delay_which_grows(engine):
    engine.run(engine.sh("a", "exit 1", retries=Retries(2, 0.15, backoff=2.0)))
    rows = engine.attempts("a")
    waits = [after[6] - before[7] for before, after in itertools.pairwise(rows)]
    assert waits[0] >= 0.14
    assert waits[1] >= 0.29


def test_task_waiting_for_its_retry_holds_no_slot_and_shows_que(engine, host):
    engine.submit(engine.sh("q/a", "exit 1", retries=Retries(1, 60)), engine.spec("q/b"))
    engine.ended("q/b")
    assert (host.status("q/a"), engine.task("q/a").outcome) == ("QUE", "exit")


def test_timeout_counts_for_each_attempt(engine):
    spec = engine.sh("a", "sleep 60", timeout=0.1, retries=Retries(1, 0.01))
    task = engine.run(spec)
    assert [row[2] for row in engine.attempts("a")] == ["timeout", "timeout"]
    assert task.outcome == "timeout"


def test_start_after_waits_and_then_starts(engine):
    before = time.time()
    engine.submit(engine.sh("q/late", "date +%s.%N > when", start_after=0.4), engine.spec("q/b"))
    engine.ended("q/b")
    assert engine.task("q/late").status == "QUE"
    engine.ended("q/late")
    assert float(engine.path("when").read_text()) - before >= 0.39


def test_start_at_an_instant_waits_for_it(engine):
    engine.connection.fileno()
    instant = time.time() + 0.4
    engine.submit(engine.spec("now", start_at=instant - 5), engine.spec("a", start_at=instant))
    engine.ended("now")
    assert engine.ended("a")[0].started >= instant
