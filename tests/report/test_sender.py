"""The sender against a recorded mgrctl: what is sent, tried again, given up."""

import fcntl
import os
import subprocess
import time

import pytest

from ltspec import process
from ltspec.catalogue import outbox
from ltspec.clock import now

NASTY = "it's \"bad\": a=b&c %20 + \t \x1b[31m ünï ☃ $HOME `id` \\ line\nline"


def test_end_ok_is_sent_as_documented(box, panel):
    key = box.ended(panel.mgrctl, "a", queue="q", manager="billmgr")
    box.send()
    assert panel.calls == [
        ["-m", "billmgr", "longtask.finish", f"elid={box.run_dir}/billmgr/q/a", "status=ok"]
    ]
    assert box.report(key).state == "sent"
    assert box.report(key).answer == "OK"


def test_end_err_is_sent_with_its_text_as_one_argument(box, panel):
    box.ended(panel.mgrctl, "a", NASTY)
    box.send()
    assert panel.calls[0][3:] == [
        f"elid={box.run_dir}/ltspec/a", "status=err", "errmsg=" + NASTY
    ]


def test_text_of_100_kb_arrives_whole(box, panel):
    box.ended(panel.mgrctl, "a", "x" * 100_000)
    box.send()
    assert panel.calls[0][-1] == "errmsg=" + "x" * 100_000


def test_text_over_the_systems_limit_arrives_shortened(box, panel):
    key = box.ended(panel.mgrctl, "a", "x" * 300_000)
    box.send()
    assert len(panel.calls[0][-1]) == 131_071
    assert box.report(key).state == "sent"


def test_joined_form_sends_one_element(box, panel):
    box.ended(panel.mgrctl, "a", "no room", mgrctl_form="joined")
    box.send()
    assert panel.calls == [
        ["-m", "ltspec",
         f"longtask.finish&elid={box.run_dir}/ltspec/a&status=err&errmsg=no%20room"]
    ]


def test_error_answer_is_final_after_three_tries(box, panel):
    panel.answer((1, "ERROR value(elid)"))
    key = box.ended(panel.mgrctl)
    for tries in (1, 2):
        box.send()
        assert (box.report(key).state, box.report(key).tries) == ("pending", tries)
        box.make_due()
    box.send()
    assert (box.report(key).state, box.report(key).tries) == ("failed", 3)
    assert box.report(key).answer == "ERROR value(elid)"
    assert outbox.next_due(box.store) is None


def test_panel_that_was_down_still_gets_three_tries_after_its_first_error(box, panel):
    panel.answer((1, ""), (1, ""), (1, ""), (0, "ERROR busy(db)"))
    key = box.ended(panel.mgrctl)
    for _ in range(5):
        box.send()
        box.make_due()
    assert (box.report(key).state, box.report(key).tries) == ("pending", 5)
    box.send()
    assert box.report(key).state == "failed"


def test_panel_that_is_down_keeps_the_report_with_growing_delays(box, panel):
    panel.answer((1, ""))
    key = box.ended(panel.mgrctl)
    delays = []
    for _ in range(4):
        before = now().wall
        box.send()
        delays.append(box.report(key).next_try - before)
        box.make_due()
    assert [round(delay / 5) for delay in delays] == [1, 3, 9, 27]
    assert box.report(key).state == "pending"
    panel.answer((0, ""))
    box.send()
    assert box.report(key).state == "sent"


def test_delay_is_never_over_an_hour():
    assert outbox.delay(100_000) == 3600


def test_report_that_is_not_due_is_not_sent(box, panel):
    panel.answer((1, ""))
    box.ended(panel.mgrctl)
    box.send()
    box.send()
    assert len(panel.calls) == 1


def test_mgrctl_that_is_not_there_keeps_the_report(box, tmp_path):
    key = box.ended(tmp_path / "none")
    box.send()
    assert box.report(key).state == "pending"
    assert "cannot run" in box.report(key).answer


