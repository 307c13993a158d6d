"""Samples of one measured thing. Pure: no clock, no printing."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple


class Series(NamedTuple):
    """What one contender needed, in the order of the rounds. `unit` is that of every sample."""

    name: str
    unit: str
    samples: tuple[float, ...]

    @property
    def minimum(self) -> float:
        """The smallest sample."""
        return min(self.samples)

    @property
    def median(self) -> float:
        """The middle one; of an even number the mean of the two in the middle."""
        return median(self.samples)

    @property
    def maximum(self) -> float:
        """The largest sample."""
        return max(self.samples)


def find(rows: Sequence[Series], name: str) -> Series | None:
    """The row of this name, None where it was left out."""
    return next((row for row in rows if row.name == name), None)


def ratio(row: Series, other: Series) -> float | None:
    """How many times `other`'s median this one's is; None where that is 0 or of another unit."""
    if row.unit != other.unit or not other.median:
        return None
    return row.median / other.median
