"""How long short commands take, against a Python that does nothing: the same interpreter."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import specs
from benchmarks.budgets import Budget
from benchmarks.grounds import PYTHON, Grounds
from benchmarks.measuring import Benchmark, Contender
from benchmarks.site import Site

EMPTY = "python3 -c pass"


@contextlib.contextmanager
def prepare(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """A site whose supervisor runs, with a page of tasks and some that can call `finish`."""
    with Site(grounds) as site:
        site.supervise()
        site.ltspec("apply", "--wait", specs.loop(site.root, 40, queue="ended"))
        running = _Running(site)

        def run() -> float:
            seconds = site.ltspec("run", "-q", "q", "--", "true")
            site.until_idle("q")     # the next one is not to be disturbed
            return seconds

        measures = {
            EMPTY: lambda: site.run([str(PYTHON), "-c", "pass"]),
            "ltspec --version": lambda: site.run([str(grounds.bin / "ltspec"), "--version"]),
            "ltspec list": lambda: site.ltspec("list"),
            "ltspec run -q q -- true": run,
            "mgrctl longtask.finish": running.finish,
        }
        for measure in measures.values():
            measure()     # byte code is written and files are cached, as where it is in use
        yield [
            Contender(name, partial(_milliseconds, measure), "ms")
            for name, measure in measures.items()
        ]


def _milliseconds(measure: "Measure") -> float:
    return 1000 * measure()


class _Running:
    """Tasks that run, each of which says once how it ended."""

    COUNT = 100

    def __init__(self, site: Site) -> None:
        self.site = site
        self.left = [f"t{number}" for number in range(self.COUNT)]
        site.ltspec("apply", specs.loop(
            site.root, self.COUNT, command="[/bin/sleep, 10000]", queue="", name="running.yml"
        ))
        site.until_running(self.COUNT)

    def finish(self) -> float:
        """The call of one task, with the `mgrctl` that stands in its PATH."""
        elid = str(Path(self.site.places.run_dir) / "ltspec" / self.left.pop())
        mgrctl = f"{self.site.places.tools}/mgrctl"
        return self.site.run(
            [mgrctl, "longtask.finish", f"elid={elid}", "status=ok"], MGR_LT_PID=elid
        )


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Measure = Callable[[], float]

BENCHMARK = Benchmark(
    "start-up",
    f"short commands, against {EMPTY} (Python {sys.version_info[0]}.{sys.version_info[1]})",
    prepare,
    (
        Budget("ltspec run -q q -- true", 4, EMPTY),
        Budget("ltspec list", 4, EMPTY),
        Budget("ltspec --version", 2.5, EMPTY),
        Budget("mgrctl longtask.finish", 5, EMPTY),
    ),
    rounds=40,
    quick_rounds=10,
)
