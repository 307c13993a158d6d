"""All benchmarks, in the order in which they are run and shown."""

from benchmarks.cases import (
    adding,
    applying,
    asking,
    handover,
    running,
    starting,
    throughput,
    validating,
    writing,
)
from benchmarks.measuring import Benchmark

BENCHMARKS: tuple[Benchmark, ...] = (
    throughput.ONE_SLOT,
    throughput.SLOTS,
    handover.BENCHMARK,
    adding.BENCHMARK,
    asking.BENCHMARK,
    running.BENCHMARK,
    starting.BENCHMARK,
    validating.BENCHMARK,
    applying.BENCHMARK,
    writing.BENCHMARK,
)
