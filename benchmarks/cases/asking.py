"""What commands cost in a large catalogue: the same ones with 100 tasks and with 100,000.

Half of them wait in one queue, half have ended within ten days, in the same queue.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from benchmarks.budgets import Budget
from benchmarks.filling import QUEUE, fill
from benchmarks.grounds import Grounds
from benchmarks.measuring import Benchmark, Contender
from benchmarks.site import Site

FEW, MANY = 100, 100_000
COMMANDS = {
    "list -q": ("list", "-q", QUEUE),
    "list": ("list",),
    "show, waiting": ("show", f"{QUEUE}/t30"),
    "show, ended": ("show", f"{QUEUE}/e30"),
    "why": ("why", f"{QUEUE}/t30"),
    "queue list": ("queue", "list"),
}


@contextlib.contextmanager
def prepare(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """Two sites, each with a supervisor."""
    with Site(grounds) as small, Site(grounds) as large:
        fill(small, waiting=FEW // 2, ended=FEW // 2)
        fill(large, waiting=MANY // 2, ended=MANY // 2)
        contenders = []
        for name, words in COMMANDS.items():
            for site, size in ((small, FEW), (large, MANY)):
                contenders.append(_contender(name, size, partial(site.ltspec, *words)))
        for site, size in ((small, FEW), (large, MANY)):
            contenders.append(_contender("stop", size, _Stopping(site).once))
        yield contenders


def _contender(name: str, size: int, measure: Callable[[], float]) -> Contender:
    return Contender(f"{name}, {size:,}", lambda: 1000 * measure(), "ms")


class _Stopping:
    """Stops the waiting tasks of one site, one each time, from the middle of the queue."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.number = FEW // 2

    def once(self) -> float:
        """Seconds of one stop."""
        self.number -= 1
        return self.site.ltspec("stop", f"{QUEUE}/t{self.number}")


BENCHMARK = Benchmark(
    "asking",
    "commands about one queue with 100,000 tasks in the catalogue, and with 100",
    prepare,
    tuple(
        Budget(f"{name}, {MANY:,}", 1.5, f"{name}, {FEW:,}") for name in (*COMMANDS, "stop")
    ),
    rounds=15,
    quick_rounds=5,
)
