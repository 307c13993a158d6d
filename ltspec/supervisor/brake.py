"""How soon a dead supervisor is followed by the next one. Pure.

The brake is against a supervisor that dies of what it finds at its start or in the catalogue: each
such life may cost one start (`lost`), so they must not follow each other at full speed. One that is
killed from outside is no such thing and is followed at once, however often it happens: it has
committed the end of a task, or has lived for a while.
"""

STABLE_SECONDS = 10.0     # who lived that long did not die of its start
FIRST_SECONDS = 0.1
LONGEST_SECONDS = 30.0
WAITING_SECONDS = 3.0     # between two tries of one that says itself that it cannot start


def was_fruitful(*, worked: bool, lived: float) -> bool:
    """Whether a life counts as a good one. `worked`: it committed an end; `lived` in seconds."""
    return worked or lived >= STABLE_SECONDS


def seconds(fruitless: int, *, waiting: bool = False) -> float:
    """The pause before the next start, after so many fruitless lives in a row: none, then 0.1 s,
    doubled each time, at most 30 s. `waiting`: the last one could not begin for a reason that may
    heal (a full disk); it has touched no task, so it is tried every 3 s."""
    if not fruitless:
        return 0.0
    longest = WAITING_SECONDS if waiting else LONGEST_SECONDS
    return float(min(longest, FIRST_SECONDS * 2.0 ** min(fruitless - 1, 20)))
