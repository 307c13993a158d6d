"""The table of DESIGN 7 as one pure function: present state and wanted definition -> verdict.

| in the catalogue | same definition                      | other definition                  |
| ---------------- | ------------------------------------ | --------------------------------- |
| nothing          | created                              | created                           |
| QUE              | unchanged                            | changed in place                  |
| RUN              | unchanged                            | refused, or replaced              |
| OK               | unchanged (`rerun: always`: rerun)   | rerun                             |
| ERR              | rerun, but not when it was stopped,  | rerun                             |
|                  | and a skipped one only when it may   |                                   |

`rerun: never` leaves every ended task alone; `--rerun` runs every ended task again. `watch` runs
an ended one again for another definition only, whatever `rerun` says: it sees the same file often.
"""

from typing import NamedTuple

from ltspec.model import TaskSpec
from ltspec.states import Outcome, Status

ACTIONS = ("created", "changed", "rerun", "replaced", "unchanged", "refused")


class Existing(NamedTuple):
    """The part of a catalogue row that the decision looks at."""

    status: Status
    outcome: Outcome | None
    hash: str
    ended: float | None
    needs_allow: bool


class Verdict(NamedTuple):
    """What is to be done (one of ACTIONS) and, for a person, why."""

    action: str
    reason: str = ""


def decide(
    existing: Existing | None, spec: TaskSpec, *, now: float, force: bool = False,
    changes_only: bool = False,
) -> Verdict:
    """The verdict for one task; `force` is `--rerun`, `changes_only` what `watch` wants, `now` the
    wall clock in seconds.
    """
    if existing is None:
        return Verdict("created")
    same = existing.hash == spec.hash
    if existing.status is Status.QUE:
        return Verdict("unchanged", "waiting") if same else Verdict("changed", "changed in place")
    if existing.status is Status.RUN:
        return _while_running(spec, same=same)
    if force:
        return Verdict("rerun", "--rerun")
    ago = f"ended {duration(now - existing.ended)} ago" if existing.ended else "ended"
    if changes_only and same:
        return Verdict("unchanged", f"{existing.status}, {ago}; `ltspec retry` runs it again")
    return _after_end(existing, spec, same=same, ago=ago)


def _while_running(spec: TaskSpec, *, same: bool) -> Verdict:
    if same:
        return Verdict("unchanged", "running")
    if spec.while_active == "replace":
        return Verdict("replaced", "the running one is stopped first")
    reason = (
        "it runs with another definition: stop it first, wait for its end,"
        " or write `while_active: replace`"
    )
    return Verdict("refused", reason)


def _after_end(existing: Existing, spec: TaskSpec, *, same: bool, ago: str) -> Verdict:
    if spec.rerun == "never":
        return Verdict("unchanged", f"{ago} and `rerun: never`; --rerun runs it again")
    if spec.rerun == "always":
        return Verdict("rerun", "`rerun: always`")
    if not same:
        return Verdict("rerun", "its definition changed")
    if existing.status is Status.OK:
        return Verdict("unchanged", f"{ago}; --rerun runs it again")
    if existing.outcome is Outcome.STOPPED:
        return Verdict("unchanged", f"stopped, {ago}; --rerun runs it again")
    if existing.outcome is Outcome.SKIPPED and not existing.needs_allow:
        return Verdict("unchanged", "skipped, and what it needs has not ended well since")
    return Verdict("rerun", "it was skipped" if existing.outcome is Outcome.SKIPPED
                   else "it had failed")


def duration(seconds: float) -> str:
    """A length of time in at most two units, for a person: `14 h`, `2 d 3 h`, `8 s`."""
    left = max(0, int(seconds))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    if not parts:
        return "0 s"
    return " ".join(parts[:2]) if parts[0].endswith("d") else parts[0]
