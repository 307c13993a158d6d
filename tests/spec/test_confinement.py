"""The child that reads specs of strangers: its limits, and what is told where one is reached."""

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from ltspec import cli
from ltspec.commands import confinement
from ltspec.errors import UsageError

GOOD = 'id: {0}\ncommand: "true"\nneeds: [big]\n'


def confined(work, seconds=30):
    return confinement.confined(work, time.monotonic() + seconds)


def busy(say):
    say("a.yml")
    while True:
        pass


def idle(say):
    say("b.yml")
    signal.pause()


def test_the_limit_of_computing_is_told_with_the_place(monkeypatch):
    monkeypatch.setattr(confinement, "CPU_SECONDS", 1)
    assert confined(busy) == ("took more than 1 s of computing", "a.yml")


def test_the_limit_of_time_is_told_as_such():
    assert confined(idle, 0.2) == (
        f"reading the specs took longer than {confinement.WALL_SECONDS} s", "b.yml")


def test_the_limit_of_memory_is_told_as_such():
    stopped = confined(lambda say: (say("c.yml"), say("d.yml"), bytearray(2 << 30)))
    assert stopped == ("took more than 1024 MiB of memory", "d.yml")


def test_a_signal_is_told_by_its_number():
    stopped = confined(lambda _say: os.kill(os.getpid(), signal.SIGKILL))
    assert stopped == ("ended its reader with signal 9", "")


def test_errors_and_bugs_leave_as_they_left_the_work():
    def wrong(_say):
        raise UsageError("wrong words")

    with pytest.raises(UsageError, match="wrong words"):
        confined(wrong)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        confined(lambda _say: 1 // 0)


def test_a_file_that_takes_too_much_is_named_and_the_others_are_checked(
        tmp_path, monkeypatch, capsys):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + (48 << 20)
    monkeypatch.setattr(confinement, "MEMORY", room)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "big.yml").write_text("a: [" + "[x]," * 140_000 + "]\n")
    (tmp_path / "good.yml").write_text(GOOD.format("one"))
    (tmp_path / "wrong.yml").write_text(GOOD.format("two") + "comand: x\n")
    assert cli.main(["validate", "--untrusted", ".", "--format", "text"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"big.yml: error: took more than {room // 2**20} MiB of memory (LT305)"
    assert lines[2].startswith("wrong.yml:4:1: error: unknown key `comand`")
    assert lines[-1] == "3 files, 2 tasks: 2 errors"
