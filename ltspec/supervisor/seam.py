"""The one seam for fault injection: the numbered steps of start, end, report and exit.

In production `reached` does nothing. The tests start the supervisor through a program of theirs
that replaces it by one that kills the process at a chosen step; so it is called as `seam.reached`.
"""

STEPS = (
    "start.prepared",        # files are open, nothing is written
    "start.published",       # RUN is in the PID-file
    "start.journalled",      # the journal says what is about to be started
    "start.begun",           # the journal says that its process may exist
    "start.spawned",         # the process exists, its pid is nowhere
    "start.noted",           # its pid is in the journal
    "start.committed",       # QUE -> RUN with its pid is in the catalogue
    "end.seen",              # the process is a zombie, its end is not committed
    "end.committed",         # the end is in the catalogue, the zombie is not reaped
    "end.reaped",            # the zombie is gone, the PID-file still says RUN
    "end.published",         # the PID-file says OK or ERR, the row is still marked as changed
    "report.due",            # a report waits, no sender was started
    "report.started",        # the sender runs
    "hook.due",              # an on_finish command waits, no runner was started
    "hook.started",          # the runner runs
    "retention.due",         # history is to be looked through
    "retention.started",     # the helper that does it runs
    "exit.decided",          # nothing to do, about to leave
)


def reached(step: str) -> None:
    """Called at each of STEPS."""
