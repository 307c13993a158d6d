"""The benchmarks' own judgement, and that docs/benchmarks.md says what was measured."""

import contextlib
import xml.etree.ElementTree as ET

import pytest

from benchmarks import chart, measuring, page, results
from benchmarks.budgets import Budget, judge
from benchmarks.cases.table import BENCHMARKS
from benchmarks.grounds import ROOT, Grounds, file_system
from benchmarks.series import Series, ratio
from benchmarks.site import Failed, Site, timed

OURS = Series("ltspec", "s", (3.0, 1.0, 2.0))
THEIRS = Series("task-spooler", "s", (5.0, 3.0))


def test_series_has_minimum_median_and_maximum():
    assert (OURS.minimum, OURS.median, OURS.maximum) == (1.0, 2.0, 3.0)
    assert THEIRS.median == 4.0


def test_ratio_is_that_of_the_medians_and_of_one_unit_only():
    assert ratio(OURS, THEIRS) == 0.5
    assert ratio(OURS, Series("memory", "MB", (4.0,))) is None
    assert ratio(OURS, Series("idle", "s", (0.0,))) is None


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        (Budget("ltspec", 0.5, "task-spooler"), "met"),
        (Budget("ltspec", 0.49, "task-spooler"), "missed"),
        (Budget("ltspec", 2.0), "met"),
        (Budget("ltspec", 1.9), "missed"),
        (Budget("ltspec", 9.0, "nq"), "not measured"),
        (Budget("nq", 9.0), "not measured"),
    ],
)
def test_budget_is_judged_by_medians(budget, word):
    assert judge(budget, [OURS, THEIRS]).word == word


def test_budgets_name_the_unit_or_the_other_row():
    assert str(judge(Budget("ltspec", 1.9), [OURS])) == "missed: ltspec at most 1.9 s: 2"
    verdict = judge(Budget("ltspec", 1.0, "task-spooler", aim=0.75), [OURS, THEIRS])
    assert str(verdict) == "met: ltspec at most 1 of task-spooler (the aim is 0.75): 0.5"


@pytest.fixture
def grounds(tmp_path):
    for name in ("disk", "memory"):
        (tmp_path / name).mkdir()
    return Grounds(tmp_path / "disk", tmp_path / "memory", quick=True)


def test_rounds_take_turns_and_leave_slow_ones_out_of_a_quick_run(grounds):
    turns = []

    def contender(name, **options):
        def measure():
            turns.append(name)
            return 1.0

        return measuring.Contender(name, measure, **options)

    @contextlib.contextmanager
    def prepare(_grounds):
        yield [contender("a"), contender("b"), contender("c", slow=True)]

    benchmark = measuring.Benchmark("x", "x", prepare, rounds=9, quick_rounds=2)
    rows = measuring.run_rounds(benchmark, grounds, lambda _: None)
    assert turns == ["a", "b", "a", "b"]
    assert rows == [Series("a", "s", (1.0, 1.0)), Series("b", "s", (1.0, 1.0))]


@pytest.fixture
def run():
    benchmark = BENCHMARKS[0]
    result = results.judged(benchmark, [OURS, THEIRS])
    return results.Run("2026-11-24", True, {"kernel": "Linux"}, {"nq": "-"}, (result,))


def test_run_is_the_same_after_json(run):
    assert results.from_json(results.to_json(run)) == run


def test_text_has_every_row_with_ratio_and_every_verdict(run):
    text = results.whole_text(run)
    assert "  task-spooler    3       4    5  s      2.00" in text
    assert "budgets: 1 met, 0 missed, 1 not measured" in text


def test_chart_is_svg_with_a_bar_for_each_row(run):
    drawn = ET.fromstring(chart.svg(run))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "task-spooler" in texts
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}path"))) == 2


def test_page_without_its_marks_is_refused(run):
    with pytest.raises(ValueError, match="marks"):
        page.filled("# Benchmarks\n", run)


def test_site_runs_tasks_and_leaves_nothing_but_its_files(grounds):
    with Site(grounds) as site:
        site.supervise()
        site.ltspec("run", "-q", "q", "--", "true")
        site.ltspec("run", "--", "sleep", "1000")
        site.until_idle("q")
        site.until_running(1)
        assert len(site.processes()) == 2
    assert [path.name[:5] for path in grounds.disk.iterdir()] == ["site-"]    # to the run's end
    assert list(grounds.memory.iterdir()) == []
    assert site.processes() == []


def test_command_that_fails_is_no_measurement(grounds):
    with pytest.raises(Failed, match="ended with 3\nwhy\n"):
        timed(["/bin/sh", "-c", "echo why >&2; exit 3"], {}, grounds.disk)


def test_file_system_of_proc_is_proc():
    assert file_system(ROOT.__class__("/proc/self")) == "proc"
