"""A whole run as data, as text for a person, as JSON for a program."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.budgets import Budget, Verdict, judge
from benchmarks.measuring import Benchmark
from benchmarks.series import Series, ratio


class Result(NamedTuple):
    """One benchmark as it was measured."""

    name: str
    title: str
    rows: tuple[Series, ...]
    verdicts: tuple[Verdict, ...]


class Run(NamedTuple):
    """One run: when, where, with what, and all results."""

    date: str
    quick: bool
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    results: tuple[Result, ...]

    @property
    def verdicts(self) -> list[Verdict]:
        """Those of all benchmarks."""
        return [verdict for result in self.results for verdict in result.verdicts]


def judged(benchmark: Benchmark, rows: Sequence[Series]) -> Result:
    """The rows of a benchmark with the verdicts on its budgets."""
    verdicts = tuple(judge(budget, rows) for budget in benchmark.budgets)
    return Result(benchmark.name, benchmark.title, tuple(rows), verdicts)


def cells(result: Result) -> list[tuple[str, ...]]:
    """The rows as text: name, minimum, median, maximum, unit, times the first row."""
    first = result.rows[0]
    found: list[tuple[str, ...]] = []
    for row in result.rows:
        times = ratio(row, first)
        found.append(
            (row.name, number(row.minimum), number(row.median), number(row.maximum), row.unit,
             "" if times is None else f"{times:.2f}")
        )
    return found


HEAD = ("", "min", "median", "max", "", "of first")


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def text(result: Result) -> str:
    """One benchmark for a terminal."""
    table = [HEAD, *cells(result)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    lines = [f"{result.name}: {result.title}"]
    for name, *rest in table:
        aligned = "  ".join(
            cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)
        )
        lines.append(f"  {name.ljust(widths[0])}  {aligned}".rstrip())
    lines += [f"  {verdict}" for verdict in result.verdicts]
    return "\n".join(lines) + "\n"


def whole_text(run: Run) -> str:
    """The whole run for a terminal."""
    facts = [f"{name}: {value}" for name, value in {**run.machine, **run.versions}.items()]
    parts = [text(result) for result in run.results]
    words = [verdict.word for verdict in run.verdicts]
    counted = ", ".join(
        f"{words.count(word)} {word}" for word in ("met", "missed", "not measured")
    )
    return "\n".join([*facts, "", *parts, f"budgets: {counted}"]) + "\n"


def to_json(run: Run) -> str:
    """The run as one document; `from_json` reads it back."""
    document = {
        "date": run.date,
        "quick": run.quick,
        "machine": dict(run.machine),
        "versions": dict(run.versions),
        "benchmarks": [_benchmark(result) for result in run.results],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _benchmark(result: Result) -> dict[str, Any]:
    first = result.rows[0]
    return {
        "name": result.name,
        "title": result.title,
        "rows": [
            {
                "name": row.name, "unit": row.unit, "min": row.minimum, "median": row.median,
                "max": row.maximum, "ratio": ratio(row, first), "samples": row.samples,
            }
            for row in result.rows
        ],
        "budgets": [
            {**verdict.budget._asdict(), "value": verdict.value, "verdict": verdict.word}
            for verdict in result.verdicts
        ],
    }


def from_json(document: str) -> Run:
    """Read back what `to_json` wrote; verdicts are judged anew from the samples."""
    data = json.loads(document)
    return Run(
        data["date"], data["quick"], data["machine"], data["versions"],
        tuple(_result(one) for one in data["benchmarks"]),
    )


def _result(one: dict[str, Any]) -> Result:
    rows = tuple(Series(row["name"], row["unit"], tuple(row["samples"])) for row in one["rows"])
    budgets = [Budget(b["row"], b["limit"], b["of"], b["aim"]) for b in one["budgets"]]
    return Result(one["name"], one["title"], rows, tuple(judge(b, rows) for b in budgets))
