"""What is promised of a benchmark's rows, and whether it was kept. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.series import Series, find, ratio


class Budget(NamedTuple):
    """The median of `row` is at most `limit`: times the median of `of`, or in the row's own unit.

    `aim` is what is hoped for beyond the promise.
    """

    row: str
    limit: float
    of: str = ""
    aim: float | None = None


class Verdict(NamedTuple):
    """A budget with what was measured; `value` is None where a row of it was left out."""

    budget: Budget
    value: float | None
    unit: str = ""

    @property
    def word(self) -> str:
        """`met`, `missed`, or `not measured`."""
        if self.value is None:
            return "not measured"
        return "met" if self.value <= self.budget.limit else "missed"

    def __str__(self) -> str:
        budget = self.budget
        of = f" of {budget.of}" if budget.of else f" {self.unit}".rstrip()
        aim = "" if budget.aim is None else f" (the aim is {budget.aim:g})"
        value = "" if self.value is None else f": {self.value:.3g}"
        return f"{self.word}: {budget.row} at most {budget.limit:g}{of}{aim}{value}"


def judge(budget: Budget, rows: Sequence[Series]) -> Verdict:
    """Compare one budget with the rows of its benchmark."""
    row = find(rows, budget.row)
    if row is None:
        return Verdict(budget, None)
    if not budget.of:
        return Verdict(budget, row.median, row.unit)
    other = find(rows, budget.of)
    return Verdict(budget, None if other is None else ratio(row, other))
