"""Adding 500 tasks to catalogues of different sizes: `ltspec apply` of one file."""

import contextlib
from collections.abc import Iterator, Sequence

from benchmarks import specs
from benchmarks.budgets import Budget
from benchmarks.filling import PAUSED, QUEUE, fill
from benchmarks.grounds import Grounds
from benchmarks.measuring import Benchmark, Contender
from benchmarks.site import Site

TASKS = 500
MANY = 100_000


@contextlib.contextmanager
def prepare(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """An empty catalogue each time, and two filled ones that grow by 500 each time."""
    sizes = [MANY] if grounds.quick else [10_000, MANY]
    with contextlib.ExitStack() as stack:
        filled = []
        for size in sizes:
            site = stack.enter_context(Site(grounds))
            fill(site, waiting=size)
            filled.append(Contender(f"to {size:,}", _Adding(site).once))
        yield [Contender("to none", lambda: _to_none(grounds)), *filled]


def _to_none(grounds: Grounds) -> float:
    with Site(grounds, PAUSED) as site:
        site.supervise()
        return _Adding(site).once()


class _Adding:
    """Adds new tasks to one site, others each time."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.start = 1_000_000

    def once(self) -> float:
        """Seconds of one apply, of a new file: what was in an older one is not asked for."""
        file = specs.loop(self.site.root, TASKS, queue=QUEUE, start=self.start,
                          name=f"tasks-{self.start}.yml")
        self.start += TASKS
        return self.site.ltspec("apply", file)


BENCHMARK = Benchmark(
    "adding",
    "adding 500 tasks to a catalogue of so many waiting ones",
    prepare,
    (Budget(f"to {MANY:,}", 1.1, "to none"),),
    rounds=15,
    quick_rounds=7,
)
