"""Status and outcome: where a task is, and how an attempt ended. Two types (DESIGN 2, 4).

Pure: the rules by which an attempt's facts become its end stand here, nothing is done here.
"""

from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """Where a task is: LongTask's four words, written on a PID-file's first line (C03)."""

    QUE = "QUE"
    RUN = "RUN"
    OK = "OK"
    ERR = "ERR"

    @property
    def is_final(self) -> bool:
        """True for OK and ERR: nothing happens to the task by itself any more."""
        return self in (Status.OK, Status.ERR)


class Outcome(StrEnum):
    """How an attempt ended. `crashed` is a known bad end, `lost` an unknown one."""

    SUCCEEDED = "succeeded"
    EXIT = "exit"
    SIGNAL = "signal"
    CRASHED = "crashed"
    LOST = "lost"
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    SKIPPED = "skipped"
    NOT_STARTED = "not-started"
    REPORTED = "reported"


class Finish(NamedTuple):
    """What the task itself said through `mgrctl longtask.finish`; its first call counts."""

    ok: bool
    errmsg: str = ""


class Seen(NamedTuple):
    """What was seen of a process's end: an exit code, a signal, or neither (nobody saw it)."""

    code: int | None = None
    signal: int | None = None


class End(NamedTuple):
    """How an attempt ended; `detail` is what follows the status word in the PID-file."""

    status: Status
    outcome: Outcome
    detail: str = ""
    code: int | None = None
    signal: int | None = None


def decide_end(
    seen: Seen,
    *,
    success_codes: tuple[int, ...] = (0,),
    ended_by: str = "",
    finish: Finish | None = None,
    must_report: bool = False,
) -> End:
    """The end of an attempt from its facts. Rules, in the order in which they win (DESIGN 4):

    1. ltspec ended it (`ended_by`: "stopped" or "timeout after …"): this wins over anything else;
    2. the task called longtask.finish: its first call is final both ways;
    3. nobody saw the end: `lost`, published as `crashed`;
    4. a signal that ltspec did not send: `crashed`;
    5. `report: self` and no call: silence is a failure, `crashed`;
    6. the exit code decides.
    """
    code, signal = seen
    if ended_by:
        outcome = Outcome.STOPPED if ended_by == "stopped" else Outcome.TIMEOUT
        return End(Status.ERR, outcome, ended_by, code, signal)
    if finish is not None:
        status = Status.OK if finish.ok else Status.ERR
        return End(status, Outcome.REPORTED, "" if finish.ok else finish.errmsg, code, signal)
    if code is None and signal is None:
        return End(Status.ERR, Outcome.LOST, "crashed")
    if signal is not None:
        return End(Status.ERR, Outcome.SIGNAL, "crashed", None, signal)
    if must_report:
        return End(Status.ERR, Outcome.CRASHED, "crashed", code)
    if code in success_codes:
        return End(Status.OK, Outcome.SUCCEEDED, "", code)
    return End(Status.ERR, Outcome.EXIT, f"exit code {code}", code)


def wait_exit_code(status: Status, outcome: Outcome, code: int | None, signal: int | None) -> int:
    """The exit code with which `wait` tells of a task that is at a final status (DESIGN 9)."""
    if status is Status.OK:
        return 0
    if outcome is Outcome.TIMEOUT:
        return 124
    if outcome in (Outcome.STOPPED, Outcome.SKIPPED, Outcome.NOT_STARTED, Outcome.LOST):
        return 125
    if signal is not None:
        return 128 + signal
    return code or 1
