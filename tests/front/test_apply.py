"""`ltspec apply`: every cell of the table of DESIGN 7, the recap, what is refused, --check."""

import json

import pytest

from ltspec.decision import Existing, decide
from ltspec.states import Outcome, Status

ONE = """\
id: one
queue: q
command: {command}
rerun: {rerun}
"""


def write_one(host, command="/bin/true", rerun="failed", more=""):
    return host.write("jobs/one.yml", ONE.format(command=command, rerun=rerun) + more)


def apply(host, *options, code=0):
    document = host.json("apply", host.jobs, *options, code=code)
    return {task["reference"]: task["action"] for task in document["tasks"]}


def blocking(host, name="gate"):
    return f"cat {host.fifo(name)}"


def wait_running(host, wait_until, reference="q/one"):
    wait_until(lambda: host.status(reference).startswith("RUN"))


# ---------------------------------------------------------------- the decision alone

HASH = {True: "same", False: "other"}


def verdict(status, outcome=None, *, same, force=False, changes_only=False, needs_allow=False,
            make_spec, **fields):
    existing = Existing(Status(status), outcome, HASH[same], 1000.0, needs_allow)
    task = make_spec("q/x", hash="same", **fields)
    return decide(existing, task, force=force, changes_only=changes_only, now=50000.0)


@pytest.mark.parametrize(
    ("status", "outcome", "same", "fields", "action"),
    [
        ("QUE", None, True, {}, "unchanged"),
        ("QUE", None, False, {}, "changed"),
        ("RUN", None, True, {}, "unchanged"),
        ("RUN", None, False, {}, "refused"),
        ("RUN", None, False, {"while_active": "replace"}, "replaced"),
        ("RUN", None, True, {"while_active": "replace"}, "unchanged"),
        ("OK", Outcome.SUCCEEDED, True, {}, "unchanged"),
        ("OK", Outcome.SUCCEEDED, False, {}, "rerun"),
        ("OK", Outcome.SUCCEEDED, True, {"rerun": "always"}, "rerun"),
        ("OK", Outcome.SUCCEEDED, False, {"rerun": "never"}, "unchanged"),
        ("ERR", Outcome.EXIT, True, {}, "rerun"),
        ("ERR", Outcome.EXIT, False, {}, "rerun"),
        ("ERR", Outcome.EXIT, True, {"rerun": "never"}, "unchanged"),
        ("ERR", Outcome.STOPPED, True, {}, "unchanged"),
        ("ERR", Outcome.STOPPED, False, {}, "rerun"),
        ("ERR", Outcome.SKIPPED, True, {}, "unchanged"),
        ("ERR", Outcome.SKIPPED, False, {}, "rerun"),
    ],
)
def test_decide_gives_each_cell_of_the_table(spec, status, outcome, same, fields, action):
    assert verdict(status, outcome, same=same, make_spec=spec, **fields).action == action


def test_decide_runs_a_skipped_task_again_when_its_needs_allow(spec):
    found = verdict("ERR", Outcome.SKIPPED, same=True, needs_allow=True, make_spec=spec)
    assert found.action == "rerun"


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.STOPPED, Outcome.SKIPPED])
def test_decide_with_rerun_forced_runs_every_ended_task_again(spec, outcome):
    status = "OK" if outcome is Outcome.SUCCEEDED else "ERR"
    found = verdict(status, outcome, same=True, force=True, make_spec=spec, rerun="never")
    assert found.action == "rerun"


@pytest.mark.parametrize("fields", [{}, {"rerun": "always"}])
@pytest.mark.parametrize(("outcome", "status"), [(Outcome.SUCCEEDED, "OK"), (Outcome.EXIT, "ERR")])
@pytest.mark.parametrize("same", [True, False])
def test_decide_for_watch_runs_again_only_what_changed(spec, same, outcome, status, fields):
    found = verdict(status, outcome, same=same, make_spec=spec, changes_only=True, **fields)
    assert found.action == ("unchanged" if same else "rerun")


def test_decide_says_when_an_unchanged_task_ended(spec):
    assert "ended 13 h ago" in verdict("OK", Outcome.SUCCEEDED, same=True, make_spec=spec).reason


# ---------------------------------------------------------------- the same, end to end


def test_apply_of_a_new_task_creates_and_runs_it(host):
    write_one(host)
    done = host.ltspec("apply", host.jobs, "--wait", code=0)
    assert "created    q/one" in done.stdout
    assert "jobs/one.yml : created=1 " in done.stdout
    assert "q/one OK after" in done.stdout
    assert host.status("q/one") == "OK"


