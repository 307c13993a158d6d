"""What a terminal shows: real pseudo-terminals, tables, colours, the live table, Ctrl-C."""

import contextlib
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pytest


class Terminal:
    """A command on a pseudo-terminal of 100 columns."""

    def __init__(self, host, *words, **env):
        self.master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ltspec", *words], stdin=slave, stdout=slave, stderr=slave,
            env={**host.env, "TERM": "xterm-256color", **env}, cwd=host.root,
            start_new_session=True, preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.text = ""

    def read_until(self, wanted, timeout=30):
        deadline = time.monotonic() + timeout
        while wanted not in self.text:
            ready, _, _ = select.select([self.master], [], [], deadline - time.monotonic())
            if not ready or not self._read():
                pytest.fail(f"{wanted!r} was not shown: {self.text!r}")
        return self.text

    def _read(self):
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False      # the other side is closed
        self.text += data.decode(errors="replace")
        return bool(data)

    def rest(self):
        while self._read():
            pass
        self.process.wait(30)
        return self.text


@pytest.fixture
def terminal(host):
    opened = []

    def run(*words, **env):
        opened.append(Terminal(host, *words, **env))
        return opened[-1]

    yield run
    for one in opened:
        with contextlib.suppress(ProcessLookupError):
            one.process.kill()
        one.process.wait()
        os.close(one.master)


def test_list_on_a_terminal_has_colours(host, catalogue, spec, terminal):
    catalogue.failed(spec("q/one"))
    text = terminal("list").rest()
    assert "\x1b[1;31mERR" in text
    assert "q/one" in text


def test_no_color_is_respected(host, catalogue, spec, terminal):
    catalogue.failed(spec("q/one"))
    for command in (["list"], ["show", "q/one"], ["why", "q/one"], ["show", "nobody"]):
        text = terminal(*command, NO_COLOR="1").rest()
        assert "\x1b[31m" not in text
        assert "\x1b[1;31m" not in text


def test_a_tasks_escape_sequences_do_not_reach_the_terminal(host, catalogue, spec, terminal):
    from ltspec.states import End, Outcome, Status

    catalogue.ran(spec("q/one", name="\x1b]0;owned\x07"),
                  End(Status.ERR, Outcome.REPORTED, "\x1b[2J\x9b31m", 1))
    for command in (["list"], ["show", "q/one"], ["why", "q/one"]):
        text = terminal(*command).rest()
        assert "\x1b]0;" not in text
        assert "\x1b[2J" not in text
        assert "\x9b" not in text
        assert "\\x1b" in text


def test_an_error_is_red_on_a_terminal_and_plain_in_a_pipe(host, terminal):
    assert "\x1b[31merror: \x1b[0m" in terminal("shw").rest()
    assert "\x1b" not in host.ltspec("shw", code=2).stderr


def test_wait_shows_a_live_table_with_the_last_line_and_then_the_end(host, terminal):
    gate = host.fifo()
    host.ltspec("run", "-q", "q", "--id", "one", "--",
                "sh", "-c", f"echo working hard; cat {gate}", code=0)
    wait = terminal("wait", "q/one")
    text = wait.read_until("working hard")
    assert "LAST OUTPUT" in text
    assert "Ctrl-C leaves them running" in text
    host.release(gate)
    assert "OK after" in wait.rest()
    assert wait.process.returncode == 0


def test_wait_table_says_the_expected_end_from_earlier_runs(host, terminal):
    gate = host.fifo()
    command = ["run", "-q", "q", "--id", "one", "--", "cat", str(gate)]
    host.ltspec(*command, code=0)
    host.release(gate)
    host.ltspec("wait", "q/one", code=0)
    host.ltspec(*command, code=0)
    wait = terminal("wait", "q/one")
    wait.read_until("EXPECTED")
    wait.read_until("overdue")
    host.release(gate)
    wait.rest()


def test_ctrl_c_on_a_waiting_terminal_gives_it_back_and_says_the_task_goes_on(host, terminal):
    host.ltspec("run", "-q", "q", "--id", "one", "--", "sleep", "600", code=0)
    wait = terminal("wait", "q/one")
    wait.read_until("leaves them running")
    os.write(wait.master, b"\x03")
    text = wait.rest()
    assert "interrupted; q/one goes on" in text
    assert "\x1b[?25h" in text      # the cursor is back
    assert wait.process.returncode == 130
    assert host.status("q/one").startswith("RUN")


def test_ctrl_c_during_apply_wait_does_not_reach_the_tasks(host, terminal, wait_until):
    host.write("jobs/x.yml", "id: one\ncommand: sleep 600\n")
    apply = terminal("apply", "jobs/x.yml", "--wait")
    apply.read_until("leaves them running")
    os.write(apply.master, b"\x03")
    apply.rest()
    assert apply.process.returncode == 130
    assert host.status("one").startswith("RUN")


def test_logs_of_several_have_coloured_prefixes_on_a_terminal(host, terminal):
    for name in ("a", "b"):
        host.ltspec("run", "--id", name, "--wait", "--", "echo", f"from {name}", code=0)
    text = terminal("logs", "a", "b").rest()
    assert "\x1b[36ma | \x1b[0mfrom a" in text
    assert "\x1b[33mb | \x1b[0mfrom b" in text


def test_closing_the_terminal_leaves_tasks_and_supervisor(host, terminal, wait_until):
    apply = terminal("run", "--id", "one", "--wait", "--", "sleep", "600")
    wait_until(lambda: host.status("one").startswith("RUN"))
    os.killpg(apply.process.pid, signal.SIGHUP)
    apply.process.wait(30)
    assert host.json("show", "one")["status"] == "RUN"
    host.ltspec("stop", "one", code=0)
