"""Writes the measured part of docs/benchmarks.md, and its chart, from the last full run.

What people have written around it stays; the marks below delimit what is written here. A test
compares page and results, so neither can change alone.
"""

from pathlib import Path

from benchmarks.budgets import Verdict
from benchmarks.chart import svg
from benchmarks.grounds import ROOT
from benchmarks.results import HEAD, Result, Run, cells, number

PAGE = ROOT / "docs/benchmarks.md"
CHART = ROOT / "docs/benchmarks.svg"
BEGIN = "<!-- measured: written by `sh benchmarks/run --page`, do not edit -->"
END = "<!-- end of what was measured -->"


def write(run: Run) -> None:
    """Bring page and chart up to date."""
    PAGE.write_text(filled(PAGE.read_text(), run))
    CHART.write_text(svg(run))


def filled(page: str, run: Run) -> str:
    """The page with the run between the marks. Raises ValueError where a mark is missing."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{Path(PAGE).name} has lost the marks around what was measured")
    return f"{before}{BEGIN}\n\n{_measured(run)}\n{END}{after}"


def _measured(run: Run) -> str:
    facts = [f"| {name} | {value} |" for name, value in {**run.machine, **run.versions}.items()]
    budgets = [
        _budget_row(result, verdict) for result in run.results for verdict in result.verdicts
    ]
    parts = [
        f"Measured on {run.date}:",
        "\n".join(["| | |", "| --- | --- |", *facts]),
        "## The budgets",
        "\n".join([
            "| benchmark | what | at most | measured | |", "| --- | --- | --- | --- | --- |",
            *budgets,
        ]),
        "## All rows",
        *(_table(result) for result in run.results),
    ]
    return "\n\n".join(parts) + "\n"


def _budget_row(result: Result, verdict: Verdict) -> str:
    budget = verdict.budget
    limit = f"{budget.limit:g} of {budget.of}" if budget.of else f"{budget.limit:g} {verdict.unit}"
    if budget.aim is not None:
        limit += f" (aim: {budget.aim:g})"
    value = "" if verdict.value is None else number(verdict.value)
    word = verdict.word if verdict.word == "met" else f"**{verdict.word}**"
    return f"| {result.name} | {budget.row} | {limit} | {value} | {word} |"


def _table(result: Result) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (HEAD, *cells(result))]
    ruler = "| --- | ---: | ---: | ---: | --- | ---: |"
    return "\n".join([f"{result.name}: {result.title}", "", lines[0], ruler, *lines[1:]])
