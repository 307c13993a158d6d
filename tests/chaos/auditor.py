"""Compares what ltspec says with what the tasks themselves wrote, task by task.

The plan, the journal, the killer's own list and the recorded mgrctl are believed; the catalogue,
the PID-files and the logs are what is audited. Every rule is one function that yields what is
wrong, in words.

    runs       each attempt ran exactly once; at most once where it is `lost` or was killed itself
    ends       outcome, code and detail are the planned ones, retries as many as were due
    lost       at most one a kill of the supervisor, and those of the guardian rule (DESIGN 5)
    order      first attempts without needs, in a queue in the order of their files
    slots      never more at once than the queue has, nor than max_running
    published  PID-file, log of every attempt, report: one a task, with the right words
    hooks      the on_finish command of a task ran once, after its final end
    waits      `ltspec wait TASK` ended with what the task ended with
    bugs       nobody of ltspec died but by the killer
"""

import contextlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ltspec.paths import Places
from ltspec.pidfile import escape
from tests.chaos.journal import Attempt, Journal
from tests.chaos.plan import MANAGER, MAX_RUNNING, SAID, SLOTS, Job

RETRIED = ("exit", "signal", "timeout")
SENDER_CALLS = 4                     # how many calls one sender has under way at once


class Strike(NamedTuple):
    """One kill, reload or end: of what, and the wall clock before and after it."""

    what: str
    before: float
    after: float


class End(NamedTuple):
    """How ltspec says that an attempt or a task ended."""

    status: str
    outcome: str
    detail: str
    code: int | None
    signal: int | None


class Said(NamedTuple):
    """One attempt as the catalogue has it; `started` and `ended` by the wall clock."""

    end: End
    started: float
    ended: float


class Row(NamedTuple):
    """One task as the catalogue has it."""

    status: str
    outcome: str
    detail: str
    attempts: dict[int, Said]


class Evidence(NamedTuple):
    """Everything that the auditor looks at."""

    root: Path
    places: Places
    jobs: Sequence[Job]
    journal: Journal
    rows: dict[str, Row]
    strikes: Sequence[Strike]
    victims: set[Attempt]            # attempts at which the killer has aimed
    waited: Sequence[tuple[str, int]] = ()       # task, and the exit code of a `wait` for it


CRASHED = End("ERR", "signal", "crashed", None, 9)
LOST = End("ERR", "lost", "crashed", None, None)


def audit(evidence: Evidence) -> list[str]:
    """All that is wrong."""
    wrong: list[str] = []
    jobs = {job.reference: job for job in evidence.jobs}
    wrong += [f"{name} was never submitted" for name in evidence.rows.keys() - jobs.keys()]
    wrong += [f"{name} is missing" for name in jobs.keys() - evidence.rows.keys()]
    for attempt in evidence.journal.at:
        row = evidence.rows.get(attempt[0])
        if row is None or attempt[1] not in row.attempts:
            wrong.append(f"{_name(attempt)} ran, and ltspec knows nothing of it")
    for name in jobs.keys() & evidence.rows.keys():
        wrong += task(evidence, jobs, jobs[name], evidence.rows[name])
    wrong += bugs(evidence)
    wrong += lost(evidence)
    wrong += order(evidence)
    wrong += slots(evidence)
    wrong += reports(evidence)
    wrong += hooks(evidence)
    wrong += waits(evidence)
    wrong += leftovers(evidence)
    return sorted(wrong)


# -- one task ---------------------------------------------------------------------------------


