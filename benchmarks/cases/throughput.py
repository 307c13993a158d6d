"""1000 times /bin/true: what a task costs from the first submit to the last end.

Everybody starts from nothing: no supervisor, no spooler's server runs before. ltspec's time ends
with the last task's end as the catalogue has it; the others' when their waiting command returns.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks import specs
from benchmarks.budgets import Budget
from benchmarks.grounds import Grounds
from benchmarks.measuring import Benchmark, Contender
from benchmarks.peers import TITLES, installed, peer
from benchmarks.site import Site

TASKS = 1000
TRUE = "/bin/true"


@contextlib.contextmanager
def one_slot(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """ltspec and everybody else, one task at a time."""
    yield [
        Contender("ltspec", partial(_ltspec, grounds)),
        Contender("ltspec apply --wait", partial(_ltspec_wait, grounds)),
        *(Contender(TITLES[name], partial(_spooled, grounds, name), slow=name == "nq")
          for name, _ in installed(["tsp", "nq"])),
        *_parallel_contender(grounds, 1),
        Contender("bare spawn loop", _bare),
    ]


@contextlib.contextmanager
def slots(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """Whether more at once is slower than one after the other."""
    yield [
        Contender("ltspec, one slot", partial(_ltspec, grounds)),
        Contender("ltspec, four slots", partial(_ltspec, grounds, slots=4)),
        Contender("ltspec, common tasks", partial(_ltspec, grounds, queue="")),
        *(Contender("task-spooler, four slots", partial(_spooled, grounds, name, 4))
          for name, _ in installed(["tsp"])),
        *_parallel_contender(grounds, 4),
    ]


def _ltspec(grounds: Grounds, *, slots: int = 1, queue: str = "q") -> float:
    with Site(grounds, f"queues: {{q: {{slots: {slots}}}}}\n" if slots > 1 else "") as site:
        file = specs.loop(site.root, TASKS, queue=queue)
        begun = time.time()
        site.ltspec("apply", file)
        return site.last_end(TASKS) - begun


def _ltspec_wait(grounds: Grounds) -> float:
    with Site(grounds) as site:
        return site.ltspec("apply", "--wait", specs.loop(site.root, TASKS))


def _spooled(grounds: Grounds, name: str, slots: int = 1) -> float:
    """tsp and nq are called once a task, and once with -w to wait for the last one."""
    with peer(grounds, name, slots) as spooler:
        begun = time.perf_counter()
        for _ in range(TASKS):
            spooler.do(TRUE)
        spooler.do("-w")
        return time.perf_counter() - begun


def _parallel_contender(grounds: Grounds, slots: int) -> list[Contender]:
    name = TITLES["parallel"] + (f", {slots} at once" if slots > 1 else "")
    return [
        Contender(name, partial(_parallel, grounds, slots), slow=True)
        for _ in installed(["parallel"])
    ]


def _parallel(grounds: Grounds, slots: int) -> float:
    words = [str(number) for number in range(TASKS)]
    with peer(grounds, "parallel") as parallel:
        return parallel.timed([f"-j{slots}", TRUE, ":::", *words])


def _bare() -> float:
    begun = time.perf_counter()
    for _ in range(TASKS):
        os.waitpid(os.posix_spawn(TRUE, ["true"], {}), 0)
    return time.perf_counter() - begun


ONE_SLOT = Benchmark(
    "one-slot",
    "1000 times /bin/true through one queue with one slot, from first submit to last end",
    one_slot,
    (
        Budget("ltspec", 1.0, "task-spooler", aim=0.75),
        Budget("ltspec", 2.0, "bare spawn loop"),
    ),
    quick_rounds=2,
)
SLOTS = Benchmark(
    "slots",
    "1000 times /bin/true with four slots, and as common tasks",
    slots,
    (
        Budget("ltspec, four slots", 1.0, "ltspec, one slot"),
        Budget("ltspec, common tasks", 1.0, "ltspec, one slot"),
    ),
    quick_rounds=2,
)
