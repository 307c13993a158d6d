"""`python -m benchmarks [--quick] [NAME…]`: measures, tells, and keeps the results.

Each run is kept in benchmarks/results/ as JSON, text and SVG: a full run of everything as `full`,
any other as `last`. `--page` writes docs/benchmarks.md from the last full run.
"""

import argparse
import shutil
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from benchmarks import chart, grounds, page, results
from benchmarks.cases.table import BENCHMARKS
from benchmarks.measuring import Benchmark, run_rounds
from benchmarks.site import Failed

RESULTS = Path(__file__).parent / "results"
DISK, MEMORY = "/var/tmp", "/dev/shm"      # noqa: S108 - the defaults; each run makes its own below


def main() -> int:
    """0 where all was measured, whatever the verdicts; 1 where something failed; 2 usage."""
    args = _parser().parse_args()
    if args.list:
        print("\n".join(f"{one.name.ljust(12)} {one.title}" for one in BENCHMARKS))
        return 0
    if args.page:
        page.write(results.from_json((RESULTS / "full.json").read_text()))
        return 0
    chosen = [one for one in BENCHMARKS if not args.names or one.name in args.names]
    unknown = set(args.names) - {one.name for one in chosen}
    if unknown or not grounds.interpreter_is_right():
        print(f"there is no benchmark {', '.join(sorted(unknown))}; --list shows them" if unknown
              else "run it as: sh benchmarks/run", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _end)
    place = grounds.choose(disk=args.disk, memory=args.memory, quick=args.quick)
    try:
        run, failures = _run(chosen, place)
    finally:
        shutil.rmtree(place.disk, ignore_errors=True)
    print(results.whole_text(run))
    whole = not args.names and not args.quick and not failures
    _keep(run, "full" if whole else "last")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _end(number: int, _frame: object) -> NoReturn:
    """Leave as after Ctrl-C: everything that was begun is ended on the way out."""
    raise SystemExit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; under two minutes")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md, no run")
    parser.add_argument("--disk", default=DISK, help=f"where the states are kept ({DISK})")
    parser.add_argument("--memory", default=MEMORY, help=f"a tmpfs for run directories ({MEMORY})")
    return parser


def _run(
    chosen: Sequence[Benchmark], place: grounds.Grounds
) -> tuple[results.Run, list[str]]:
    measured, failures = [], []
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    machine = grounds.machine(place)
    for benchmark in chosen:
        try:
            rows = run_rounds(benchmark, place, lambda text: print(text, file=sys.stderr))
        except Failed as error:
            failures.append(f"{benchmark.name} failed: {error}")
        else:
            measured.append(results.judged(benchmark, rows))
    run = results.Run(date, place.quick, machine, grounds.versions(), tuple(measured))
    return run, failures


def _keep(run: results.Run, name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(results.to_json(run))
    (RESULTS / f"{name}.txt").write_text(results.whole_text(run))
    (RESULTS / f"{name}.svg").write_text(chart.svg(run))


if __name__ == "__main__":
    sys.exit(main())
