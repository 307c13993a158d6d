"""`ltspec.load`, `ltspec.apply`, `ltspec.tasks`: in the test's own process, on a real host."""

import os
import subprocess
import sys

import pytest

import ltspec
from ltspec import errors


@pytest.fixture
def api(host, monkeypatch):
    """The test's own process is on the host."""
    for name, value in host.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(host.root)
    return host


def test_import_loads_nothing_of_the_api():
    program = (
        "import sys; before = set(sys.modules); import ltspec;"
        " print(*(set(sys.modules) - before)); ltspec.tasks; print('ltspec.api' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=True)
    assert done.stdout.split() == ["ltspec", "True"]


def test_every_name_is_there_and_another_is_an_attribute_error():
    assert [name for name in ltspec.__all__ if not hasattr(ltspec, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        ltspec.lod  # type: ignore[attr-defined]  # noqa: B018 - a slip of the pen


def test_load_gives_tasks_and_problems_without_raising(api):
    good = api.write("jobs/good.yml", "inputs: {n: {type: integer}}\nid: g-{{ n }}\ncommand: x\n")
    specs = ltspec.load(good, extra_vars={"n": "5"})
    assert specs.valid
    assert [task.reference for task in specs.tasks] == ["g-5"]
    assert specs.files == (str(good),)
    api.write("jobs/bad.yml", "id: bad\ncomand: x\n")
    specs = ltspec.load("jobs")
    assert not specs.valid
    assert (specs.problems[0].file, specs.problems[0].line) == ("jobs/bad.yml", 2)


def test_apply_waits_and_gives_the_ends_and_tasks_finds_them(api, capfd):
    api.write("jobs/x.yml", "tasks:\n  - {id: a, queue: q, command: /bin/true}\n"
                            "  - {id: b, queue: q, command: [sh, -c, 'exit 3']}\n")
    assert ltspec.tasks() == []
    (first, second) = ltspec.apply("jobs", check=True)
    assert (first.action, first.task, second.spec.id) == ("created", None, "b")
    (first, second) = ltspec.apply("jobs", wait=True, timeout=30)
    assert first.task is not None
    assert second.task is not None
    assert (first.task.status, second.task.status) == ("OK", "ERR")
    assert (second.task.outcome, second.task.exit_code) == (ltspec.Outcome.EXIT, 3)
    assert second.task.log is not None
    assert os.path.exists(second.task.log)
    assert os.path.exists(first.task.pidfile)
    assert ltspec.tasks("q/b") == [second.task]
    assert ltspec.tasks(statuses=["OK"], queue="q") == [first.task]
    assert ltspec.tasks(queue="other") == []
    assert [one.action for one in ltspec.apply("jobs", check=True)] == ["unchanged", "rerun"]
    assert capfd.readouterr() == ("", "")


def test_apply_of_a_wrong_spec_raises_all_problems_and_applies_nothing(api):
    api.write("jobs/bad.yml", "id: bad\ncomand: x\nqueu: y\n")
    with pytest.raises(ltspec.InvalidSpec) as found:
        ltspec.apply("jobs")
    assert {problem.line for problem in found.value.problems} >= {2, 3}
    assert not api.state_dir.exists()


def test_apply_at_its_time_limit_leaves_the_task(api):
    api.write("jobs/x.yml", "id: a\ncommand: sleep 600\n")
    with pytest.raises(errors.CannotDo, match=r"not ended within 0\.1s: a"):
        ltspec.apply("jobs", wait=True, timeout=0.1)
    assert ltspec.tasks("a")[0].status in ("QUE", "RUN")


def test_tasks_come_running_first_then_waiting_then_ended(api, wait_until):
    gate = api.fifo()
    api.write("jobs/x.yml", "defaults: {queue: q, command: 'true'}\ntasks:\n"
                            f"  - {{id: a, queue: p}}\n  - {{id: b, command: cat {gate}}}\n"
                            "  - {id: c}\n  - {id: d}\n")
    ltspec.apply("jobs")
    wait_until(lambda: api.status("p/a") == "OK" and api.status("q/b").startswith("RUN"))
    found = ltspec.tasks()
    assert [task.id for task in found] == ["b", "c", "d", "a"]
    assert found[0].pid == int(api.status("q/b").split()[1])


def test_an_unknown_name_is_not_found(api):
    with pytest.raises(errors.NotFound, match="no tasks yet"):
        ltspec.tasks("nobody")
    api.ltspec("run", "--id", "somebody", "--wait", "--", "true", code=0)
    with pytest.raises(errors.NotFound, match="did you mean somebody"):
        ltspec.tasks("somebodi")


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"x", {"a": object()}])
def test_a_value_that_json_does_not_have_is_refused(api, value):
    path = api.write("jobs/x.yml", "inputs: {v: {}}\nid: a\ncommand: [echo, '{{ v }}']\n")
    with pytest.raises(ltspec.LtspecError):
        ltspec.apply(path, extra_vars={"v": value})
