"""`wait` and `logs`: exit codes of DESIGN 9, events, following through a start and retries."""

import json
import os
import signal
import time
from pathlib import Path

import pytest


def one(host, reference, command, more=""):
    queue, _, task_id = reference.rpartition("/")
    line = f"queue: {queue}\n" if queue else ""
    path = host.write(f"jobs/{task_id}.yml", f"id: {task_id}\n{line}command: {command}\n{more}")
    host.ltspec("apply", path, code=0)


@pytest.mark.parametrize(
    ("command", "more", "code"),
    [
        ("/bin/true", "", 0),
        ("[sh, -c, 'exit 7']", "", 7),
        ("[sh, -c, 'exit 7']", "success_codes: [0, 7]\n", 0),
        ("sleep 600", "timeout: 200ms\n", 124),
        ("[sh, -c, 'kill -9 $$']", "", 137),
        ("/no/such/program", "", 125),
        ("[sh, -c, 'mgrctl longtask.finish elid=$MGR_LT_PID status=err errmsg=no']", "", 1),
    ],
)
def test_wait_gives_the_code_of_the_end(host, command, more, code):
    one(host, "q/one", command, more)
    host.ltspec("wait", "q/one", code=code)


def test_wait_of_stopped_and_skipped_tasks_gives_125(host, wait_until):
    host.write("jobs/x.yml", "tasks:\n  - {id: a, command: sleep 600}\n"
                             "  - {id: b, command: /bin/true, needs: [a]}\n")
    host.ltspec("apply", host.jobs, code=0)
    wait_until(lambda: host.status("a").startswith("RUN"))
    host.ltspec("stop", "a", code=0)
    host.ltspec("wait", "a", code=125)
    host.ltspec("wait", "b", code=125)


def test_wait_of_several_gives_1_where_one_is_not_ok(host):
    one(host, "q/good", "/bin/true")
    one(host, "q/bad", "[sh, -c, 'exit 7']")
    done = host.ltspec("wait", "q/good", "q/bad", code=1)
    assert done.stdout.splitlines()[-1] == "1 OK, 1 ERR of 2 tasks"


def test_wait_returns_after_the_last_attempt_not_between(host):
    one(host, "q/one", "[sh, -c, 'exit 3']", "retries: {limit: 1, delay: 100ms}\n")
    host.ltspec("wait", "q/one", code=3)
    assert host.json("show", "q/one")["attempts"] == 2


def test_wait_any_returns_with_the_first_end(host):
    one(host, "a/slow", "sleep 600")
    one(host, "b/fast", "[sh, -c, 'exit 4']")
    host.ltspec("wait", "--any", "a/slow", "b/fast", code=4)
    assert host.status("a/slow").startswith("RUN")


def test_wait_with_too_short_a_timeout_gives_5_and_leaves_the_task(host):
    one(host, "q/one", "sleep 600")
    done = host.ltspec("wait", "--timeout", "300ms", "q/one", code=5)
    assert "not ended within 0.3s: q/one" in done.stderr
    assert host.status("q/one").startswith("RUN")


def test_wait_in_a_pipe_has_a_line_an_event(host):
    gate = host.fifo()
    one(host, "q/first", f"cat {gate}")
    one(host, "q/second", "/bin/true")
    with host.start("wait", "q/first", "q/second") as waiting:
        host.release(gate)
        out, _ = waiting.communicate(timeout=30)
    words = [line.split(" ", 1)[1] for line in out.splitlines()[:-1]]
    assert words[0].startswith("q/first OK after")
    assert words[-1].startswith("q/second OK after")


def test_wait_json_streams_state_then_events(host):
    gate = host.fifo()
    one(host, "q/one", f"cat {gate}")
    with host.start("wait", "q/one", "--json") as waiting:
        first = json.loads(waiting.stdout.readline())
        host.release(gate)
        out, _ = waiting.communicate(timeout=30)
    assert first["event"] == "state"
    last = json.loads(out.splitlines()[-1])
    assert last["event"] == "ended"
    assert last["task"]["status"] == "OK"


def test_wait_interrupted_leaves_the_tasks_and_says_so(host, wait_until):
    one(host, "q/one", "sleep 600")
    with host.start("wait", "q/one", "--json") as waiting:
        waiting.stdout.readline()
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert "interrupted; q/one goes on" in err
    assert "ltspec stop q/one" in err
    assert host.status("q/one").startswith("RUN")


def test_wait_survives_a_killed_supervisor(host):
    gate = host.fifo()
    one(host, "q/one", f"cat {gate}")
    with host.start("wait", "q/one", "--json") as waiting:
        waiting.stdout.readline()
        pid = host.json("wake")["pid"]
        os.kill(pid, signal.SIGKILL)
        host.release(gate)
        waiting.communicate(timeout=30)
    assert waiting.returncode == 0


def test_wait_of_an_unknown_task_names_the_closest(host):
    one(host, "q/backup-u1001", "/bin/true")
    done = host.ltspec("wait", "q/backup-u1010", code=1)
    assert "did you mean q/backup-u1001?" in done.stderr


def test_a_task_is_named_by_id_reference_or_path(host):
    one(host, "q/one", "/bin/true")
    host.ltspec("wait", "one", code=0)
    for name in ("one", "q/one", "ltspec/q/one", str(host.pidfile("q/one"))):
        assert host.json("show", name, code=0)["reference"] == "q/one"
    done = host.ltspec("show", "./run/ltspec/q/one", cwd=host.root, code=0)
    assert done.stdout.startswith("OK q/one")


