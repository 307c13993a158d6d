"""The only place that reads a clock. Everything else is given the time.

Durations run on the boot clock (it counts suspended time and no adjustment moves it); the wall
clock is for people and for instants. A boot-clock reading means something only together with its
boot id (DESIGN 4).
"""

import time
from typing import NamedTuple


class Now(NamedTuple):
    """One reading: `wall` in seconds since 1970 (UTC), `boot` in seconds since this boot."""

    wall: float
    boot: float


def now() -> Now:
    """Both clocks, read one after the other."""
    return Now(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))


def boot_id() -> str:
    """The kernel's identity of this boot; a process recorded under another one is gone."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