def task(evidence: Evidence, jobs: dict[str, Job], job: Job, row: Row) -> Iterator[str]:
    """Runs, ends, retries, needs, PID-file and logs of one task."""
    name = job.reference
    yield from _needed(evidence, jobs, job, row)
    for number, said in row.attempts.items():
        attempt = (name, number)
        yield from _runs(evidence, attempt, said)
        if said.end not in possible_ends(evidence, job, attempt):
            yield f"{_name(attempt)} is {said.end}, planned was {planned(job, number)}"
        if said.ended < said.started:
            yield f"{_name(attempt)} ended before it started"
        last = number == len(row.attempts)
        again = said.end.outcome in RETRIED and said.end.status == "ERR" and number <= job.limit
        if last == again:
            yield f"{_name(attempt)} is {said.end} and {'the last one' if last else 'not the last'}"
        yield from _log(evidence, job, attempt)
    if row.attempts and row[:3] != row.attempts[len(row.attempts)].end[:3]:
        yield f"{name} is {row[:3]}, its last attempt {row.attempts[len(row.attempts)].end}"
    yield from _pidfile(evidence, job, row)


def bugs(evidence: Evidence) -> Iterator[str]:
    """A supervisor that dies is followed by one that makes all good again; it is wrong even so."""
    with contextlib.suppress(FileNotFoundError):
        text = Path(evidence.places.supervisor_log).read_text(errors="replace")
        for one in text.split("Traceback")[1:]:
            reason = next((line for line in one.splitlines()[1:] if not line.startswith(" ")), "")
            yield f"a supervisor died of {reason}"


def planned(job: Job, number: int) -> End:
    """How an attempt ends where nobody kills anything."""
    code = job.code(number)
    if job.kind == "timeout":
        return End("ERR", "timeout", "timeout after 0.3s", 0, None)
    if job.kind == "signal":
        return End("ERR", "signal", "crashed", None, 11)
    if job.kind == "ok":
        return End("OK", "reported", "", code, None)
    if job.kind == "err":
        return End("ERR", "reported", SAID, code, None)
    if code:
        return End("ERR", "exit", f"exit code {code}", code, None)
    return End("OK", "succeeded", "", 0, None)


def possible_ends(evidence: Evidence, job: Job, attempt: Attempt) -> list[End]:
    """The planned end, and what a kill may have made of it."""
    ends = [planned(job, attempt[1])]
    said = evidence.journal.value(attempt, "said")
    if job.kind == "timeout":        # TERM may come before the program has said what it does then
        ends += [ends[0]._replace(code=None, signal=number) for number in (15, 9, None)]
    if attempt in evidence.victims:
        ends.append(CRASHED)
    if job.kind in ("ok", "err"):    # what it said of itself counts, whatever nobody saw or killed
        unseen = ends[0]._replace(code=None)
        ends += [unseen, unseen._replace(signal=9)]
        if said is not None:
            return [end for end in ends if end.outcome == "reported"]
    ends.append(LOST)
    return ends


def _needed(evidence: Evidence, jobs: dict[str, Job], job: Job, row: Row) -> Iterator[str]:
    if not job.needs:
        if not row.attempts:
            yield f"{job.reference} never started: {row[:3]}"
        return
    needed = evidence.rows[job.needs]
    if needed.status != "OK":
        wanted = ("ERR", "skipped", f"skipped: needs {job.needs}")
        if row.attempts or row[:3] != wanted:
            yield f"{job.reference} is {row[:3]}, what it needs {needed[:3]}"
        return
    if not row.attempts:
        yield f"{job.reference} never started: {row[:3]}"
    ends = evidence.journal.where((job.needs, len(needed.attempts)), "end")
    starts = evidence.journal.where((job.reference, 1), "start")
    if ends and starts and starts[0] < ends[0]:
        yield f"{job.reference} started before the end of what it needs"


def _runs(evidence: Evidence, attempt: Attempt, said: Said) -> Iterator[str]:
    runs = len(evidence.journal.where(attempt, "start"))
    excused = said.end.outcome == "lost" or attempt in evidence.victims
    # One that is killed, also by its timeout, may never come to its first line.
    excused = excused or (said.end.outcome == "timeout" and said.end.signal is not None)
    if runs > 1 or (runs == 0 and not excused):
        yield f"{_name(attempt)} ran {runs} times ({said.end})"
    code = evidence.journal.value(attempt, "end")
    if code is None and said.end.code is not None and said.end.outcome != "timeout":
        yield f"{_name(attempt)} has code {said.end.code}, and never came to its end"