def test_apply_again_of_a_succeeded_task_leaves_it_alone_with_a_hint(host):
    write_one(host)
    host.ltspec("apply", host.jobs, "--wait", code=0)
    done = host.ltspec("apply", host.jobs, code=0)
    assert "unchanged  q/one: ended" in done.stdout
    assert "--rerun runs it again" in done.stdout
    assert "unchanged=1" in done.stdout


def test_apply_of_a_changed_definition_runs_a_succeeded_task_again(host):
    write_one(host)
    host.ltspec("apply", host.jobs, "--wait", code=0)
    write_one(host, "/bin/echo again")
    assert apply(host) == {"q/one": "rerun"}
    host.ltspec("wait", "q/one", code=0)
    assert host.ltspec("logs", "q/one", code=0).stdout == "again\n"


def test_apply_of_a_changed_timeout_is_stored_and_runs_nothing(host):
    write_one(host)
    host.ltspec("apply", host.jobs, "--wait", code=0)
    write_one(host, more="timeout: 2h\n")
    document = host.json("apply", host.jobs, code=0)
    assert document["tasks"][0]["action"] == "unchanged"
    assert "settings were stored" in document["tasks"][0]["reason"]
    assert host.json("show", "q/one")["timeout"] == 7200


def test_apply_again_of_a_failed_task_runs_it_again(host):
    write_one(host, "/bin/false")
    host.ltspec("apply", host.jobs, "--wait", code=1)
    assert apply(host) == {"q/one": "rerun"}
    host.ltspec("wait", "q/one", code=1)
    assert host.json("show", "q/one")["attempts"] == 2


def test_apply_again_of_a_stopped_task_leaves_it_alone_and_rerun_does_not(host, wait_until):
    write_one(host, "sleep 600")
    host.ltspec("apply", host.jobs, code=0)
    wait_running(host, wait_until)
    host.ltspec("stop", "q/one", code=0)
    assert apply(host) == {"q/one": "unchanged"}
    assert apply(host, "--rerun") == {"q/one": "rerun"}


def test_apply_of_a_waiting_task_is_unchanged_or_changes_it_in_place(host, wait_until):
    host.write("jobs/first.yml", f"id: first\nqueue: q\ncommand: {blocking(host)}\n")
    host.ltspec("apply", host.jobs, code=0)
    wait_running(host, wait_until, "q/first")
    write_one(host)
    host.write("jobs/third.yml", "id: third\nqueue: q\ncommand: 'true'\n")
    host.ltspec("apply", host.jobs, code=0)
    assert apply(host) == {"q/first": "unchanged", "q/one": "unchanged", "q/third": "unchanged"}
    write_one(host, "/bin/echo other")
    assert apply(host)["q/one"] == "changed"
    waiting = [task["id"] for task in host.json("list", "--status", "que")["tasks"]]
    assert waiting == ["one", "third"]
    host.release(host.root / "gate")
    host.ltspec("wait", "q/one", "q/third", code=0)
    assert host.ltspec("logs", "q/one").stdout == "other\n"


def test_apply_of_a_running_task_is_unchanged_and_another_definition_is_refused(host, wait_until):
    write_one(host, "sleep 600")
    host.write("jobs/two.yml", "id: two\nqueue: r\ncommand: 'true'\n")
    host.ltspec("apply", host.jobs, code=0)
    wait_running(host, wait_until)
    assert apply(host)["q/one"] == "unchanged"
    write_one(host, "sleep 601")
    host.write("jobs/two.yml", "id: two\nqueue: r\ncommand: /bin/echo two\n")
    done = host.ltspec("apply", host.jobs, code=1)
    assert "refused    q/one: it runs with another definition" in done.stdout
    assert "refused=1" in done.stdout
    host.ltspec("wait", "r/two", code=0)      # the others were applied
    assert host.ltspec("logs", "r/two").stdout == "two\n"
    assert host.json("show", "q/one")["command"] == ["sleep", "600"]


def test_apply_with_while_active_replace_stops_the_running_one(host, wait_until):
    write_one(host, "sleep 600", more="while_active: replace\n")
    host.ltspec("apply", host.jobs, code=0)
    wait_running(host, wait_until)
    write_one(host, "/bin/echo new", more="while_active: replace\n")
    assert apply(host) == {"q/one": "replaced"}
    host.ltspec("wait", "q/one", code=0)
    assert host.ltspec("logs", "q/one").stdout == "new\n"


