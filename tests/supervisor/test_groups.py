"""Control groups of tasks: made, limited, ended as a whole, taken away. Real ones, as root.

Which controllers cgroup v2 has is the host's affair: where memory and pids are bound to cgroup v1,
no limit can be kept, and the tests of the kept ones do not exist; that it is refused with the
reason is tested everywhere.
"""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ltspec import alive, cgroup
from ltspec.model import TaskSpec
from ltspec.supervisor import stopping
from ltspec.supervisor.running import Running

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make control groups")

# Leaves the session and the environment: nothing but its group tells whose it is.
HIDE = "setsid env -i sleep 600 & "


def _mount_point() -> str:
    try:
        return cgroup.root()
    except cgroup.Unavailable:
        return ""


def _can_limit() -> bool:
    return os.geteuid() == 0 and not cgroup.lacking(_mount_point(), ["memory", "pids"])


@pytest.fixture
def top(tmp_path):
    """The root of the hierarchy, mounted for this test where it is not mounted at all."""
    mounted = _mount_point()
    if mounted:
        yield Path(mounted)
        return
    place = tmp_path / "hierarchy"
    place.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def group(top, wait_until):
    """A group that is delegated to ltspec, with the controllers of the host; emptied at the end.

    The controllers are switched on for all of the host, so one test at a time, whoever runs it."""
    lock = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    switched_on = _hand_down_all(top)
    path = top / f"test-{os.getpid()}"
    path.mkdir()
    yield path
    cgroup.kill(str(path))
    wait_until(lambda: not cgroup.pids(str(path)), what="the group is empty")
    wait_until(lambda: cgroup.remove(str(path)), what="the group is gone")
    for name in switched_on:
        (top / "cgroup.subtree_control").write_text(f"-{name}")
    os.close(lock)


def _hand_down_all(top):
    handed_down = (top / "cgroup.subtree_control").read_text().split()
    missing = set((top / "cgroup.controllers").read_text().split()) - {*handed_down, "cpuset"}
    for name in missing:
        (top / "cgroup.subtree_control").write_text(f"+{name}")
    return missing


def start(path, script):
    """A shell in a group of its own session; its process."""
    return subprocess.Popen(
        ["/bin/sh", "-c", script], start_new_session=True, env={},
        preexec_fn=lambda: cgroup.join(str(path)),
    )


def running(path, shell):
    """What the supervisor knows of an attempt with a control group."""
    ticks = alive.start_ticks(shell.pid)
    assert ticks is not None
    spec = TaskSpec("a", command=("/bin/sh",))
    return Running(key=1, number=1, token="none", spec=spec, file="a", pid=shell.pid, ticks=ticks,
                   pidfd=os.pidfd_open(shell.pid), started_boot=0, retried=0, uid=0,
                   group=str(path))


@needs_root
def test_what_hides_from_the_ladder_is_ended_in_its_group(group, wait_until):
    path = cgroup.make(str(group), "t1", {})
    with start(path, HIDE + "sleep 600") as shell:
        wait_until(lambda: len(cgroup.pids(path)) == 3)
        attempt = running(path, shell)
        attempt.ladder = stopping.Ladder((("KILL", 0.0),))
        stopping.climb(attempt, 0.0)
        attempt.seen = wait_until(lambda: alive.look(attempt.pidfd, attempt.pid))
        assert attempt.seen.signal == signal.SIGKILL
        wait_until(lambda: stopping.is_over(attempt))
        assert (attempt.survivors, cgroup.pids(path)) == ("", [])
        os.close(attempt.pidfd)


@needs_root
def test_a_signal_after_the_leaders_end_reaches_what_hides_in_its_group(group, wait_until):
    path = cgroup.make(str(group), "t1", {})
    with start(path, HIDE) as shell:
        attempt = running(path, shell)
        attempt.seen = wait_until(lambda: alive.look(attempt.pidfd, attempt.pid))
        wait_until(lambda: len(cgroup.pids(path)) == 1)
        attempt.ladder = stopping.Ladder((("TERM", 60.0), ("KILL", 0.0)))
        stopping.climb(attempt, 0.0)
        wait_until(lambda: not cgroup.pids(path))
        os.close(attempt.pidfd)


@needs_root
def test_a_group_is_taken_away_once_nobody_lives_in_it(group, wait_until):
    path = cgroup.make(str(group), "t1", {})
    with start(path, "mkdir \"$0/inner\"; exec sleep 600".replace("$0", path)) as shell:
        wait_until(lambda: os.path.isdir(path + "/inner"))
        assert not cgroup.remove(path)
        cgroup.kill(path)
        shell.wait()
    wait_until(lambda: cgroup.remove(path))
    assert not os.path.exists(path)


@needs_root
def test_an_attempts_group_is_found_again_by_its_process(group):
    path = cgroup.make(str(group), "t1", {})
    with start(path, "exec sleep 600") as shell:
        assert cgroup.find("", "t1", shell.pid) == path
        assert cgroup.find("", "t2", shell.pid) == ""
        shell.kill()
    assert cgroup.find("/configured", "t2", shell.pid) == "/configured/ltspec-t2"


def _scope(group, names):
    """A scope as systemd makes it for a supervisor: the controllers are handed down to it."""
    cgroup.hand_down(str(group), names)
    path = group / cgroup.scope_name()
    path.mkdir()
    return path


