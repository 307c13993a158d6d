"""The auditor finds what it is there for: an honest run is doctored in one place at a time."""

import os
import shutil
from pathlib import Path

import pytest

from ltspec.paths import Places
from tests.chaos import plan
from tests.chaos.auditor import LOST, Evidence, Row, Said, Strike, audit, planned
from tests.chaos.journal import Journal

ONE = "one/t0-0"            # plain, the first of a queue with one slot
NEXT = "one/t0-1"           # plain, the second
AGAIN = "one/t0-2"          # fails once, is retried well
SKIPPED = "two/t0-3"        # needs one that fails
ENDED = 1000.0


def job(number, queue, codes, **fields):
    """A job of the plan."""
    usual = {"kind": "plain", "limit": 0, "needs": "", "script": False, "nice": False,
             "hook": False}
    return plan.Job(
        file=0, number=number, id=f"t0-{number}", queue=queue, pause="0", codes=codes,
        **{**usual, **fields},
    )


class Doctor:
    """An honest run on disk and in memory, to be changed before it is audited."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs = [
            job(0, "one", (0,), hook=True), job(1, "one", (3,)),
            job(2, "one", (7, 0), kind="retry", limit=2),
            job(3, "two", (0,), kind="needs", needs=NEXT),
        ]
        plan.write_program(root)
        self.places = Places(str(root / "state"), str(root / "run"))
        self.rows: dict[str, Row] = {}
        self.strikes: list[Strike] = []
        self.waited = [(ONE, 0), (NEXT, 3), (AGAIN, 0), (SKIPPED, 125)]
        self.journal: list[str] = []
        self.reports: list[str] = []
        for one in self.jobs[:3]:
            self._run(one, 2 if one.limit else 1)
        self.rows[SKIPPED] = Row("ERR", "skipped", f"skipped: needs {NEXT}", {})
        self.hooks = [f"{ONE} OK"]
        for one in self.jobs:
            self._publish(one)

    def _run(self, one, attempts):
        said = {}
        for number in range(1, attempts + 1):
            name = f"{one.reference} {number}"
            self.journal += [f"start {name} 4711", f"end {name} {one.code(number)}"]
            said[number] = Said(planned(one, number), ENDED + one.number, ENDED + one.number + 0.5)
            log = Path(self.places.log(plan.MANAGER, one.queue, one.id, number))
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(f"out {one.id} {number}\n")
        self.rows[one.reference] = Row(*said[attempts].end[:3], said)

    def _publish(self, one):
        row = self.rows[one.reference]
        file = self.pidfile(one.reference)
        file.parent.mkdir(parents=True, exist_ok=True)
        first = f"{row.status} {row.detail}".strip()
        file.write_text("\n".join([first, *one.lines(self.root)]) + "\n")
        words = "status=ok" if row.status == "OK" else f"status=err|errmsg={row.detail}"
        self.reports.append(f"-m|{plan.MANAGER}|longtask.finish|elid={file}|{words}")

    def pidfile(self, reference):
        """Where it is."""
        return Path(self.places.run_dir, plan.MANAGER, reference)

    def lose(self, reference):
        """ltspec says that nobody saw the end of the first attempt; nothing of it is left."""
        said = self.rows[reference].attempts[1]
        self.rows[reference] = Row(*LOST[:3], {1: said._replace(end=LOST)})
        self.pidfile(reference).unlink()
        self.reports = [line for line in self.reports if f"{reference}|" not in line]
        self._publish(next(one for one in self.jobs if one.reference == reference))

    def audit(self):
        """What the auditor says."""
        for name in ("journal", "reports", "hooks"):
            text = "".join(line + "\n" for line in getattr(self, name))
            (self.root / name).write_text(text)
        return audit(Evidence(
            self.root, self.places, self.jobs, Journal(self.root / "journal"), self.rows,
            self.strikes, set(), self.waited,
        ))


@pytest.fixture
def doctor(tmp_path):
    """A run in which everything is right."""
    return Doctor(tmp_path)


def test_honest_run_is_found_right(doctor):
    assert doctor.audit() == []


def ran_twice(run):
    run.journal += [f"start {ONE} 1 4712", f"end {ONE} 1 0"]


def never_ran(run):
    run.journal = [line for line in run.journal if f" {ONE} " not in line]


def ran_in_secret(run):
    run.journal += [f"start {ONE} 2 4712", f"end {ONE} 2 0"]


def missing(run):
    del run.rows[ONE]


def never_started(run):
    run.rows[ONE] = Row("QUE", "", "", {})


def other_code(run):
    said = run.rows[NEXT].attempts[1]
    run.rows[NEXT].attempts[1] = said._replace(end=said.end._replace(code=4))


def other_end_than_its_attempt(run):
    run.rows[NEXT] = run.rows[NEXT]._replace(detail="exit code 4")


def not_retried(run):
    del run.rows[AGAIN].attempts[2]


def retried_too_often(run):
    run.rows[AGAIN].attempts[3] = run.rows[AGAIN].attempts[2]


def ran_without_what_it_needs(run):
    run._run(run.jobs[3], 1)


def out_of_order(run):
    run.journal = run.journal[2:4] + run.journal[:2] + run.journal[4:]


def too_many_at_once(run):
    run.journal = [run.journal[0], run.journal[2], run.journal[1], *run.journal[3:]]


def lost_without_a_kill(run):
    run.lose(NEXT)


def two_lost_for_one_kill(run):
    run.strikes.append(Strike("supervisor", ENDED + 2, ENDED + 2))
    run.lose(ONE)
    run.lose(NEXT)


def lost_long_before_the_guardian_was_killed(run):
    run.strikes.append(Strike("guardian", ENDED + 9, ENDED + 9))
    run.lose(NEXT)


def pidfile_of_before(run):
    run.pidfile(NEXT).write_text("RUN 4711\n")


def pidfile_without_parameters(run):
    run.pidfile(ONE).write_text("OK\n")


def no_pidfile(run):
    run.pidfile(ONE).unlink()


def half_made_pidfile(run):
    run.pidfile("one/.t0-0.new").touch()


def no_log(run):
    shutil.rmtree(run.places.logs)


def log_of_another(run):
    os.rename(run.places.log(plan.MANAGER, "one", "t0-0", 1),
              run.places.log(plan.MANAGER, "one", "t0-1", 1))


def not_reported(run):
    run.reports.pop()


def reported_twice(run):
    run.reports.append(run.reports[0])


def reported_wrongly(run):
    run.reports[0] = run.reports[0].replace("status=ok", "status=err|errmsg=crashed")


def hook_did_not_run(run):
    run.hooks = []


def wait_was_told_something_else(run):
    run.waited.append((NEXT, 0))


def hook_ran_twice(run):
    run.hooks *= 2


@pytest.mark.parametrize(("harm", "words"), [
    (ran_twice, "ran 2 times"),
    (never_ran, "ran 0 times"),
    (ran_in_secret, "ltspec knows nothing of it"),
    (missing, "is missing"),
    (never_started, "never started"),
    (other_code, "planned was"),
    (other_end_than_its_attempt, "its last attempt"),
    (not_retried, "the last one"),
    (retried_too_often, "not the last"),
    (ran_without_what_it_needs, "what it needs"),
    (out_of_order, "started before 1 that stood before it"),
    (too_many_at_once, "at once, 1 slots"),
    (lost_without_a_kill, "nothing was killed after its start"),
    (two_lost_for_one_kill, "one too many for one kill"),
    (lost_long_before_the_guardian_was_killed, "nothing was killed after its start"),
    (pidfile_of_before, "has the PID-file"),
    (pidfile_without_parameters, "has the PID-file"),
    (no_pidfile, "has the PID-file"),
    (half_made_pidfile, "was left in the run directory"),
    (no_log, "has the log"),
    (log_of_another, "has the log"),
    (not_reported, "not reported"),
    (reported_twice, "reports were sent again"),
    (reported_wrongly, "reported, and not so"),
    (hook_did_not_run, "on_finish did not run"),
    (hook_ran_twice, "on_finish ran again"),
    (wait_was_told_something_else, "ended with 0, not 3"),
])
def test_harm_is_found(doctor, harm, words):
    harm(doctor)
    assert [line for line in doctor.audit() if words in line]


@pytest.mark.parametrize(("what", "lost"), [
    ("supervisor", [NEXT]), ("both", [ONE, NEXT]), ("end", [ONE, NEXT]),
])
def test_what_a_kill_may_cost_is_no_harm(doctor, what, lost):
    doctor.strikes.append(Strike(what, ENDED + 1.2, ENDED + 1.2))
    doctor.rows[ONE].attempts[1] = doctor.rows[ONE].attempts[1]._replace(ended=ENDED + 2)
    for reference in lost:
        doctor.lose(reference)
    doctor.hooks = ["one/t0-0 " + doctor.rows[ONE].status]
    doctor.waited = [(reference, 125) for reference in lost]
    assert doctor.audit() == []


def test_sender_that_was_killed_may_have_sent_four_reports_twice(doctor):
    doctor.strikes.append(Strike("sender", ENDED, ENDED))
    doctor.reports += doctor.reports
    assert doctor.audit() == []
    doctor.reports += doctor.reports[:1]
    assert doctor.audit() != []


def test_supervisor_that_died_of_a_bug_is_found(doctor):
    Path(doctor.places.supervisor_log).write_text(
        "Traceback (most recent call last):\n  File x, line 1\n    x\nKeyError: 1\n2026 guardian\n"
    )
    assert doctor.audit() == ["a supervisor died of KeyError: 1"]
