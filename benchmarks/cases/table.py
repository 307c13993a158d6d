"""All benchmarks, in the order in which they are run and shown."""

from benchmarks.cases import throughput
from benchmarks.measuring import Benchmark

BENCHMARKS: tuple[Benchmark, ...] = (throughput.ONE_SLOT, throughput.SLOTS)