@needs_root
def test_a_service_is_delegated_where_systemd_has_marked_it(group):
    service = group / "x.service"
    (service / "supervisor").mkdir(parents=True)
    with start(service / "supervisor", "exec sleep 600") as shell:
        with pytest.raises(cgroup.Unavailable, match="no control group is delegated"):
            cgroup.delegated(shell.pid)
        os.setxattr(service, "trusted.delegate", b"1")
        assert cgroup.delegated(shell.pid) == str(service)
        shell.kill()


@needs_root
def test_our_scope_hands_controllers_down_although_processes_live_in_it(group):
    names = (group / "cgroup.controllers").read_text().split()[:1]
    scope = _scope(group, names)
    with start(scope, "exec sleep 600") as shell:
        assert cgroup.obstacle(str(scope), names) == ""
        cgroup.hand_down(str(scope), names)
        assert (scope / "cgroup.subtree_control").read_text().split() == names
        assert cgroup.of(shell.pid) == str(scope / "ltspec-rest")
        shell.kill()


@needs_root
def test_a_group_with_processes_that_are_not_ours_is_no_place_for_tasks(group):
    names = (group / "cgroup.controllers").read_text().split()[:1]
    cgroup.hand_down(str(group), names)
    service = group / "x.service"
    service.mkdir()
    with start(service, "exec sleep 600") as shell:
        assert cgroup.obstacle(str(service), names) == f"{service} has processes of its own"
        shell.kill()


def test_a_group_without_the_controller_says_so(tmp_path):
    assert "is no group of cgroup v2" in cgroup.obstacle(str(tmp_path), ["memory"])
    (tmp_path / "cgroup.controllers").write_text("cpu\n")
    assert f"{tmp_path} has no controller memory" in cgroup.obstacle(str(tmp_path), ["memory"])


def test_a_limit_that_cannot_be_kept_is_refused_at_apply_and_named_at_the_start(host, engine):
    (host.root / "none").mkdir()
    host.config(f"cgroup: {host.root}/none\n")
    path = host.write("jobs/a.yml", "id: a\ncommand: 'true'\nlimits: { memory: 1GiB }\n")
    done = host.ltspec("apply", path, code=1)
    assert f"{path}:3:19: error: memory cannot be kept here: {host.root}/none is no group" in (
        done.stderr)
    engine.run(engine.spec("b", limits={"processes": 5}, cgroup=f"{host.root}/none"))
    assert host.status("b").startswith(f"ERR cannot start: {host.root}/none/cgroup.")


def test_without_a_delegated_group_the_reason_is_the_supervisors(host, engine):
    engine.run(engine.spec("a", limits={"processes": 5}))
    if engine.task("a").status != "OK":            # else the host delegates one to its tests
        assert host.status("a").startswith("ERR cannot start: limits: ")


if _can_limit():
    GREEDY = "import os; x = bytearray(200 << 20); print('had it')"

    def test_memory_is_bounded_for_all_of_a_task(engine, host, group):
        limits = {"memory": 60 << 20}
        engine.run(engine.spec("a", sys.executable, "-c", GREEDY, limits=limits,
                               cgroup=str(group)))
        assert (host.status("a"), engine.output("a")) == ("ERR crashed", "")
        assert list(group.glob("ltspec-*")) == []

    def test_processes_are_bounded_for_all_of_a_task(engine, host, group):
        text = "for n in 1 2 3 4 5 6 7 8; do sleep 30 & done"
        engine.run(engine.sh("a", text, limits={"processes": 5}, cgroup=str(group)))
        assert "fork" in engine.output("a").lower()
        assert host.status("a").startswith("ERR exit code")

    def test_a_stop_ends_what_hides_also_after_the_supervisor_was_killed(engine, host, group):
        engine.submit(engine.sh("a", HIDE + "touch up; sleep 600", cgroup=str(group),
                                limits={"processes": 50}, kill=(("TERM", 0.2), ("KILL", 0.0))))
        engine.until(engine.path("up").exists)
        (path,) = group.glob("ltspec-*")
        engine.kill_supervisor()
        engine.ask("a", "stop")
        engine.ended("a")
        assert (host.status("a"), cgroup.pids(str(path))) == ("ERR stopped", [])
        engine.until(lambda: not path.exists())

    def test_the_supervisors_scope_is_used_where_none_is_configured(engine, host, group):
        scope = _scope(group, ["memory", "pids"])
        engine.submit(engine.sh("plain", "touch up; sleep 600"))
        engine.until(engine.path("up").exists)
        for pid in (engine.guardian, engine.supervisor, engine.task("plain").pid):
            (scope / "cgroup.procs").write_text(str(pid))
        text = "cat /proc/self/cgroup; cat $(sed s+0::+" + str(cgroup.root())
        text += "+ /proc/self/cgroup)/pids.max"
        engine.run(engine.sh("a", text, limits={"processes": 7}))
        assert engine.output("a").split()[-1] == "7"
        assert cgroup.of(engine.supervisor) == str(scope / "ltspec-rest")
        engine.ask("plain", "stop")
        engine.ended("plain")
        for pid in (engine.guardian, engine.supervisor):
            Path(cgroup.of("self"), "cgroup.procs").write_text(str(pid))