def test_an_id_that_two_queues_have_is_refused_with_both_paths(host):
    one(host, "q/one", "/bin/true")
    host.write("jobs/other.yml", "id: one\nqueue: r\ncommand: /bin/true\n")
    host.ltspec("apply", "jobs/other.yml", code=0)
    done = host.ltspec("show", "one", code=1)
    assert "2 tasks are named one" in done.stderr
    assert str(host.pidfile("q/one")) in done.stderr


# ---------------------------------------------------------------- logs


def test_logs_prints_the_bytes_as_they_were_written(host):
    one(host, "q/one", r"[printf, 'a\n\033[31mred\000\377 no end']")
    host.ltspec("wait", "q/one", code=0)
    done = host.run(["/bin/sh", "-c", "python -m ltspec logs q/one | od -An -c"], code=0)
    assert "033   [   3   1   m" in done.stdout
    assert "\\0 377" in done.stdout


def test_logs_last_lines_and_attempts(host):
    one(host, "q/one", "[sh, -c, 'echo attempt $LTSPEC_ATTEMPT; echo b; echo c; exit 1']",
        "retries: {limit: 1, delay: 0s}\n")
    host.ltspec("wait", "q/one", code=1)
    assert host.ltspec("logs", "-n", "2", "q/one").stdout == "b\nc\n"
    assert host.ltspec("logs", "-n", "0", "q/one").stdout == ""
    assert host.ltspec("logs", "--attempt", "1", "q/one").stdout.startswith("attempt 1\n")
    assert host.ltspec("logs", "q/one").stdout.startswith("attempt 2\n")
    assert host.ltspec("logs", "--since", "1h", "q/one").stdout.count("attempt") == 2
    done = host.ltspec("logs", "--attempt", "9", "q/one", code=1)
    assert "has no attempt 9; there is 1, 2" in done.stderr


def test_logs_of_a_task_that_has_not_started_says_how_to_wait(host, wait_until):
    one(host, "q/first", "sleep 600")
    one(host, "q/one", "/bin/true")
    done = host.ltspec("logs", "q/one", code=1)
    assert "has not started" in done.stderr
    assert "`ltspec logs -f q/one` waits for it" in done.stderr


def test_logs_follow_waits_for_the_start_and_ends_with_the_end(host):
    gate = host.fifo()
    one(host, "q/first", f"cat {gate}")
    one(host, "q/one", "[sh, -c, 'echo begun; echo done']")
    with host.start("logs", "-f", "q/one") as following:
        host.release(gate)
        out, _ = following.communicate(timeout=30)
    assert out == "begun\ndone\n"
    assert following.returncode == 0


def test_logs_follow_shows_a_line_when_it_is_written(host):
    gate = host.fifo()
    one(host, "q/one", f"[sh, -c, 'echo first; cat {gate}; echo last']")
    with host.start("logs", "-f", "q/one") as following:
        assert following.stdout.readline() == "first\n"
        host.release(gate)
        assert following.stdout.readline() == "go\n"
        assert following.stdout.readline() == "last\n"
        assert following.wait(30) == 0


def test_logs_follow_goes_through_retries(host):
    gate = host.fifo()
    script = f"echo attempt $LTSPEC_ATTEMPT; [ $LTSPEC_ATTEMPT != 1 ] || cat {gate}; exit 1"
    one(host, "q/one", f"[sh, -c, '{script}']", "retries: {limit: 2, delay: 100ms}\n")
    with host.start("logs", "-f", "q/one") as following:
        assert following.stdout.readline() == "attempt 1\n"
        host.release(gate)
        out, err = following.communicate(timeout=30)
    assert out == "go\nattempt 2\nattempt 3\n"
    assert "q/one: attempt 3" in err


def test_logs_of_several_have_a_prefix_on_whole_lines(host):
    one(host, "a/x", "[printf, 'one\\ntwo']")
    one(host, "b/y", "echo three")
    host.ltspec("wait", "a/x", "b/y", code=0)
    done = host.ltspec("logs", "-f", "a/x", "b/y", code=0)
    assert sorted(done.stdout.splitlines()) == ["a/x | one", "a/x | two", "b/y | three"]


def test_logs_of_a_private_task_are_not_shown_anywhere(host):
    one(host, "q/one", "[sh, -c, 'echo hush; exit 1']", "no_log: true\n")
    host.ltspec("wait", "q/one", code=1)
    done = host.ltspec("logs", "q/one", code=1)
    assert "has `no_log`" in done.stderr
    for command in (["show", "q/one"], ["why", "q/one"], ["wait", "q/one"],
                    ["show", "q/one", "--json"]):
        assert "hush" not in host.ltspec(*command).stdout


def test_logs_follow_costs_nothing_while_nothing_is_written(host, wait_until):
    one(host, "q/one", "[sh, -c, 'echo begun; exec sleep 600']")
    with host.start("logs", "-f", "q/one") as following:
        assert following.stdout.readline() == "begun\n"

        proc = Path(f"/proc/{following.pid}")

        def switches():
            text = (proc / "status").read_text()
            return int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])

        wait_until(lambda: (proc / "stat").read_text().split()[2] == "S")
        before, begin = switches(), time.monotonic()
        wait_until(lambda: time.monotonic() - begin > 1)
        assert switches() - before <= 1
