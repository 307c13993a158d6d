"""Reads what the tasks themselves wrote: one line an event, in order."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

Attempt = tuple[str, int]            # a task's reference, and the attempt's number


class Event(NamedTuple):
    """One line: what happened, in which attempt; `value` is a pid, a word or an exit code."""

    what: str
    attempt: Attempt
    value: str


class Journal:
    """All events in order, and where each attempt's stand in it."""

    def __init__(self, path: Path) -> None:
        self.events = [_event(line) for line in path.read_text().splitlines()]
        self.at: dict[Attempt, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, event in enumerate(self.events):
            self.at[event.attempt][event.what].append(index)

    def where(self, attempt: Attempt, what: str) -> list[int]:
        """The places at which the attempt wrote `what`."""
        return self.at[attempt][what] if attempt in self.at else []

    def value(self, attempt: Attempt, what: str) -> str | None:
        """What the attempt wrote with its first `what`; None where it never did."""
        found = self.where(attempt, what)
        return self.events[found[0]].value if found else None


def _event(line: str) -> Event:
    what, reference, number, value = line.split()
    return Event(what, (reference, int(number)), value)
