"""1000 times /bin/true: what a task costs from the first submit to the last end.

Everybody starts from nothing: no supervisor, no spooler's server runs before. ltspec's time ends
with the last task's end as the catalogue has it; the others' when their waiting command returns.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import specs
from benchmarks.budgets import Budget
from benchmarks.grounds import Grounds, program
from benchmarks.measuring import Benchmark, Contender
from benchmarks.site import Site, timed

TASKS = 1000
TRUE = "/bin/true"


@contextlib.contextmanager
def one_slot(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """ltspec and everybody else, one task at a time."""
    yield [
        Contender("ltspec", partial(_ltspec, grounds)),
        Contender("ltspec apply --wait", partial(_ltspec_wait, grounds)),
        *_peers(grounds, 1),
        Contender("bare spawn loop", _bare),
    ]


@contextlib.contextmanager
def slots(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """Whether more at once is slower than one after the other."""
    yield [
        Contender("ltspec, one slot", partial(_ltspec, grounds)),
        Contender("ltspec, four slots", partial(_ltspec, grounds, slots=4)),
        Contender("ltspec, common tasks", partial(_ltspec, grounds, queue="")),
        *_peers(grounds, 4),
    ]


def _ltspec(grounds: Grounds, *, slots: int = 1, queue: str = "q") -> float:
    with Site(grounds, f"queues: {{q: {{slots: {slots}}}}}\n") as site:
        file = specs.loop(site.root, TASKS, queue=queue)
        begun = time.time()
        site.ltspec("apply", file)
        return site.last_end(TASKS) - begun


def _ltspec_wait(grounds: Grounds) -> float:
    with Site(grounds) as site:
        return site.ltspec("apply", "--wait", specs.loop(site.root, TASKS))


def _peers(grounds: Grounds, slots: int) -> list[Contender]:
    """Those that are installed and can do it."""
    found: list[Contender] = []

    def add(name: str, work: Callable[[Path, str], float], *, slow: bool) -> None:
        path = program(name)
        if path:
            title = {"tsp": "task-spooler", "parallel": "GNU parallel"}.get(name, name)
            found.append(Contender(title, partial(_in_folder, grounds, work, path), slow=slow))

    add("tsp", partial(_task_spooler, grounds, slots), slow=False)
    if slots == 1:
        add("nq", partial(_nq, grounds), slow=True)
    add("parallel", partial(_parallel, grounds, slots), slow=True)
    return found


def _in_folder(grounds: Grounds, work: Callable[[Path, str], float], path: str) -> float:
    folder = Path(tempfile.mkdtemp(prefix="peer-", dir=grounds.disk))
    try:
        return work(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a server takes its socket away itself


def _task_spooler(grounds: Grounds, slots: int, folder: Path, tsp: str) -> float:
    env = grounds.environment(
        TS_SOCKET=f"{folder}/socket", TMPDIR=str(folder), TS_SLOTS=str(slots)
    )
    begun = time.perf_counter()
    for _ in range(TASKS):
        _spawned([tsp, TRUE], env)
    _spawned([tsp, "-w"], env)
    seconds = time.perf_counter() - begun
    timed([tsp, "-K"], env, folder)
    return seconds


def _nq(grounds: Grounds, folder: Path, nq: str) -> float:
    env = grounds.environment(NQDIR=str(folder))
    begun = time.perf_counter()
    for _ in range(TASKS):
        _spawned([nq, TRUE], env)
    _spawned([nq, "-w"], env)
    return time.perf_counter() - begun


def _parallel(grounds: Grounds, slots: int, folder: Path, parallel: str) -> float:
    words = [str(number) for number in range(TASKS)]
    return timed([parallel, f"-j{slots}", TRUE, ":::", *words], grounds.environment(), folder)


def _bare() -> float:
    begun = time.perf_counter()
    for _ in range(TASKS):
        os.waitpid(os.posix_spawn(TRUE, ["true"], {}), 0)
    return time.perf_counter() - begun


def _spawned(argv: list[str], env: dict[str, str]) -> None:
    """As a shell's loop does it, without the shell."""
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1)]
    os.waitpid(os.posix_spawn(argv[0], argv, env, file_actions=silent), 0)


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
