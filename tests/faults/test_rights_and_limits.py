"""Rights that were taken away, and limits on open files and processes: wait, tell, heal."""

import json
import os
import resource
import sys

import pytest

from ltspec.errors import SupervisorError


@pytest.fixture
def humble(host, confined):
    """`ltspec` for which file modes count, also where the tests are root's."""
    program = [*confined("--respect-modes"), sys.executable, "-m", "ltspec"]

    def ltspec(*arguments, code=None):
        return host.run([*program, *arguments], code=code)

    return ltspec


def test_closed_state_directory_is_no_empty_one_and_is_opened_again(host, humble):
    humble("run", "--id", "a", "--wait", "--", "true", code=0)
    host.state_dir.chmod(0)
    words = "is closed to its own user\n  open it: chmod u+rwx"
    for command in (["list"], ["run", "--", "true"]):
        assert words in humble(*command, code=5).stderr
    assert "set the mode of" in humble("doctor", "--fix", code=0).stdout
    assert "OK      a" in humble("list", code=0).stdout


@pytest.mark.parametrize("closed", ["state/logs", "run/.scripts"])
def test_task_waits_while_its_log_or_script_may_not_be_written(
    host, humble, inside, wait_until, closed
):
    humble("run", "--id", "first", "--wait", "--", "true", code=0)
    path = host.root / closed
    path.chmod(0)
    host.write("jobs/j.yml", f"{{id: a, script: 'echo a >> {host.root}/ran'}}\n")
    done = inside("apply", "jobs/j.yml", code=5)
    assert "accepted, but the supervisor has to wait: " in done.stderr
    assert "Permission denied" in done.stderr
    assert "it has to wait: cannot start a" in inside("doctor", code=1).stdout
    path.chmod(0o711)
    wait_until(lambda: host.status("a") == "OK", what="it goes on by itself")
    assert (host.root / "ran").read_text() == "a\n"
    assert json.loads(inside("show", "a", "--json").stdout)["attempts"] == 1


def test_catalogue_that_may_not_be_read_is_told_and_its_mode_mended(host, humble):
    humble("run", "--id", "a", "--wait", "--", "true", code=0)
    host.kill_all()
    (host.state_dir / "catalogue.db").chmod(0)
    assert "catalogue.db: look at its owner and mode" in humble("run", "--", "true", code=5).stderr
    assert "is closed to its own user (mode 000)" in humble("doctor", code=1).stdout
    humble("doctor", "--fix", code=0)
    assert (host.state_dir / "catalogue.db").stat().st_mode & 0o777 == 0o600


def test_tasks_beyond_the_limit_of_open_files_wait_for_those_that_run(
    host, engine, confined, inside
):
    host.run([*confined("--nofile", "40"), sys.executable, "-m", "ltspec",
              "run", "--wait", "--", "true"], code=0)
    text = "echo $0 >> ran; until test -e go; do sleep 0.05; done"
    tasks = [engine.spec(f"t{n}", "/bin/sh", "-c", text, f"t{n}") for n in range(20)]
    with pytest.raises(SupervisorError, match=r"has to wait: .*too many open files \(ulimit -n\)"):
        engine.submit(*tasks)
    running = len(engine.lines("ran"))
    assert 0 < running < 20
    assert "it has to wait: " in inside("doctor", code=1).stdout
    engine.path("go").touch()
    engine.ended(*(f"t{n}" for n in range(20)))
    assert sorted(engine.lines("ran")) == sorted(f"t{n}" for n in range(20))
    assert engine.log.count("too many open files") < 5


@pytest.fixture
def own_user(make_host):
    """A host that belongs to a user who has no process yet, where that can be had."""
    host = make_host(reachable=True)
    if os.geteuid() == 0:
        uid = 70_000 + os.getpid() % 10_000
        os.chown(host.root, uid, uid)
    return host


@pytest.fixture
def crowded(own_user, confined):
    """`crowded(limit, *arguments)`: ltspec as a user who may have so many processes."""
    options = ["--uid", str(own_user.root.stat().st_uid)] if os.geteuid() == 0 else []

    def ltspec(limit, *arguments, code=None):
        program = [*confined(*options, "--nproc", str(limit)), sys.executable, "-m", "ltspec"]
        return own_user.run([*program, *arguments], code=code, cwd="/")

    return ltspec


def test_limit_of_processes_is_named_and_tasks_beyond_it_wait_for_those_that_run(
    own_user, crowded, wait_until
):
    for limit in (1, 2):      # the command alone; the command and the first fork of the guardian
        done = crowded(limit, "run", "--", "true", code=5)
        assert "cannot start the supervisor: " in done.stderr
        assert "no more processes are allowed (ulimit -u" in done.stderr
    host = own_user
    ran = host.root / "ran"
    texts = [f"echo {name} >> {ran}; read x < {host.fifo(name)}" for name in "abcdef"]
    done = [crowded(6, "run", "--id", name, "--", "/bin/sh", "-c", text)
            for name, text in zip("abcdef", texts, strict=True)]
    waiting = [one.stderr for one in done if one.returncode == 5]
    assert waiting
    assert all("no more processes are allowed (ulimit -u" in words for words in waiting)
    before = ran.read_text().split()
    assert len(before) == 6 - len(waiting)
    for name in "abcdef":
        host.release(host.root / name)
    wait_until(lambda: [host.status(name) for name in "abcdef"] == ["OK"] * 6, what="all end well")
    assert sorted(ran.read_text().split()) == list("abcdef")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs tasks as other users")
def test_task_of_a_user_at_the_limit_waits_alone(make_host, make_engine):
    engine = make_engine(make_host(reachable=True))
    engine.run(engine.spec("before"))
    limits = resource.prlimit(engine.supervisor, resource.RLIMIT_NPROC)
    resource.prlimit(engine.supervisor, resource.RLIMIT_NPROC, (1, limits[1]))
    engine.submit(engine.spec(
        "q/a", user="nobody", cwd="/", secrets={"KEY": {"command": ["/bin/echo", "x"]}}
    ))
    engine.until(lambda: "cannot start q/a: /bin/echo: no more processes" in engine.log)
    engine.run(engine.spec("other"))
    assert (engine.task("q/a").status, engine.task("q/a").attempts) == ("QUE", 0)
    resource.prlimit(engine.supervisor, resource.RLIMIT_NPROC, limits)
    engine.ended("q/a")
    assert (engine.task("q/a").status, len(engine.attempts("q/a"))) == ("OK", 1)
