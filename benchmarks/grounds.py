"""Where the benchmarks run: directories, programs, the machine and the versions.

State is kept on a disk, as on any host, because there syncing costs what it costs; run directories
are on tmpfs, as /run is.

For five minutes ext4 searches past every inode that was freed, so that a new file costs 0.3 ms and
more where a thousand were deleted before it: logs of somebody's last round, or of the last run. So
everybody's directory is put into a part of the disk of its own, and what was written is deleted
only when all has been measured.
"""

import contextlib
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import NamedTuple

from ltspec.paths import SYSTEM_PATH, spread

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv/bin/python"
CHECK_JSONSCHEMA = ROOT / ".venv-benchmarks/bin/check-jsonschema"


class Grounds(NamedTuple):
    """What a benchmark may use. `disk` and `memory`: directories for state and run directories."""

    disk: Path
    memory: Path
    quick: bool = False

    @property
    def bin(self) -> Path:
        """The directory of `ltspec`, `mgrctl` and their `python`."""
        return PYTHON.parent

    def environment(self, **more: str) -> dict[str, str]:
        """The same few variables for everybody who is measured."""
        return {
            "PATH": f"{self.bin}:{SYSTEM_PATH}", "HOME": str(self.disk), "LANG": "C.UTF-8",
            "TERM": "dumb", **more,
        }


def program(name: str) -> str | None:
    """The path of an installed program; None where it is missing."""
    return shutil.which(name, path=SYSTEM_PATH)


def choose(*, disk: str, memory: str, quick: bool) -> Grounds:
    """Make the directories for one run, below those given."""
    work = Path(disk) / f"ltspec-benchmarks-{os.getpid()}"
    work.mkdir(mode=0o700)
    with contextlib.suppress(OSError):       # another file system, which has no such mark
        spread(str(work))
    return Grounds(work, Path(memory), quick)


def machine(grounds: Grounds) -> dict[str, str]:
    """What a reader needs to know of this machine."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{_processor()}, {cores} cores",
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "state on": file_system(grounds.disk),
        "run directory on": file_system(grounds.memory),
        "one sync to disk": f"{sync_milliseconds(grounds.disk):.2g} ms",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def file_system(path: Path) -> str:
    """The type of the file system that holds `path`."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split()
        if path.resolve().is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def sync_milliseconds(folder: Path) -> float:
    """What it costs to sync a page that was added to a file: the median of 50."""
    seconds = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(50):
            file.write(bytes(4096))
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - begun)
    return 1000 * median(seconds)


def versions() -> dict[str, str]:
    """Versions of all that takes part; `-` for what is not installed."""
    return {
        "ltspec": f"{version('ltspec')} ({_commit()})",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "task-spooler": _debian("task-spooler"),
        "nq": _debian("nq"),
        "parallel": _debian("parallel"),
        "check-jsonschema": _check_jsonschema(),
        **{name: _installed(name) for name in ("jsonschema", "pyyaml", "jinja2")},
    }


def _commit() -> str:
    done = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"],
        capture_output=True, text=True, check=False,
    )
    return done.stdout.strip() or "no git"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"


def _debian(package: str) -> str:
    if shutil.which("dpkg-query") is None:
        return "-"
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Version}", package],
        capture_output=True, text=True, check=False,
    )
    return done.stdout or "-"


def _check_jsonschema() -> str:
    if not CHECK_JSONSCHEMA.exists():
        return "-"
    done = subprocess.run(
        [CHECK_JSONSCHEMA, "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()[-1]


def interpreter_is_right() -> bool:
    """True where this process runs in the environment that is measured."""
    return Path(sys.prefix).resolve() == PYTHON.parents[1].resolve()