@pytest.mark.parametrize(("rerun", "again"), [("always", "rerun"), ("never", "unchanged")])
def test_apply_obeys_rerun_of_the_spec(host, rerun, again):
    write_one(host, rerun=rerun)
    host.ltspec("apply", host.jobs, "--wait", code=0)
    assert apply(host) == {"q/one": again}


def test_apply_with_when_false_declares_nothing_and_says_skipped(host):
    write_one(host, more="when: \"false\"\n")
    done = host.ltspec("apply", host.jobs, code=0)
    assert "skipped    one: its `when` is false" in done.stdout
    assert "skipped=1" in done.stdout
    assert host.json("list")["tasks"] == []


def test_apply_of_several_files_has_a_line_each_and_a_sum(host):
    write_one(host)
    host.write("jobs/two.yml", "id: two\ncommand: 'true'\n")
    lines = host.ltspec("apply", host.jobs, code=0).stdout.splitlines()
    assert [line.split(" :")[0].strip() for line in lines if "created=" in line] == [
        "jobs/one.yml", "jobs/two.yml", "2 files",
    ]


def test_apply_names_tasks_that_are_no_longer_in_their_file(host, wait_until):
    gate = blocking(host)
    both = "tasks:\n  - {id: a, queue: q, command: '%s'}\n%s"
    host.write("jobs/x.yml", both % (gate, "  - {id: b, queue: q, command: 'true'}\n"))
    host.ltspec("apply", host.jobs, code=0)
    wait_running(host, wait_until, "q/a")
    host.write("jobs/x.yml", both % (gate, ""))
    done = host.ltspec("apply", host.jobs, code=0)
    assert "missing    q/b: no longer in its file, left alone" in done.stdout
    done = host.ltspec("apply", host.jobs, "--remove-missing", code=0)
    assert "removed    q/b" in done.stdout
    assert [task["id"] for task in host.json("list")["tasks"]] == ["a"]


def test_apply_with_tags_takes_only_those_and_misses_nobody(host):
    text = "tasks:\n  - {id: a, command: 'true', tags: [day]}\n  - {id: b, command: 'true'}\n"
    host.write("jobs/x.yml", text)
    host.ltspec("apply", host.jobs, "--wait", code=0)
    document = host.json("apply", host.jobs, "--tags", "day", code=0)
    assert [task["id"] for task in document["tasks"]] == ["a"]
    assert document["missing"] == []
    document = host.json("apply", host.jobs, "--skip-tags", "day", code=0)
    assert [task["id"] for task in document["tasks"]] == ["b"]


def test_apply_of_one_wrong_file_applies_nothing(host):
    write_one(host)
    host.write("jobs/two.yml", "id: two\ncomand: 'true'\n")
    done = host.ltspec("apply", host.jobs, code=1)
    assert "jobs/two.yml:2:1" in done.stderr
    assert "did you mean `command`" in done.stderr
    assert host.json("list")["tasks"] == []


def test_apply_wait_gives_the_tasks_code_and_its_last_lines(host):
    write_one(host, "[sh, -c, 'echo the reason; exit 7']")
    done = host.ltspec("apply", host.jobs, "--wait", code=7)
    assert "q/one ERR exit code 7" in done.stdout
    assert "  the reason" in done.stdout


def test_apply_wait_json_streams_events_after_the_recap(host):
    write_one(host)
    done = host.ltspec("apply", host.jobs, "--wait", "--json", code=0)
    first, *events = map(json.loads, done.stdout.splitlines())
    assert first["files"][0]["created"] == 1
    assert events[-1]["event"] in ("ended", "state")
    assert events[-1]["task"]["status"] == "OK"


def test_apply_takes_queue_settings_from_the_config(host):
    host.config("queues: {q: {slots: 3}}\nmax_running: 7\n")
    write_one(host)
    assert "queue q: its settings" in host.ltspec("apply", host.jobs, code=0).stdout
    assert host.json("queue", "list")["queues"][0]["slots"] == 3
    assert host.json("apply", host.jobs, code=0)["queues_changed"] == []


# ---------------------------------------------------------------- plan


def test_plan_says_what_apply_would_do_and_changes_nothing(host):
    write_one(host)
    done = host.ltspec("plan", host.jobs, code=0)
    assert "created    q/one; number 1 in its queue" in done.stdout
    assert not host.state_dir.exists()
    host.ltspec("plan", host.jobs, "--detailed-exitcode", code=4)


