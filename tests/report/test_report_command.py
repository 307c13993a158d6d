"""`ltspec report` and what other commands show of reports."""

import json
from pathlib import Path

import pytest

from ltspec.catalogue import details, enqueue, lifecycle, open_store, outbox
from ltspec.clock import boot_id, now
from ltspec.decision import Verdict
from ltspec.model import TaskSpec
from ltspec.states import End, Outcome, Status


@pytest.fixture
def store(host):
    host.state_dir.mkdir(mode=0o700)
    opened = open_store(str(host.state_dir / "catalogue.db"), create=True)
    yield opened
    opened.close()


def ended(store, task, mgrctl, state="pending", queue="q"):
    """A task that has ended ERR, its report in that state; returns its key."""
    spec = TaskSpec(id=task, queue=queue, command=("/bin/true",), mgrctl=str(mgrctl))
    with store.write():
        key = enqueue.enqueue(store, [spec], lambda _there, _spec: Verdict("created"),
                              now=now(), boot_id=boot_id())[0].key
        assert key is not None
        lifecycle.end_waiting(store, key, End(Status.ERR, Outcome.EXIT, "exit code 3"), now=now())
        store.execute("UPDATE report SET state = ?, tries = 3, answer = 'ERROR value(elid)',"
                      " next_try = ? WHERE task = ?", (state, now().wall + 3600, key))
    return key


def test_report_lists_what_waits_and_what_failed(host, store, panel):
    ended(store, "waits", panel.mgrctl)
    ended(store, "refused", panel.mgrctl, "failed")
    ended(store, "done", panel.mgrctl, "sent")
    lines = host.ltspec("report", code=0).stdout.splitlines()
    assert lines[0].split() == ["STATE", "TASK", "STATUS", "TRIES", "NEXT", "ANSWER"]
    assert lines[1].split()[:2] == ["failed", "q/refused"]
    assert lines[2].split()[:2] == ["pending", "q/waits"]
    assert lines[3] == "2 reports not sent"


def test_report_all_has_the_sent_ones_too(host, store, panel):
    ended(store, "done", panel.mgrctl, "sent")
    found = host.json("report", "--all", code=0)["reports"]
    assert [(one["reference"], one["state"]) for one in found] == [("q/done", "sent")]


def test_report_of_one_task(host, store, panel):
    ended(store, "one", panel.mgrctl)
    ended(store, "two", panel.mgrctl)
    found = host.json("report", "q/two", code=0)["reports"]
    assert [one["reference"] for one in found] == ["q/two"]


def test_report_without_a_catalogue_is_empty(host):
    assert host.json("report", code=0) == {"reports": []}


def test_resend_sends_the_failed_report_again(host, store, panel, wait_until):
    key = ended(store, "a", panel.mgrctl, "failed")
    assert host.ltspec("report", "--resend", "q/a", code=0).stdout == "1 report to be sent\n"
    wait_until(lambda: details.reports(store, key)[0].state == "sent")
    assert panel.calls[0][-1] == "errmsg=exit code 3"


def test_resend_failed_sends_all_that_were_given_up(host, store, panel, wait_until):
    keys = [ended(store, f"t{n}", panel.mgrctl, "failed") for n in range(3)]
    ended(store, "sent", panel.mgrctl, "sent")
    host.ltspec("report", "--resend", "--failed", code=0)
    wait_until(lambda: {details.reports(store, key)[0].state for key in keys} == {"sent"})
    assert len(panel.calls) == 3


def test_resend_of_a_task_without_a_report_is_an_error(host, store):
    ended(store, "a", "")
    done = host.ltspec("report", "--resend", "q/a", code=1)
    assert "no report to send: q/a" in done.stderr


def test_resend_needs_to_know_what(host):
    assert "needs tasks" in host.ltspec("report", "--resend", code=2).stderr


def test_show_and_list_have_the_reports(host, store, panel):
    ended(store, "a", panel.mgrctl, "failed")
    assert "ERROR value(elid)" in host.ltspec("show", "q/a", code=0).stdout
    assert "ERROR value(elid)" in host.ltspec("list", "--reports", code=0).stdout
    found = json.loads(host.ltspec("show", "q/a", "--json", code=0).stdout)
    assert found["reports"][0]["state"] == "failed"


def test_end_of_a_real_task_is_reported_by_the_supervisor(host, panel, wait_until):
    host.config(f"manager: billmgr\nmgrctl: {panel.mgrctl}\n")
    job = host.write("jobs/a.yml", """
        tasks:
          - { id: good, queue: q, command: /bin/true }
          - { id: bad, command: [sh, -c, 'exit 4'] }
        """)
    host.ltspec("apply", job, "--wait", code=1)
    wait_until(lambda: len(panel.calls) == 2)
    run = host.run_dir
    assert sorted(panel.calls) == [
        ["-m", "billmgr", "longtask.finish", f"elid={run}/billmgr/bad", "status=err",
         "errmsg=exit code 4"],
        ["-m", "billmgr", "longtask.finish", f"elid={run}/billmgr/q/good", "status=ok"],
    ]


def test_retried_attempts_are_not_reported(host, panel, wait_until):
    host.config(f"manager: billmgr\nmgrctl: {panel.mgrctl}\n")
    job = host.write("jobs/a.yml", f"""
        id: a
        retries: {{ limit: 2, delay: 10ms }}
        command: [sh, -c, 'echo x >>{host.root}/runs; exit 4']
        """)
    host.ltspec("apply", job, "--wait", code=4)
    wait_until(lambda: panel.calls)
    assert (host.root / "runs").read_text() == "x\n" * 3
    assert len(panel.calls) == 1


def test_hanging_mgrctl_holds_up_no_queue(host, panel, wait_until):
    panel.answer("hang")
    host.config(f"manager: billmgr\nmgrctl: {panel.mgrctl}\n")
    job = host.write("jobs/a.yml", """
        defaults: { queue: q, command: /bin/true }
        tasks: [{ id: a }, { id: b }, { id: c }]
        """)
    host.ltspec("apply", job, "--wait", code=0, timeout=30)
    assert host.status("q/c", "billmgr") == "OK"


def test_setting_that_leads_back_to_us_is_refused_at_apply(host):
    own = host.root / "mgrctl"
    own.write_text("#!/bin/sh\nexec python3 -m ltspec.mgrctl.command \"$@\"\n")
    own.chmod(0o755)
    host.config(f"manager: billmgr\nmgrctl: {own}\n")
    job = host.write("jobs/a.yml", "{ id: a, command: /bin/true }")
    done = host.ltspec("apply", job, code=1)
    assert "leads back to ltspec's own mgrctl" in done.stderr
    assert not Path(host.run_dir / "billmgr").exists()


def test_report_is_kept_while_the_panel_is_down(host, panel, wait_until):
    panel.answer((1, ""))
    host.config(f"manager: billmgr\nmgrctl: {panel.mgrctl}\n")
    job = host.write("jobs/a.yml", "{ id: a, command: /bin/true }")
    host.ltspec("apply", job, "--wait", code=0)
    wait_until(lambda: panel.calls)
    store = open_store(str(host.state_dir / "catalogue.db"))
    wait_until(lambda: outbox.listed(store)[0].report.tries == 1)
    assert outbox.listed(store)[0].report.state == "pending"
    panel.answer((0, "OK"))
    host.ltspec("report", "--resend", "a", code=0)
    wait_until(lambda: outbox.listed(store)[0].report.state == "sent")
    store.close()
