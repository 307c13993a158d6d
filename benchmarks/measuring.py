"""The rounds of a benchmark: each contender once, then each once more.

What disturbs the machine for a while disturbs neighbours in time alike, so medians of the same run
can be compared although the machine is shared. Before each sample what others have left to be
written goes to disk, outside of the measured time.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from benchmarks.budgets import Budget
from benchmarks.grounds import Grounds
from benchmarks.series import Series


class Contender(NamedTuple):
    """One who takes part: `measure` does it once and returns how much it took, in `unit`.

    `slow`: left out of a quick run. No budget depends on it.
    """

    name: str
    measure: Callable[[], float]
    unit: str = "s"
    slow: bool = False


class Benchmark(NamedTuple):
    """One thing that is measured. `prepare` makes its contenders and cleans up after them."""

    name: str
    title: str
    prepare: Callable[[Grounds], AbstractContextManager[Sequence[Contender]]]
    budgets: tuple[Budget, ...] = ()
    rounds: int = 5
    quick_rounds: int = 1


def run_rounds(benchmark: Benchmark, grounds: Grounds, tell: Callable[[str], None]) -> list[Series]:
    """Measure; `tell` hears of each sample."""
    rounds = benchmark.quick_rounds if grounds.quick else benchmark.rounds
    with benchmark.prepare(grounds) as prepared:
        contenders = [one for one in prepared if not (one.slow and grounds.quick)]
        samples: dict[str, list[float]] = {one.name: [] for one in contenders}
        for number in range(1, rounds + 1):
            for one in contenders:
                os.sync()
                value = one.measure()
                samples[one.name].append(value)
                tell(f"{benchmark.name} {number}/{rounds} {one.name}: {value:.4g} {one.unit}")
        return [Series(one.name, one.unit, tuple(samples[one.name])) for one in contenders]
