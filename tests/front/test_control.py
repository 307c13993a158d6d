"""stop, retry, remove, wake, supervise, queue, why: what an administrator does with live tasks."""

import os
import signal
from pathlib import Path

import pytest


def add(host, text, name="x"):
    host.ltspec("apply", host.write(f"jobs/{name}.yml", text), code=0)


def running(host, wait_until, reference):
    wait_until(lambda: host.status(reference).startswith("RUN"))


def order(host, queue="q"):
    found = host.json("list", "-q", queue, "--status", "que")["tasks"]
    return [task["id"] for task in found]


@pytest.fixture
def full(host, wait_until):
    """A queue whose only slot is taken, with a, b, c waiting."""
    rest = "".join(f"  - {{id: {name}, queue: q, command: /bin/true}}\n" for name in "abc")
    add(host, "tasks:\n  - {id: long, queue: q, command: sleep 600}\n" + rest)
    running(host, wait_until, "q/long")
    return host


def test_stop_ends_a_running_task_and_returns_when_it_has(host, wait_until):
    add(host, "id: one\nqueue: q\ncommand: sleep 600\n")
    running(host, wait_until, "q/one")
    done = host.ltspec("stop", "q/one", code=0)
    assert done.stdout == "q/one: ERR stopped\n"
    assert host.status("q/one") == "ERR stopped"


def test_stop_takes_a_waiting_task_out_of_its_queue(full):
    full.ltspec("stop", "q/b", code=0)
    assert full.status("q/b") == "ERR stopped"
    assert order(full) == ["a", "c"]


def test_stop_of_a_queue_stops_all_of_it(full):
    full.ltspec("stop", "-q", "q", code=0)
    assert {full.status(f"q/{name}") for name in ("long", "a", "b", "c")} == {"ERR stopped"}


def test_stop_of_an_ended_task_says_so_and_is_no_failure(host):
    add(host, "id: one\nqueue: q\ncommand: /bin/true\n")
    host.ltspec("wait", "q/one", code=0)
    assert "has ended already: OK" in host.ltspec("stop", "q/one", code=0).stderr


def test_stop_without_waiting_returns_at_once(host, wait_until):
    add(host, "id: one\nqueue: q\nkill: [TERM, 60s, KILL]\n"
              "command: [sh, -c, \"trap '' TERM; echo up; while :; do sleep 1; done\"]\n")
    running(host, wait_until, "q/one")
    wait_until(lambda: "up" in host.ltspec("logs", "q/one").stdout)
    host.ltspec("stop", "--no-wait", "q/one", code=0)
    assert host.status("q/one").startswith("RUN")
    assert "stopping" in host.ltspec("list").stdout


def test_retry_runs_an_ended_task_again_and_refuses_a_running_one(host, wait_until):
    add(host, "id: one\nqueue: q\ncommand: [sh, -c, 'exit 3']\n")
    host.ltspec("wait", "q/one", code=3)
    host.ltspec("retry", "q/one", "--wait", code=3)
    assert host.json("show", "q/one")["attempts"] == 2
    add(host, "id: two\nqueue: q\ncommand: sleep 600\n", "two")
    running(host, wait_until, "q/two")
    done = host.ltspec("retry", "q/one", "q/two", code=1)
    assert "q/two runs already" in done.stderr
    assert host.json("show", "q/one")["attempts"] == 2      # all or none


def test_retry_failed_takes_every_failed_task_of_a_queue(host):
    add(host, "tasks:\n  - {id: a, queue: q, command: /bin/false}\n"
              "  - {id: b, queue: q, command: /bin/true}\n"
              "  - {id: c, queue: r, command: /bin/false}\n")
    host.ltspec("wait", "a", "b", "c", code=1)
    assert host.ltspec("retry", "--failed", "-q", "q", code=0).stdout == "q/a: queued again\n"


def test_remove_forgets_ended_and_waiting_tasks_and_refuses_running_ones(full):
    full.ltspec("remove", "q/b", code=0)
    assert not full.pidfile("q/b").exists()
    done = full.ltspec("remove", "q/a", "q/long", code=1)
    assert "q/long runs" in done.stderr
    assert order(full) == ["a", "c"]
    log = full.json("show", "q/long")["log"]
    full.ltspec("remove", "--force", "q/long", code=0)
    assert not full.pidfile("q/long").exists()
    assert not os.path.exists(log)
    assert "no task 'q/long'" in full.ltspec("show", "q/long", code=1).stderr


