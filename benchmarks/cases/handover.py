"""From one task's end to the next one's start in a queue, as the tasks themselves stamp it.

A first task holds the queue until all are in it; then it is let go, and each of the others writes
when it began and when it ends. A sample is the median of the gaps between them.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.budgets import Budget
from benchmarks.grounds import Grounds, program
from benchmarks.measuring import Benchmark, Contender
from benchmarks.peers import TITLES, installed, peer
from benchmarks.site import Failed, Site

TASKS = 200


@contextlib.contextmanager
def prepare(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """Compile the stamping task; without a compiler nobody takes part."""
    compiler = program("cc")
    if compiler is None:
        yield []
        return
    stamp = str(grounds.disk / "stamp")
    source = Path(__file__).parents[1] / "stamp.c"
    subprocess.run([compiler, "-O2", "-o", stamp, source], check=True)
    yield [
        Contender("ltspec", partial(_ltspec, grounds, stamp), "ms"),
        *(Contender(TITLES[name], partial(_spooled, grounds, stamp, name), "ms")
          for name, _ in installed(["nq", "tsp"])),
        Contender("bare spawn loop", partial(_bare, grounds, stamp), "ms"),
    ]


def _ltspec(grounds: Grounds, stamp: str) -> float:
    with Site(grounds) as site, _gate(site.root) as gate:
        file = site.root / "tasks.yml"
        file.write_text(
            f"defaults: {{queue: q}}\ntasks:\n- {{id: gate, command: [/bin/cat, {gate}]}}\n"
            f'- {{id: "t{{{{ item }}}}", command: [{stamp}, {site.root}/stamps],'
            f' loop: "{{{{ range({TASKS}) | list }}}}"}}\n'
        )
        site.ltspec("apply", file)
        gate.write_text("go\n")
        site.last_end(TASKS + 1)
        return _gap(site.root)


def _spooled(grounds: Grounds, stamp: str, name: str) -> float:
    with peer(grounds, name) as spooler, _gate(spooler.folder) as gate:
        spooler.do("/bin/cat", str(gate))
        for _ in range(TASKS):
            spooler.do(stamp, f"{spooler.folder}/stamps")
        gate.write_text("go\n")
        spooler.do("-w")
        return _gap(spooler.folder)


def _bare(grounds: Grounds, stamp: str) -> float:
    with peer(grounds, stamp) as task:
        for _ in range(TASKS):
            task.do(f"{task.folder}/stamps")
        return _gap(task.folder)


@contextlib.contextmanager
def _gate(folder: Path) -> Iterator[Path]:
    gate = folder / "gate"
    os.mkfifo(gate)
    yield gate


def _gap(folder: Path) -> float:
    """The median gap in milliseconds. Raises Failed unless every task has stamped, in turn."""
    lines = (folder / "stamps").read_text().splitlines()
    stamps = sorted((int(begun), int(ended)) for begun, ended in (line.split() for line in lines))
    gaps = [following[0] - one[1] for one, following in pairwise(stamps)]
    if len(stamps) != TASKS or min(gaps) < 0:
        raise Failed(f"{len(stamps)} of {TASKS} tasks have stamped, or two ran at once")
    return median(gaps) / 1e6


BENCHMARK = Benchmark(
    "hand-over",
    "from one task's end to the next one's start in a queue, median of 200",
    prepare,
    (Budget("ltspec", 1.2, "nq", aim=1.0),),
    rounds=7,
    quick_rounds=2,
)
