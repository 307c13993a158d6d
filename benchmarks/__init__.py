"""Measures ltspec side by side with what people would use instead, and judges its budgets.

series      a row's samples: minimum, median, maximum, ratios
budgets     what is promised, and whether it was kept
measuring   the rounds: every contender of a benchmark once, then again
grounds     where it runs: directories, tools, machine, versions
site        an ltspec of its own, made and taken away
specs       the spec files that are applied
cases/      one file for each thing that is measured
results     a whole run as data, as text, as JSON
chart page  the same as SVG, and as docs/benchmarks.md

Nothing of ltspec is changed for a measurement: durability is on, commands are run as a user runs
them, and peers take turns with it, so that a busy machine is unjust to all alike.
"""
