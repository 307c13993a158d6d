"""Killed at each numbered step, everything is afterwards as it should be (scenario.run)."""

import os
from typing import Any

import pytest

from ltspec.model import Need
from ltspec.supervisor.seam import STEPS
from tests.faults import scenario


@pytest.mark.parametrize("step", STEPS)
def test_kill_at_this_step_loses_nothing_and_runs_nothing_twice(step, tmp_path):
    wrong, _ = scenario.run(tmp_path, step, "supervisor")
    assert wrong == []


# At the others no attempt stands between two states; `python -m tests.faults` tries those too.
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["guardian", "both"])
@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith(("start.", "end."))])
def test_kill_of_the_guardian_or_of_both_at_this_step_runs_nothing_twice(step, victim, tmp_path):
    wrong, _ = scenario.run(tmp_path, step, victim)
    assert wrong == []


@pytest.mark.parametrize("victim", ["supervisor", "both"])
@pytest.mark.parametrize("how", ["running", "reading its secret"])
def test_start_that_nobody_wrote_down_is_found_again_by_its_mark(how, victim, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    fields: dict[str, Any] = {"secrets": {"WORD": {"command": ["cat", str(gate)]}}}
    text = 'test "$WORD" = go'
    if how == "running":
        fields, text = {}, f"read word <{gate}; test $word = go"
    it = scenario.Scenario(tmp_path, "start.spawned", victim)
    try:
        it.submit(it.spec("t", text, **fields))
        scenario.wait_until(it.died.exists, "the kill")
        it.reach().close()
        scenario.wait_until(lambda: it.rows()[0].pid, "it is found")
        gate.write_text("go\n")
        it.settle()
        row = it.rows()[0]
        assert (row.status, row.outcome, row.code) == ("OK", "succeeded", 0)
        assert scenario.lines(it.ran) == ["t"]
    finally:
        it.close()


def test_reason_why_a_found_start_cannot_be_stands_in_its_log(tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    it = scenario.Scenario(tmp_path, "start.spawned", "supervisor")
    try:
        command = ["sh", "-c", f"read word <{gate}; exit 3"]
        it.submit(it.spec("t", "true", secrets={"WORD": {"command": command}}))
        scenario.wait_until(it.died.exists, "the kill")
        scenario.wait_until(lambda: it.rows()[0].pid, "it is found")
        gate.write_text("go\n")
        it.settle()
        assert it.status("t") == "ERR exit code 127"
        log = (tmp_path / "state/logs/ltspec/q/t=1.log").read_text()
        assert log == "cannot start: secret WORD: sh ended with 3\n"
    finally:
        it.close()


def test_journal_that_is_full_all_the_time_begins_anew(tmp_path):
    """Also between an end that decides what comes next and the start that was announced for it."""
    it = scenario.Scenario(tmp_path, program="small_journal.py")
    try:
        with it.reach() as connection:
            supervisor = connection.hello["pid"]
        names = [f"t{number:02}" for number in range(24)]
        it.submit(
            *(it.spec(name, "true") for name in names),
            *(it.spec(f"n{name}", "true", queue="", needs=(Need(name, "q"),)) for name in names),
        )
        it.settle()
        assert {row.status for row in it.rows()} == {"OK"}
        ran = scenario.lines(it.ran)
        assert [name for name in ran if name in names] == names
        assert len(ran) == len(set(ran)) == 48
        with it.reach() as connection:
            assert connection.hello["pid"] == supervisor
    finally:
        it.close()