@pytest.mark.parametrize("command", ["stop", "retry", "remove", "show", "logs", "wait", "why"])
def test_commands_on_tasks_without_catalogue_say_so_and_make_nothing(host, command):
    done = host.ltspec(command, "q/one", code=1)
    assert "no tasks yet" in done.stderr
    assert not host.state_dir.exists()


def test_wake_without_catalogue_starts_nobody(host):
    assert "is empty" in host.ltspec("wake", code=0).stdout
    assert not host.state_dir.exists()


def test_wake_goes_on_with_what_waits(host, catalogue, spec):
    catalogue.add(spec("q/one", cwd="/"))
    host.ltspec("wake", code=0)
    host.ltspec("wait", "q/one", code=0)


def test_supervise_runs_in_the_foreground_until_told_to_leave(host, wait_until):
    with host.start("supervise") as supervising:
        wait_until(lambda: (host.state_dir / "supervisor.sock").exists())
        add(host, "id: one\nqueue: q\ncommand: /bin/true\n")
        host.ltspec("wait", "q/one", code=0)
        supervising.send_signal(signal.SIGTERM)
        assert supervising.wait(30) == 0


def test_supervise_and_a_command_at_once_share_one_supervisor(host, wait_until):
    with host.start("supervise") as supervise:
        command_line = Path(f"/proc/{supervise.pid}/cmdline")
        wait_until(lambda: "ltspec.supervisor.guardian" in command_line.read_text())
        host.ltspec("run", "--id", "one", "--wait", "--", "true", code=0)
        assert host.json("show", "one")["status"] == "OK"
        assert (host.state_dir / "supervisor.lock").read_text() == f"{supervise.pid}\n"


# ---------------------------------------------------------------- queues


def test_queue_list_shows_slots_running_waiting_and_oldest(full):
    (row,) = full.ltspec("queue", "list", code=0).stdout.splitlines()[1:]
    assert row.split()[:5] == ["q", "1", "1", "3", "0"]
    (queue,) = full.json("queue", "list")["queues"]
    assert queue["running"] == 1
    assert queue["waiting"] == 3
    assert queue["oldest_accepted"]


def test_queue_slots_lets_more_run_at_once_now(full):
    full.ltspec("queue", "slots", "q", "2", code=0)
    full.ltspec("wait", "q/a", "q/b", "q/c", code=0)
    assert full.status("q/long").startswith("RUN")


def test_queue_pause_starts_nothing_until_resumed(full):
    full.ltspec("queue", "pause", "q", code=0)
    full.ltspec("stop", "q/long", code=0)
    assert order(full) == ["a", "b", "c"]
    assert "`ltspec queue resume q`" in full.ltspec("why", "q/a").stdout
    full.ltspec("queue", "resume", "q", code=0)
    full.ltspec("wait", "q/a", "q/b", "q/c", code=0)


def test_queue_drain_takes_nothing_new_and_waits_until_empty(full):
    done = full.ltspec("queue", "drain", "q", "--wait", "--timeout", "200ms", code=5)
    assert "4 tasks of q not ended in time" in done.stderr
    full.write("jobs/new.yml", "id: new\nqueue: q\ncommand: /bin/true\n")
    done = full.ltspec("apply", "jobs/new.yml", code=1)
    assert "being drained" in done.stderr
    with full.start("queue", "drain", "q", "--wait") as draining:
        full.ltspec("stop", "q/long", code=0)
        assert draining.wait(30) == 0
    for again in (["retry", "q/a"], ["apply", "--rerun", "jobs/x.yml"]):
        assert "being drained" in full.ltspec(*again, code=1).stderr
    full.ltspec("queue", "resume", "q", code=0)
    full.ltspec("apply", "jobs/new.yml", code=0)


def test_queue_move_changes_the_order_within_a_priority(full):
    assert "is number 1" in full.ltspec("queue", "move", "q/c", "--first", code=0).stdout
    assert order(full) == ["c", "a", "b"]
    full.ltspec("queue", "move", "q/c", "--before", "q/b", code=0)
    assert order(full) == ["a", "c", "b"]
    full.ltspec("queue", "move", "q/b", "--before", "q/a", code=0)
    assert order(full) == ["b", "a", "c"]


