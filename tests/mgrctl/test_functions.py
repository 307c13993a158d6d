"""The functions on the catalogue: C23-C27, C49."""

import subprocess
import sys
from pathlib import Path

import pytest


def tree(directory: Path) -> list[str]:
    """Every path below a directory, with its content where it is a file."""
    return sorted(
        f"{path}:{path.read_bytes()!r}" if path.is_file() else str(path)
        for path in directory.rglob("*")
    )



def test_c23_list_has_every_task_in_the_four_states(filled):
    filled.end(filled.running("ended", "q"))
    filled.failed("failed", "q")
    filled.running("runs", "q", "x")
    filled.task("waits", "q")
    filled.task("last", "q")
    elements = filled.xml("longtask").findall("elem")
    shown = ("id", "status", "queue", "number")
    assert [[e.findtext(name) for name in shown] for e in elements] == [
        ["ended", "ok", "q", ""], ["failed", "err", "q", ""], ["runs", "run", "q", ""],
        ["waits", "que", "q", "1"], ["last", "que", "q", "2"],
    ]
    assert {e.findtext("realname") for e in elements} == {"bin/work"}
    assert elements[0].findtext("pidfile") == filled.elid("q/ended")


def test_c23_number_follows_priority(filled):
    filled.task("low", "q")
    filled.task("high", "q", priority=5)
    numbers = {e.findtext("id"): e.findtext("number") for e in filled.xml("longtask")}
    assert numbers == {"low": "2", "high": "1"}
    number = filled.xml("longtask.edit", f"elid={filled.elid('q/low')}").findtext("number")
    assert number == "2"


def test_c23_list_shows_what_a_running_task_said_of_itself(filled):
    filled.running("a")
    filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", "status=err", "errmsg=no disk",
                  code=0)
    element = filled.xml("longtask").find("elem")
    assert (element.findtext("status"), element.findtext("info")) == ("err", "no disk")


def test_c23_list_shows_dependencies(filled):
    from ltspec.model import Need

    filled.task("first", "q")
    filled.task("second", "q", needs=(Need("first"),))
    assert [e.findtext("depend") for e in filled.xml("longtask")] == ["", "q/first"]


def ids(filled, *arguments):
    return [e.findtext("id") for e in filled.xml("longtask", *arguments).findall("elem")]


@pytest.mark.parametrize(("arguments", "expected"), [
    ([], ["a", "b", "c", "d"]),
    (["filter=yes", "state=err", "queue=q"], ["a"]),
    (["filter=yes", "state=err"], ["a", "c"]),
    (["filter=yes", "queue=q"], ["a", "b"]),
    (["filter=yes", "state=ERR"], ["a", "c"]),
    (["filter=yes", "queue=none"], []),
    (["filter=yes"], ["a", "b", "c", "d"]),
])
def test_c24_filter_by_state_and_queue(filled, arguments, expected):
    filled.failed("a", "q")
    filled.task("b", "q")
    filled.failed("c", "r")
    filled.task("d")
    assert ids(filled, *arguments) == expected


def test_c24_unknown_state_is_an_error(filled):
    assert filled.mgrctl("longtask", "state=bad", code=1).stdout == "ERROR value(state)\n"


def test_c24_filter_function_answers_its_form(filled):
    form = filled.xml("longtask.filter", "state=err", "queue=q")
    assert (form.findtext("state"), form.findtext("queue")) == ("err", "q")
    assert filled.mgrctl("longtask.filter", "state=err", "sok=ok", code=0).stdout == "OK\n"


def test_c25_edit_has_every_field(filled):
    filled.failed("a", "q", "p 1", command=("sbin/sync", "--fast"))
    form = filled.xml("longtask.edit", f"elid={filled.elid('q/a')}")
    assert {name: form.findtext(name) for name in (
        "realname", "id", "queue", "status", "pidfile", "info")
    } == {
        "realname": "sbin/sync", "id": "a", "queue": "q", "status": "err",
        "pidfile": filled.elid("q/a"), "info": "exit code 3",
    }
    assert [node.text for node in form.findall("params")] == ["--fast", "p 1"]
    for name in ("start_time", "end_time"):
        assert len(form.findtext(name)) == len("2026-11-24 04:05:06")


def test_c25_waiting_task_has_no_times(filled):
    filled.task("a")
    form = filled.xml("longtask.edit", f"elid={filled.elid('a')}")
    assert (form.findtext("start_time"), form.findtext("end_time")) == ("", "")


@pytest.mark.parametrize("elid", [
    "", "a", "/", "/etc/passwd", "{run}/ltspec/none", "{run}/ltspec/q", "{run}",
    "{run}/ltspec/q/../a", "{run}/ltspec/a/", "{run}/ltspec/q/a/b",
])
def test_c25_unknown_elid_is_an_error(filled, elid):
    filled.task("a")
    elid = elid.format(run=filled.host.run_dir)
    assert filled.mgrctl("longtask.edit", f"elid={elid}", code=1).stdout == "ERROR missed(elid)\n"


def test_c25_run_directory_may_be_reached_through_a_link(filled):
    filled.task("a")
    (filled.host.root / "var-run").symlink_to(filled.host.run_dir)
    form = filled.xml("longtask.edit", f"elid={filled.host.root}/var-run/ltspec/a")
    assert form.findtext("id") == "a"