def _log(evidence: Evidence, job: Job, attempt: Attempt) -> Iterator[str]:
    """The log has exactly what the attempt wrote, if it came to its end; else no more than that,
    and what a child of a killed one may have said later."""
    path = evidence.places.log(MANAGER, job.queue, job.id, attempt[1])
    wanted = f"out {job.id} {attempt[1]}\n"
    try:
        text = Path(path).read_text()
    except FileNotFoundError:
        text = ""
    ended = bool(evidence.journal.where(attempt, "end"))
    if text != wanted and (ended or (text and not text.startswith(wanted))):
        yield f"{_name(attempt)} has the log {text!r}"


def _pidfile(evidence: Evidence, job: Job, row: Row) -> Iterator[str]:
    first = f"{row.status} {row.detail}" if row.detail else row.status
    wanted = "".join(line + "\n" for line in [first, *map(escape, job.lines(evidence.root))])
    path = Path(evidence.places.run_dir, MANAGER, job.queue, job.id)
    try:
        text = path.read_text()
    except FileNotFoundError:
        text = "(not there)"
    if text != wanted:
        yield f"{job.reference} has the PID-file {text!r}, not {wanted!r}"


# -- all tasks together -----------------------------------------------------------------------


def lost(evidence: Evidence) -> Iterator[str]:
    """Each `lost` attempt has a kill of its own that explains it.

    Kill of guardian and supervisor, or their end on request: whatever ran then. Of the guardian
    alone: what an earlier supervisor had started. Of the supervisor: the one attempt that stands
    between its commit and its recorded pid.
    """
    deaths = [one for one in evidence.strikes if one.what in ("supervisor", "both")]
    guardians = [one for one in evidence.strikes if one.what in ("guardian", "both", "end")]
    successions = deaths + [one for one in guardians if one not in deaths]
    starts: Counter[Strike] = Counter()
    for name, row in evidence.rows.items():
        for number, said in row.attempts.items():
            if said.end.outcome != "lost":
                continue
            if any(_costs(strike, said, successions) for strike in guardians):
                continue
            death = next((one for one in deaths if one.after >= said.started), None)
            if death is None:
                yield f"{_name((name, number))} is lost, and nothing was killed after its start"
                continue
            starts[death] += 1
            if starts[death] > 1:
                yield f"{_name((name, number))} is lost, one too many for one kill"


def _costs(strike: Strike, said: Said, successions: list[Strike]) -> bool:
    """The guardian rule: whether this kill may have cost the attempt's end. A killed guardian is
    followed by the supervisor, and that one by a new supervisor."""
    if not said.started <= strike.after or not strike.before <= said.ended:
        return False
    if strike.what != "guardian":
        return True
    return any(said.started <= one.after < strike.after for one in successions)


def order(evidence: Evidence) -> Iterator[str]:
    """In the order of its file, file by file: a file is accepted as a whole.

    Tasks of a queue with k slots start in order, but may write their first line up to k - 1 places
    late. Which file was accepted first is known by its first start.
    """
    jobs = {job.reference: job for job in evidence.jobs}
    starts: dict[str, list[Job]] = defaultdict(list)
    for event in evidence.journal.events:
        job = jobs.get(event.attempt[0])
        if job and event.what == "start" and event.attempt[1] == 1 and not job.needs and job.queue:
            starts[job.queue].append(job)
    for queue, begun in starts.items():
        files: dict[int, int] = {}
        for job in begun:
            files.setdefault(job.file, len(files))
        places = [(files[job.file], job.number) for job in begun]
        for index, place in enumerate(places):
            late = [later for later in places[index + 1 :] if later < place]
            if len(late) >= SLOTS[queue]:
                yield f"{begun[index].reference} started before {len(late)} that stood before it"