def test_queue_move_across_priorities_or_of_a_running_task_is_refused(full):
    add(full, "id: urgent\nqueue: q\npriority: 5\ncommand: /bin/true\n", "u")
    done = full.ltspec("queue", "move", "q/a", "--before", "q/urgent", code=1)
    assert "priority 0" in done.stderr
    assert "only waiting tasks can be moved" in full.ltspec(
        "queue", "move", "q/long", "--first", code=1).stderr


def test_queue_of_another_name_is_not_found_with_a_hint(full):
    done = full.ltspec("queue", "pause", "qq", code=1)
    assert "did you mean q?" in done.stderr


# ---------------------------------------------------------------- why


def test_why_tells_position_slots_and_the_way_out(full):
    text = full.ltspec("why", "q/b", code=0).stdout
    assert "number 2 in its queue, whose 1 slot is taken, 1 task before it" in text
    assert "`ltspec queue move q/b --first`" in text


def test_why_tells_needs_delay_and_ends(host, wait_until):
    add(host, "tasks:\n  - {id: a, command: sleep 600}\n"
              "  - {id: b, command: /bin/true, needs: [a]}\n"
              "  - {id: late, command: /bin/true, start_after: 2h}\n"
              "  - {id: bad, command: [sh, -c, 'exit 9']}\n")
    running(host, wait_until, "a")
    host.ltspec("wait", "bad", code=9)
    assert "It needs a (is RUN) to end first." in host.ltspec("why", "b").stdout
    assert "It does not start before" in host.ltspec("why", "late").stdout
    assert "It ended ERR exit code 9" in host.ltspec("why", "bad").stdout
    host.ltspec("stop", "a", code=0)
    assert "`ltspec retry a` runs it again" in host.ltspec("why", "a").stdout
    assert "Run what it needs again" in host.ltspec("why", "b").stdout


def test_why_tells_a_retry_time(host, wait_until):
    add(host, "id: one\ncommand: [sh, -c, 'exit 4']\nretries: {limit: 3, delay: 1h}\n")
    wait_until(lambda: host.json("show", "one")["outcome"] == "exit")
    text = host.ltspec("why", "one", code=0).stdout
    assert "Attempt 1 ended (exit code 4), and it is tried again." in text
    assert "in 59m" in text or "in 1h00m" in text


def test_progress_of_a_task_is_shown(host, wait_until):
    add(host, "id: one\nqueue: q\n"
              "command: [sh, -c, 'ltspec progress 40 copying files; sleep 600']\n")
    wait_until(lambda: "40% copying files" in host.ltspec("list").stdout, what="progress")
    assert "40% copying files" in host.ltspec("show", "q/one").stdout
    assert host.json("show", "q/one")["progress"] == {"percent": 40, "text": "copying files"}


def test_progress_outside_of_a_task_or_over_100_is_a_usage_error(host):
    assert "not a task" in host.ltspec("progress", "5", code=2).stderr
    done = host.ltspec("progress", "101", code=2, env={"LTSPEC_PROGRESS": "/dev/null"})
    assert "more than 100" in done.stderr


@pytest.mark.parametrize("words", [
    ["stop", "-q", "nigthly"], ["retry", "--failed", "-q", "nigthly"], ["list", "-q", "nigthly"],
])
def test_queue_that_nobody_has_is_told(host, words):
    host.ltspec("run", "-q", "nightly", "--wait", "--", "true", code=0)
    done = host.ltspec(*words, code=1)
    assert "there is no queue 'nigthly'" in done.stderr
    assert "did you mean nightly?" in done.stderr


def test_nothing_is_printed_for_cron_where_nothing_failed(host):
    host.ltspec("run", "-q", "q", "--wait", "--", "true", code=0)
    done = host.ltspec("list", "--failed", code=0)
    assert (done.stdout, done.stderr) == ("", "")
    host.ltspec("run", "-q", "q", "--id", "bad", "--wait", "--", "false", code=1)
    assert "q/bad" in host.ltspec("list", "--failed", code=0).stdout
