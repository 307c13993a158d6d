"""Pure decisions of the supervisor, each with its rule above it."""

from ltspec.model import Retries
from ltspec.states import End, Outcome, Status

_RETRIED = frozenset(
    {Outcome.EXIT, Outcome.SIGNAL, Outcome.CRASHED, Outcome.TIMEOUT, Outcome.REPORTED}
)


def retry_delay(retries: Retries, retried: int, end: End, chance: float) -> float | None:
    """Seconds until the next attempt, or None for no retry.

    Retried is a failure of the task itself (bad exit, signal, timeout, its own err), at most
    `limit` times; never a stop, and never an end that nobody saw: that might run it twice. With
    `on`, only these exit codes. The delay grows by `backoff` each time up to `max_delay`; `jitter`
    moves it by up to that share, `chance` in [0, 1) being the draw.
    """
    if end.status is not Status.ERR or end.outcome not in _RETRIED or retried >= retries.limit:
        return None
    if retries.on and end.code not in retries.on:
        return None
    try:
        delay = retries.delay * retries.backoff**retried
    except OverflowError:
        delay = float("inf")
    if retries.max_delay is not None:
        delay = min(delay, retries.max_delay)
    delay = min(delay, 366 * 86400.0)
    return max(0.0, delay * (1 + retries.jitter * (2 * chance - 1)))


def compact_duration(seconds: float) -> str:
    """A duration as a spec writes it: `2h`, `1h30m`, `90s` as `1m30s`, `0.5s`."""
    if seconds < 1 or seconds != int(seconds):
        return f"{seconds:g}s"
    left = int(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
