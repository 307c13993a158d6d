"""`apply` of one file with 10,000 tasks: load, render, validate, enqueue, publish."""

import contextlib
from collections.abc import Iterator, Sequence

from benchmarks import specs
from benchmarks.budgets import Budget
from benchmarks.filling import PAUSED
from benchmarks.grounds import Grounds
from benchmarks.measuring import Benchmark, Contender
from benchmarks.site import Site

TASKS = 10_000


@contextlib.contextmanager
def prepare(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """Into a paused queue, so that nothing but the apply itself is measured."""

    def apply() -> float:
        with Site(grounds, PAUSED) as site:
            site.supervise()
            file = specs.loop(site.root, TASKS)
            return 1000 * site.ltspec("apply", file) / TASKS

    def validate() -> float:
        with Site(grounds) as site:
            return 1000 * site.ltspec("validate", specs.loop(site.root, TASKS)) / TASKS

    yield [
        Contender("ltspec apply", apply, "ms/task"),
        Contender("ltspec validate of the same file", validate, "ms/task"),
    ]


BENCHMARK = Benchmark(
    "apply",
    "apply of one file with 10,000 tasks (loop)",
    prepare,
    (Budget("ltspec apply", 0.5),),
)
