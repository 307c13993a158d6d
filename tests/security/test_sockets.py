"""The wake-up socket obeys its own user and root, the second one a task's word about itself."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

NOBODY = 65534
AS_ANOTHER = """
import json, os, socket, sys
uid, path, count, *messages = sys.argv[1:]
os.chdir(os.path.dirname(path))
os.setgroups([]); os.setgid(int(uid)); os.setuid(int(uid))
doors, answers = [], []
for _ in range(int(count)):
    door = socket.socket(socket.AF_UNIX)
    door.settimeout(20)
    try:
        door.connect(os.path.basename(path))
        for message in messages:
            door.sendall(message.encode() + b"\\n")
        file = door.makefile("rb")
        lines = [file.readline() for _ in range(len(messages) + 1)]
        answers.append([json.loads(line) for line in lines if line])
    except OSError as error:
        answers.append(type(error).__name__)
    doors.append(door)
print(json.dumps(answers), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def knocking(path, *messages, uid=NOBODY, count=1):
    """Another user's connections, which stay open: what each of them was answered."""
    argv = [sys.executable, "-c", AS_ANOTHER, str(uid), str(path), str(count),
            *map(json.dumps, messages)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        yield json.loads(other.stdout.readline())
        assert other.stdin
        other.stdin.close()


@pytest.fixture
def reachable(make_host, make_engine):
    return make_engine(make_host(reachable=True))


def test_own_user_is_greeted_and_nonsense_is_answered(engine, host):
    engine.run(engine.spec("a"))
    with contextlib.chdir(host.state_dir), socket.socket(socket.AF_UNIX) as door:
        door.connect("supervisor.sock")
        answers = door.makefile("rb")
        assert json.loads(answers.readline())["hello"] == 1
        for nonsense in (b"\xff\xfe", b"{}", b"[]", b'{"do": []}', b'{"do": "rm"}', b"null", b""):
            door.sendall(nonsense + b"\n")
            assert "error" in json.loads(answers.readline())
        with contextlib.suppress(ConnectionError):
            door.sendall(b"x" * 500_000)
            assert answers.read() == b""    # a line without an end is not kept for ever
    engine.run(engine.spec("b"))


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user here")


@only_root
def test_first_socket_refuses_another_user_even_where_modes_let_it_in(reachable):
    engine = reachable
    engine.run(engine.spec("a"))
    path = engine.host.state_dir / "supervisor.sock"
    with knocking(path, {"do": "sync"}) as answers:
        assert answers == ["PermissionError"]
    engine.host.state_dir.chmod(0o711)
    path.chmod(0o666)
    with knocking(path, {"do": "sync"}) as answers:
        assert answers in ([[]], ["ConnectionResetError"], ["BrokenPipeError"])


@only_root
def test_second_socket_takes_nothing_but_a_tasks_word_about_itself(reachable):
    engine = reachable
    engine.submit(engine.spec("a", "/bin/sleep", "60", user="nobody", cwd="/"))
    engine.running("a")
    (token,) = engine.store.row("SELECT token FROM attempt")
    word = {"do": "finish", "ok": True, "elid": "x"}
    path = engine.host.run_dir / ".finish.sock"
    refused = {"error": "no running task of yours has this token"}
    others: list[Any] = [{"do": "sync"}, {"do": "watch"}, {"do": "stop"}, {}, [], "x"]
    with knocking(path, *others) as answers:
        assert ["error" in answer for answer in answers[0][1:]] == [True] * len(others)
    wrong = [word, *({**word, "token": one} for one in ("0" * 32, None, [token]))]
    with knocking(path, *wrong) as answers:
        assert answers[0][1:] == [refused] * len(wrong)
    with knocking(path, {**word, "token": token}, uid=12345) as answers:
        assert answers[0][1:] == [refused]
    assert engine.host.status("a").startswith("RUN")
    with knocking(path, {**word, "token": token}) as answers:
        assert answers[0][1] == {"ok": True}
    engine.until(lambda: engine.host.status("a") == "OK")


@only_root
def test_strangers_can_use_up_neither_the_commands_connections_nor_one_anothers(reachable):
    engine = reachable
    engine.run(engine.spec("a"))
    path = engine.host.run_dir / ".finish.sock"
    with contextlib.ExitStack() as stack:
        held = sum(
            isinstance(one, list) and bool(one)
            for uid in range(20_000, 20_009)
            for one in stack.enter_context(knocking(path, uid=uid, count=40))
        )
        assert held == 256
        engine.host.ltspec("run", "--wait", "--", "true", code=0)
        assert len(os.listdir(f"/proc/{engine.supervisor}/fd")) < 300
    with knocking(path, uid=30_000) as answers:
        assert answers[0][0]["hello"] == 1
