"""A task that runs as another user: it can report itself, and only itself."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ltspec.model import TaskSpec

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs tasks as other users")


class Stranger:
    """A running task of user nobody, and mgrctl called with its environment and uid."""

    def __init__(self, host, run, wait_until, submit):
        self.host, self.run, self.wait_until = host, run, wait_until
        self.gate = host.fifo()
        submit(host, TaskSpec(id="a", command=("/bin/cat", str(self.gate)), user="nobody"))
        wait_until(lambda: host.status("a").startswith("RUN "))
        self.pid = int(host.status("a").split()[1])
        wait_until(lambda: "MGR_LT_PID" in self.environment, what="the task's own environment")

    @property
    def environment(self):
        data = Path(f"/proc/{self.pid}/environ").read_bytes().decode()
        return dict(pair.split("=", 1) for pair in data.split("\0") if pair)

    def finish(self, *arguments, **environ):
        env = {name: value for name, value in self.environment.items()
               if name.startswith(("LTSPEC_", "MGR_LT_"))}
        return self.run(self.host, "longtask.finish", *arguments, env={**env, **environ})


@pytest.fixture
def stranger(make_host, as_another_user, wait_until, submit):
    return Stranger(make_host(reachable=True), as_another_user, wait_until, submit)


def test_task_of_another_user_reports_itself(stranger):
    elid = stranger.environment["MGR_LT_PID"]
    done = stranger.finish(f"elid={elid}", "status=err", "errmsg=a & b\nc")
    assert (done.stdout, done.returncode) == ("OK\n", 0), done.stderr
    assert stranger.host.status("a") == "ERR a & b c"
    stranger.host.release(stranger.gate)


def test_pidfile_shows_it_while_the_process_goes_on(stranger):
    elid = stranger.environment["MGR_LT_PID"]
    stranger.finish(f"elid={elid}", "status=ok")
    stranger.wait_until(lambda: stranger.host.status("a") == "OK")
    assert Path(f"/proc/{stranger.pid}").exists()
    stranger.host.release(stranger.gate)


def test_text_of_100_kb_of_controls_is_kept_as_far_as_it_fits(stranger):
    elid = stranger.environment["MGR_LT_PID"]
    done = stranger.finish(f"elid={elid}", "status=err", "errmsg=" + "\x01" * 100_000)
    assert done.returncode == 0, done.stderr
    assert stranger.host.status("a").startswith("ERR \x01\x01")
    stranger.host.release(stranger.gate)


def test_pidfile_of_another_task_is_refused(stranger):
    other = str(stranger.host.run_dir) + "/ltspec/b"
    done = stranger.finish(f"elid={other}", "status=ok")
    assert done.stdout == "ERROR access(elid)\n"
    assert stranger.host.status("a").startswith("RUN ")
    stranger.host.release(stranger.gate)


def test_wrong_token_is_refused(stranger):
    elid = stranger.environment["MGR_LT_PID"]
    done = stranger.finish(f"elid={elid}", "status=ok", LTSPEC_TOKEN="0" * 32)
    assert done.stdout == "ERROR value(elid)\n"
    assert stranger.host.status("a").startswith("RUN ")
    stranger.host.release(stranger.gate)


def test_right_token_of_a_third_user_is_refused(stranger):
    elid = stranger.environment["MGR_LT_PID"]
    done = stranger.finish(f"elid={elid}", "status=ok", TEST_UID="65533")
    assert done.stdout == "ERROR value(elid)\n"
    assert stranger.host.status("a").startswith("RUN ")
    stranger.host.release(stranger.gate)


def test_other_functions_are_closed_to_it(stranger):
    done = stranger.run(stranger.host, "longtask", env={})
    assert done.returncode == 5
    assert "permission denied" in done.stderr
    stranger.host.release(stranger.gate)


def test_it_waits_while_the_supervisor_restarts(stranger):
    host = stranger.host
    supervisors = [pid for pid in host.processes() if b"ltspec.supervisor" in
                   Path(f"/proc/{pid}/cmdline").read_bytes()]
    elid = stranger.environment["MGR_LT_PID"]
    for pid in supervisors:
        os.kill(pid, signal.SIGKILL)
    program = [sys.executable, "-m", "ltspec", "wake"]
    started = time.monotonic()
    waking = subprocess.Popen(program, env=host.env, cwd="/")
    done = stranger.finish(f"elid={elid}", "status=ok")
    waking.wait(30)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 12
    stranger.wait_until(lambda: host.status("a") == "OK")
    host.release(stranger.gate)
