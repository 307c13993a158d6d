"""A wall clock that is set while tasks wait breaks no timer (DESIGN 4, time)."""

import os

import pytest

from ltspec import clock
from ltspec.catalogue import open_store
from ltspec.model import Retries
from tests.faults import scenario

DAYS = 10 * 86400.0


@pytest.mark.parametrize("jump", [DAYS, -DAYS])
def test_clock_that_is_set_ends_no_wait_early_and_none_late(jump, tmp_path):
    gate, jumped = tmp_path / "gate", tmp_path / "jumped"
    os.mkfifo(gate)
    it = scenario.Scenario(tmp_path, program="jumping_clock.py", CLOCK_JUMP=str(jumped))
    try:
        accepted = clock.now().boot
        it.submit(
            it.spec("timeout", f"read word <{gate}", queue="a", timeout=1.0),
            it.spec("retried", "exit $((2 - LTSPEC_ATTEMPT))", queue="b",
                    retries=Retries(limit=1, delay=1.0)),
            it.spec("later", "exit 0", queue="c", start_after=1.0),
        )
        scenario.wait_until(lambda: len(scenario.lines(it.ran)) >= 2, "two have started")
        jumped.write_text(str(jump))
        it.settle()
        assert [(row.id, row.status, row.outcome) for row in it.rows()] == [
            ("timeout", "ERR", "timeout"), ("retried", "OK", "succeeded"),
            ("later", "OK", "succeeded"),
        ]
        starts = _starts(it)
        assert starts["retried", 2] - starts["retried", 1] >= 1.0
        assert starts["later", 1] - accepted >= 1.0
    finally:
        it.close()


def _starts(it):
    """When each attempt started, by the boot clock."""
    store = open_store(it.places.catalogue, read_only=True)
    try:
        return {(row[0], row[1]): row[2] for row in store.execute(
            "SELECT id, number, started_boot FROM attempt JOIN task ON key = task"
        )}
    finally:
        store.close()