def slots(evidence: Evidence) -> Iterator[str]:
    """From first to last line of each attempt; those without a last one cannot be counted."""
    written = evidence.journal.at.items()
    whole = {attempt for attempt, places in written if places["start"] and places["end"]}
    now: set[Attempt] = set()
    for event in evidence.journal.events:
        if event.attempt not in whole:
            continue
        if event.what == "end":
            now.discard(event.attempt)
        elif event.what == "start":
            now.add(event.attempt)
            queue = event.attempt[0].rpartition("/")[0]
            beside = [name for name, _ in now if name.rpartition("/")[0] == queue]
            if len(beside) > SLOTS.get(queue, MAX_RUNNING):
                yield f"queue {queue}: {sorted(beside)} at once, {SLOTS[queue]} slots"
            if len(now) > MAX_RUNNING:
                yield f"{sorted(now)} at once, max_running is {MAX_RUNNING}"


def reports(evidence: Evidence) -> Iterator[str]:
    """One a final end, with its words; a killed sender may have said up to four of them twice."""
    calls = Counter((evidence.root / "reports").read_text().splitlines())
    wanted: Counter[str] = Counter()
    for job in evidence.jobs:
        row = evidence.rows.get(job.reference)
        if row is None:
            continue
        words = ["-m", MANAGER, "longtask.finish",
                 f"elid={evidence.places.run_dir}/{MANAGER}/{job.reference}"]
        words += ["status=ok"] if row.status == "OK" else ["status=err", f"errmsg={row.detail}"]
        wanted["|".join(words)] += 1
    yield from (f"not reported: {call}" for call in wanted - calls)
    yield from (f"reported, and not so: {call}" for call in calls.keys() - wanted.keys())
    twice = sum(calls[call] - count for call, count in wanted.items() if call in calls)
    allowed = SENDER_CALLS * sum(strike.what == "sender" for strike in evidence.strikes)
    if twice > allowed:
        yield f"{twice} reports were sent again, {allowed} may be"


def hooks(evidence: Evidence) -> Iterator[str]:
    """One a final end; nobody kills what runs them."""
    ran = Counter((evidence.root / "hooks").read_text().splitlines())
    wanted = Counter(
        f"{job.reference} {evidence.rows[job.reference].status}"
        for job in evidence.jobs if job.hook and job.reference in evidence.rows
    )
    yield from (f"on_finish did not run: {call}" for call in wanted - ran)
    yield from (f"on_finish ran again, or not so: {call}" for call in ran - wanted)


def waits(evidence: Evidence) -> Iterator[str]:
    """A wait's exit code is 0 for OK, else that of the last attempt, 124, 125 or 128+N."""
    for name, code in evidence.waited:
        row = evidence.rows.get(name)
        if row is None:
            continue
        last = row.attempts[len(row.attempts)].end if row.attempts else LOST
        wanted = last.code or 1
        if row.status == "OK":
            wanted = 0
        elif row.outcome in ("skipped", "lost"):
            wanted = 125
        elif row.outcome == "timeout":
            wanted = 124
        elif last.signal is not None:
            wanted = 128 + last.signal
        if code != wanted:
            yield f"wait for {name} ended with {code}, not {wanted}"


def leftovers(evidence: Evidence) -> Iterator[str]:
    """The run directory holds the PID-files and nothing half made."""
    folder = Path(evidence.places.run_dir, MANAGER)
    there = {
        str(Path(where, name).relative_to(folder))
        for where, _, names in os.walk(folder) for name in names
    }
    for name in sorted(there - {job.reference for job in evidence.jobs}):
        yield f"{name} was left in the run directory"
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(Path(evidence.places.run_dir, ".scripts")):
            yield f"the script {name} was left"


def _name(attempt: Attempt) -> str:
    return f"{attempt[0]} attempt {attempt[1]}"