def test_mgrctl_with_a_missing_interpreter_keeps_the_report(box, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    key = box.ended(broken)
    box.send()
    assert box.report(key).state == "pending"
    assert "cannot run" in box.report(key).answer


def test_mgrctl_that_is_killed_keeps_the_report(box, script):
    key = box.ended(script("kill -KILL $$"))
    box.send()
    assert box.report(key).state == "pending"
    assert "signal 9" in box.report(key).answer


def test_what_mgrctl_says_on_stderr_is_kept_as_the_reason(box, script):
    key = box.ended(script("echo 'cannot connect to core' >&2; exit 2"))
    box.send()
    assert box.report(key).answer == "exit code 2: cannot connect to core"


def test_hanging_mgrctl_is_ended_with_its_children(box, script, tmp_path, wait_until):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    key = box.ended(script(f"cat {fifo} & echo $! >{tmp_path}/child; cat {fifo}"))
    box.send(time_limit=0.5)
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{child}") or is_zombie(child))
    assert box.report(key).state == "pending"
    assert "within 0.5 s" in box.report(key).answer


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_hanging_mgrctl_does_not_hold_up_the_reports_of_another(box, panel, script):
    hanging = script("read nothing <>" + str(box.state_dir / "fifo"))
    os.mkfifo(box.state_dir / "fifo")
    keys = [box.ended(hanging, f"h{n}") for n in range(3)]
    for n in range(5):
        box.ended(panel.mgrctl, f"t{n}")
    started = time.monotonic()
    box.send(time_limit=3)
    assert len(panel.calls) == 5
    assert time.monotonic() - started < 9
    assert {box.report(key).state for key in keys} == {"pending"}


def test_daemon_that_mgrctl_leaves_behind_does_not_hold_up_the_sender(box, script, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    key = box.ended(script(f"setsid cat {fifo} & echo $! >{tmp_path}/child; echo OK"))
    box.send(time_limit=15)
    assert box.report(key).state == "sent"
    child = int((tmp_path / "child").read_text())
    assert os.path.exists(f"/proc/{child}"), "the panel's own daemon was killed"
    fifo.write_text("")


def test_newer_end_supersedes_the_unsent_one(box, panel):
    panel.answer((1, ""))
    box.ended(panel.mgrctl, "a", "first")
    box.send()
    panel.answer((0, "OK"))
    key = box.ended(panel.mgrctl, "a")
    box.make_due()
    box.send()
    assert [report.state for report in box.reports(key)] == ["sent", "superseded"]
    assert panel.calls[-1][-1] == "status=ok"


def test_ends_of_one_task_are_sent_in_their_order(box, panel):
    for detail in ("one", "two", ""):
        box.ended(panel.mgrctl, "a", detail)
        box.send()
    assert [call[4:] for call in panel.calls] == [
        ["status=err", "errmsg=one"], ["status=err", "errmsg=two"], ["status=ok"]
    ]


def test_task_without_a_mgrctl_has_no_report(box):
    key = box.ended("")
    assert box.reports(key) == []


def test_task_whose_mgrctl_was_taken_away_gives_up(box, panel):
    key = box.ended(panel.mgrctl)
    with box.store.write():
        box.store.execute("UPDATE task SET spec = json_remove(spec, '$.mgrctl')")
    box.send()
    assert box.report(key).state == "failed"


def test_resend_sends_a_failed_report_again(box, panel):
    panel.answer((1, "ERROR"))
    key = box.ended(panel.mgrctl)
    for _ in range(3):
        box.send()
        box.make_due()
    panel.answer((0, "OK"))
    with box.store.write():
        assert outbox.resend(box.store, key, now=now().wall)
    box.send()
    assert box.report(key).state == "sent"


def test_resend_of_a_task_without_reports_is_told(box):
    key = box.ended("")
    with box.store.write():
        assert not outbox.resend(box.store, key, now=now().wall)


def test_second_sender_leaves_the_work_to_the_first(box, panel):
    box.ended(panel.mgrctl)
    with open(box.state_dir / "sender.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(box.command(1), env=box.environment, check=False)
    assert done.returncode == process.BUSY
    assert panel.calls == []


def test_many_reports_are_each_sent_once(box, panel):
    for n in range(30):
        box.ended(panel.mgrctl, f"t{n}")
    box.send()
    assert len({call[3] for call in panel.calls}) == len(panel.calls) == 30


def test_sender_without_a_catalogue_says_so(tmp_path, box):
    box.store.close()
    os.unlink(box.state_dir / "catalogue.db")
    done = subprocess.run(box.command(1), capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "catalogue" in done.stderr


@pytest.mark.parametrize("state", ["sent", "pending"])
def test_listed_finds_reports_by_their_state(box, panel, state):
    box.ended(panel.mgrctl, "one")
    box.send()
    box.ended(panel.mgrctl, "two")
    found = outbox.listed(box.store, (state,))
    assert [row.id for row in found] == [{"sent": "one", "pending": "two"}[state]]
