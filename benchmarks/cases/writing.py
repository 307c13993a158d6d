"""What goes to the disk for a task, from enqueue to report: bytes, and how often it is synced.

200 tasks with a report each go through a queue with one slot. The bytes are the kernel's own count
of what was to be written to a disk, of `apply`, of the supervisor and of what it started; the syncs
are counted with strace.
"""

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import specs
from benchmarks.budgets import Budget
from benchmarks.grounds import Grounds, program
from benchmarks.measuring import Benchmark, Contender
from benchmarks.site import Failed, Site

TASKS = 200
# What was found first, at the commit 8b92bd8; half of it is promised.
FIRST_BYTES, FIRST_SYNCS = 86.1, 2.06
SYNCS = "fsync,fdatasync,sync,syncfs,sync_file_range,msync"


@contextlib.contextmanager
def prepare(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """Each contender runs the tasks anew; the panel is a script that says OK."""
    contenders = [
        Contender("written to disk", partial(_bytes, grounds), "kB/task"),
        Contender("write calls", partial(_calls, grounds), "calls/task"),
    ]
    if strace := program("strace"):
        contenders.append(Contender("syncs", partial(_syncs, grounds, strace), "syncs/task"))
    yield contenders


@contextlib.contextmanager
def _site(grounds: Grounds) -> Iterator[tuple[Site, Path]]:
    with Site(grounds) as site:
        panel = site.root / "mgrctl"
        panel.write_text("#!/bin/sh\necho OK\n")
        panel.chmod(0o755)
        site.configure(f"manager: panel\nmgrctl: {panel}\n")
        site.supervise()
        yield site, specs.loop(site.root, TASKS)


def _until_reported(site: Site) -> None:
    site.last_end(TASKS)
    deadline = time.monotonic() + 120
    while (sent := site.ask("SELECT count(*) FROM report WHERE state = 'sent'")) != TASKS:
        if time.monotonic() > deadline:
            raise Failed(f"{sent} of {TASKS} reports were sent")
        time.sleep(0.05)


def _bytes(grounds: Grounds) -> float:
    return _counted(grounds, "write_bytes") / 1000


def _calls(grounds: Grounds) -> float:
    return _counted(grounds, "syscw")


def _counted(grounds: Grounds, what: str) -> float:
    """A counter of /proc/PID/io, a task: of the supervisor with its ended children, and apply."""
    with _site(grounds) as (site, file):
        supervisor = site.supervisor()
        before = _io(supervisor, what)
        argv = site.command("apply", file)
        pid = os.posix_spawn(argv[0], argv, site.env, file_actions=[
            (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1)
        ])
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        of_apply = _io(pid, what)
        os.waitpid(pid, 0)
        _until_reported(site)
        return (of_apply + _io(supervisor, what) - before) / TASKS


def _io(pid: int, what: str) -> int:
    found = re.search(rf"^{what}: (\d+)$", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)
    if found is None:
        raise Failed(f"the kernel does not count {what}")
    return int(found[1])


def _syncs(grounds: Grounds, strace: str) -> float:
    with _site(grounds) as (site, file):
        output = site.root / "strace"
        tracing = [strace, "-f", "-qq", "-e", f"trace={SYNCS}", "-e", "signal=none", "-o"]
        attach = [*tracing, str(output), "-p", str(site.supervisor())]
        with subprocess.Popen(attach, stderr=subprocess.DEVNULL) as tracer:
            _until_traced(site.supervisor())
            site.run([*tracing, f"{output}-apply", *site.command("apply", file)])
            _until_reported(site)
            tracer.terminate()
        lines = output.read_text() + Path(f"{output}-apply").read_text()
        return len(re.findall(r"\bf?(?:data)?sync\w*\(", lines)) / TASKS


def _until_traced(pid: int) -> None:
    deadline = time.monotonic() + 20
    while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
        if time.monotonic() > deadline:
            raise Failed("strace may not look at the supervisor")
        time.sleep(0.01)


BENCHMARK = Benchmark(
    "writes",
    "disk writes a task, from enqueue to report",
    prepare,
    (Budget("written to disk", FIRST_BYTES / 2), Budget("syncs", FIRST_SYNCS / 2)),
    rounds=3,
)
