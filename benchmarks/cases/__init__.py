"""One file for each thing that is measured; each has one or more BENCHMARK values."""