def test_plan_after_apply_finds_nothing_to_change(host):
    write_one(host)
    host.ltspec("apply", host.jobs, "--wait", code=0)
    host.ltspec("plan", host.jobs, "--detailed-exitcode", code=0)
    write_one(host, "/bin/echo two")
    done = host.ltspec("plan", host.jobs, "--detailed-exitcode", "--diff", code=4)
    assert '-command: "/bin/true"' in done.stdout
    assert '+command: "/bin/echo"' in done.stdout
    assert host.json("show", "q/one")["command"] == ["/bin/true"]


def test_plan_names_what_blocks_a_task(host):
    host.write("jobs/x.yml", "tasks:\n  - {id: a, command: 'true'}\n"
                             "  - {id: b, command: 'true', needs: [a]}\n")
    assert "b; blocked by a" in host.ltspec("plan", host.jobs, code=0).stdout


def test_plan_says_where_each_would_stand_and_what_it_would_wait_for(host):
    host.write("jobs/x.yml", """\
        defaults: {command: 'true'}
        tasks:
          - {queue: q, id: a}
          - {queue: q, id: b}
          - {queue: q, id: c, needs: [b]}
          - {queue: q, id: d, start_after: 1h}
          - {queue: q, id: e, priority: 1}
          - {id: f}
        """)
    host.config("queues: {q: {paused: true}}\n")
    said = host.ltspec("plan", host.jobs, code=0).stdout
    for task, words in {
        "a": "number 2 in its queue; its queue is paused", "c": "blocked by q/b; its queue is",
        "d": "not before 2", "e": "number 1 in its queue; its queue is paused",
    }.items():
        assert f"created    q/{task}; {words}" in said
    assert "number" not in said.split("q/d")[1].splitlines()[0]
    tasks = {task["id"]: task for task in host.json("plan", host.jobs, code=0)["tasks"]}
    assert tasks["b"]["number_in_queue"] == 3
    assert tasks["d"]["number_in_queue"] is None
    assert tasks["d"]["due"] > "2"
    assert [task["queue_paused"] for task in tasks.values()] == [True] * 5 + [False]


def test_plan_shows_a_change_in_the_words_of_a_spec(host):
    first = "timeout: 1h\nneeds: [{id: other, want: any}]\nretries: {limit: 2, delay: 5s}\n"
    host.write("jobs/other.yml", "id: other\nqueue: p\ncommand: 'true'\n")
    write_one(host, more=first)
    host.ltspec("apply", host.jobs, "--wait", code=0)
    write_one(host, more="timeout: 2h\nneeds: [other]\nretries: {limit: 3, delay: 5s}\n")
    said = host.ltspec("plan", host.jobs, "--diff", code=0).stdout.splitlines()
    changed = [line for line in said if line[:1] in "+-" and line[:3] != "---"]
    assert changed == [
        '-needs: "p/other (any)"', "-timeout: 3600s", "-retries.limit: 2",
        '+needs: "p/other"', "+timeout: 7200s", "+retries.limit: 3",
    ]


def test_apply_check_diff_is_the_plan(host):
    write_one(host)
    checked = host.ltspec("apply", host.jobs, "--check", "--diff", code=0).stdout
    assert checked == host.ltspec("plan", host.jobs, "--diff", code=0).stdout


def test_plan_never_shows_captured_environment_or_private_parameters(host):
    write_one(host, more="env_pass: [MY_TOKEN]\n")
    host.write("jobs/p.yml", "id: p\ncommand: echo\nparameters: [hush]\nno_log: true\n")
    host.env["MY_TOKEN"] = "very-secret"  # noqa: S105 - not a real one
    for options in ((), ("--json",)):
        done = host.ltspec("plan", host.jobs, "--diff", *options, code=0)
        assert "very-secret" not in done.stdout
        assert "hush" not in done.stdout
        assert "MY_TOKEN" in done.stdout


def test_two_applies_at_once_start_one_supervisor_and_accept_both(host):
    for name in ("a", "b"):
        host.write(f"jobs/{name}.yml", f"id: {name}\nqueue: q\ncommand: sleep 600\n")
    with host.start("apply", "jobs/a.yml") as one, host.start("apply", "jobs/b.yml") as two:
        assert one.wait(30) == 0
        assert two.wait(30) == 0
    assert {task["id"] for task in host.json("list")["tasks"]} == {"a", "b"}
    assert (host.state_dir / "supervisor.log").read_text().count("works") <= 1
