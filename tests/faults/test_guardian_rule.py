"""What a kill of the guardian may cost, on a kernel that tells nothing of foreign processes."""

import os
import signal
from pathlib import Path

from tests.faults import scenario


def test_kill_of_the_guardian_costs_only_the_ends_of_an_earlier_supervisors_tasks(tmp_path):
    gates = [tmp_path / "g0", tmp_path / "g1"]
    for gate in gates:
        os.mkfifo(gate)
    it = scenario.Scenario(tmp_path, program="older_kernel.py")
    try:
        with it.reach() as connection:
            first = int(connection.hello["pid"])
        it.submit(it.spec("early", f"read word <{gates[0]}; exit 5", queue="a"))
        scenario.wait_until(lambda: it.rows()[0].pid, "the first one runs")
        os.kill(first, signal.SIGKILL)
        it.submit(it.spec("late", f"read word <{gates[1]}; exit 6", queue="b"))
        scenario.wait_until(lambda: it.rows()[1].pid, "the second one runs")
        guardian = int(Path(it.places.lock).read_text())
        os.kill(guardian, signal.SIGKILL)
        it.guardian.wait(scenario.SECONDS)         # until here its zombie still has the lock's pid
        pids = [row.pid for row in it.rows()]
        for gate in gates:
            gate.write_text("go\n")
        it.settle()
        early, late = it.rows()
        assert [row.pid for row in (early, late)] == pids
        # Whoever inherits it may leave its zombie, with the code, for a moment.
        assert (early.outcome, early.code) in [("lost", None), ("exit", 5)]
        assert (late.outcome, late.code) == ("exit", 6)
        assert sorted(scenario.lines(it.ran)) == ["early", "late"]
    finally:
        it.close()
