"""1000 tasks at once: what ltspec itself costs while they run, and how soon a killed supervisor's
successor has them all."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import specs
from benchmarks.budgets import Budget
from benchmarks.grounds import Grounds
from benchmarks.measuring import Benchmark, Contender
from benchmarks.site import Failed, Site

TASKS = 1000
MINUTE = 60.0


@contextlib.contextmanager
def prepare(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """One site with 1000 sleeping common tasks; the budgets are absolute."""
    with Site(grounds, f"max_running: {TASKS * 2}\n") as site:
        site.supervise()
        site.ltspec("apply", specs.loop(site.root, TASKS, command="[/bin/sleep, 10000]", queue=""))
        site.until_running(TASKS)
        looked_at = MINUTE / 6 if grounds.quick else MINUTE
        yield [
            Contender("memory (PSS)", partial(_memory, site), "MB"),
            Contender("processes", partial(_number, site), "processes"),
            Contender("CPU of an idle minute", partial(_idle, site, looked_at), "s"),
            Contender("recovery", partial(_recovery, site), "s"),
        ]


def _memory(site: Site) -> float:
    """PSS of all ltspec processes: shared pages count in parts. In megabytes."""
    return sum(_pss(pid) for pid in site.processes()) / 1000


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 // 1000
    raise Failed(f"the kernel does not tell the memory of process {pid}")


def _number(site: Site) -> float:
    return len(site.processes())


def _idle(site: Site, seconds: float) -> float:
    """CPU seconds of a minute in which nothing happens; a quick run looks at a part of it."""
    before = _cpu(site)
    time.sleep(seconds)
    return (_cpu(site) - before) * MINUTE / seconds


def _cpu(site: Site) -> float:
    return sum(
        int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in site.processes()
    ) / 1e9


def _recovery(site: Site) -> float:
    """Kill the supervisor; the next one greets when it has adopted everything."""
    supervisor = site.supervisor()
    begun = time.perf_counter()
    os.kill(supervisor, signal.SIGKILL)
    site.connect().close()
    seconds = time.perf_counter() - begun
    if site.supervisor() == supervisor:
        raise Failed("the killed supervisor has answered")
    site.until_running(TASKS)
    return seconds


BENCHMARK = Benchmark(
    "running",
    "1000 tasks running at once (sleep), and the supervisor killed meanwhile",
    prepare,
    (
        Budget("memory (PSS)", 40),
        Budget("processes", 2),
        Budget("CPU of an idle minute", 0.1),
        Budget("recovery", 1),
    ),
    rounds=3,
)