def test_c25_parameters_of_a_silent_task_are_not_shown(filled):
    filled.task("a", "", "--password=x", no_log=True)
    form = filled.xml("longtask.edit", f"elid={filled.elid('a')}")
    assert [node.text for node in form.findall("params")] == [None]


@pytest.mark.parametrize("line", [
    ["longtask.finish"],
    ["longtask.finish", "status=ok"],
    ["longtask.finish", "elid=", "status=ok"],
    ["longtask.finish", "elid={run}/ltspec/a"],
    ["longtask.finish", "elid={run}/ltspec/a", "status="],
    ["longtask.finish", "elid={run}/ltspec/a", "status=done"],
    ["longtask.finish", "elid={run}/ltspec/none", "status=ok"],
    ["longtask.finish", "elid={run}/ltspec/q/none", "status=err"],
    ["longtask.finish", "elid={run}/../victim", "status=err", "errmsg=x"],
    ["longtask.finish", "elid={run}/ltspec/../../victim", "status=err", "errmsg=x"],
    ["longtask.finish", "elid={out}/victim", "status=ok"],
    ["longtask.finish", "elid={run}/ltspec/stranger", "status=ok"],
])
def test_c27_wrong_finish_is_an_error_and_touches_nothing(filled, line):
    filled.running("a")
    out = filled.host.root
    (out / "victim").write_text("RUN\n")
    (filled.host.run_dir / "ltspec").mkdir()
    (filled.host.run_dir / "ltspec" / "stranger").write_text("RUN\nx\n")
    before = filled.snapshot(), tree(filled.host.run_dir), (out / "victim").read_text()
    line = [text.format(run=filled.host.run_dir, out=out) for text in line]
    done = filled.mgrctl(*line, code=1)
    assert done.stdout.startswith("ERROR ")
    assert (filled.snapshot(), tree(filled.host.run_dir), (out / "victim").read_text()) == before


def test_c27_finish_without_a_catalogue_creates_nothing(host):
    done = host.mgrctl("longtask.finish", f"elid={host.run_dir}/ltspec/a", "status=ok", code=1)
    assert done.stdout == "ERROR missed(elid)\n"
    assert not host.state_dir.exists()
    assert not host.run_dir.exists()


@pytest.mark.parametrize("state", ["waits", "ended"])
def test_finish_of_a_task_that_does_not_run_is_refused(filled, state):
    key = filled.task("a") if state == "waits" else filled.failed("a")
    before = filled.status(key)
    done = filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", "status=ok", code=1)
    assert done.stdout == "ERROR value(elid)\n"
    assert filled.status(key) == before


def test_first_call_is_final_and_a_second_one_changes_nothing(filled):
    key = filled.running("a")
    for status in ("ok", "err"):
        filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", f"status={status}", code=0)
    assert filled.status(key) == "ok"


def test_process_of_an_earlier_attempt_does_not_speak_for_the_present_one(filled):
    key = filled.start(filled.task("a"), token="old")
    filled.end(key, "exit code 1")
    filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", "status=ok", code=1)
    from ltspec.catalogue import enqueue
    from ltspec.clock import boot_id, now

    with filled.store.write():
        enqueue.retry(filled.store, key, now=now(), boot_id=boot_id())
    filled.start(key, token="new")
    line = ["longtask.finish", f"elid={filled.elid('a')}", "status=ok"]
    filled.mgrctl(*line, env={"LTSPEC_TOKEN": "old"}, code=1)
    assert filled.status(key) == "run"
    filled.mgrctl(*line, env={"LTSPEC_TOKEN": "new"}, code=0)
    assert filled.status(key) == "ok"


@pytest.mark.parametrize("status", ["ok", "OK", "Ok", "err", "ERR", "Err"])
def test_c12_status_is_case_blind_and_errmsg_optional(filled, status):
    key = filled.running("a")
    filled.mgrctl("longtask.finish", f"elid={filled.elid('a')}", f"status={status}", code=0)
    assert filled.status(key) == status.lower()


def test_c49_many_finishes_at_once_are_all_kept(filled):
    keys = [filled.running(f"t{n}", f"q{n}") for n in range(12)]
    program = "import sys; from ltspec.mgrctl.command import main; sys.exit(main())"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, "longtask.finish", f"elid={filled.elid(f'q{n}/t{n}')}",
             "status=err", f"errmsg=message {n}"],
            env=filled.host.env, stdout=subprocess.DEVNULL,
        )
        for n in range(12)
    ]
    assert [process.wait(60) for process in running] == [0] * 12
    rows = filled.xml("longtask").findall("elem")
    assert [row.findtext("info") for row in rows] == [f"message {n}" for n in range(12)]
    assert len(keys) == len(rows)


def test_list_of_a_reader_that_leaves_is_quiet(filled):
    for n in range(50):
        filled.task(f"t{n}", "q", "x" * 3000)
    program = "import sys; from ltspec.mgrctl.command import main; sys.exit(main())"
    line = f"{sys.executable} -c '{program}' -o xml longtask | head -c 10"
    done = filled.host.run(["sh", "-c", line], code=0)
    assert done.stderr == ""


def test_catalogue_that_is_closed_to_us_is_told(filled, as_another_user):
    done = as_another_user(filled.host, "longtask")
    assert done.returncode == 5
    assert "permission denied" in done.stderr
