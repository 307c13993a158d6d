"""A secret is in the task's environment and nowhere else: no file, no process list, no output."""

import os
from pathlib import Path

import pytest

from ltspec.mgrctl import command

# Of this process's own: a worker beside it, running another of these tests, has tasks with others.
VALUES = tuple(f"{word}-{os.getpid()}-" for word in ("in-a-file", "of-a-command", "at-an-fd"))


def holders(text):
    """Processes in whose arguments or environment the text is."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        for part in ("cmdline", "environ"):
            try:
                if text.encode() in Path(f"/proc/{name}/{part}").read_bytes():
                    found.add((int(name), part))
            except OSError:
                continue
    return found


@pytest.fixture
def secretive(host, wait_until):
    """A running task with three secrets, one that has ended, and one that could not be started."""
    outside = host.root / "secrets"
    outside.mkdir(mode=0o700)
    (outside / "file").write_text(VALUES[0] + "\n")
    (outside / "fd").write_text(VALUES[2])
    (outside / "bad").write_text(VALUES[0] + "\0")
    for name, code in (("command", 0), ("failing", 9)):
        (outside / name).write_text(f"#!/bin/sh\necho {VALUES[1]}; echo no >&2; exit {code}\n")
        (outside / name).chmod(0o700)
    host.write("jobs/j.yml", f"""
        defaults:
          queue: q
          secrets:
            FILE: {{file: {outside}/file}}
            COMMAND: {{command: [{outside}/command]}}
            FD: {{file: {outside}/fd, fd: 9}}
        tasks:
          - {{id: ended, command: [sh, -c, "test -n \\"$FILE$COMMAND\\"; cat <&9 > /dev/null"]}}
          - {{id: bad, command: /bin/true, secrets: {{X: {{file: {outside}/bad}}}}}}
          - {{id: failing, command: /bin/true, secrets: {{X: {{command: [{outside}/failing]}}}}}}
          - {{id: script, script: "exec sleep 60"}}
        """)
    return host


def test_secrets_are_in_no_file_no_process_list_and_no_output(secretive, inside, wait_until):
    host = secretive
    printed = [
        inside("validate", "jobs/j.yml", code=0), inside("render", "jobs/j.yml", code=0),
        inside("plan", "jobs/j.yml", "--diff", code=0),
        inside("apply", "jobs/j.yml", "--diff", code=0),
    ]
    wait_until(lambda: host.status("q/script").startswith("RUN "))
    pid = int(host.status("q/script").split()[1])
    wait_until(lambda: b"COMMAND=" in Path(f"/proc/{pid}/environ").read_bytes())
    printed += [inside(*words, "--json") for words in (
        ["list", "--all"], ["show", "ended", "bad", "failing", "script"], ["why", "failing"],
        ["render", "jobs/j.yml"], ["plan", "jobs/j.yml"], ["doctor"], ["queue", "list"],
    )]
    printed += [inside("logs", name) for name in ("ended", "bad", "script")]
    printed += [inside("-o", "json", *words, program=command.main) for words in (
        ["longtask"], ["longtask.edit", f"elid={host.pidfile('q/script')}"])]
    for value in VALUES:
        assert holders(value) == ({(pid, "environ")} if value != VALUES[2] else set())
        for done in printed:
            assert value not in done.stdout + done.stderr, done.args
    own = [path for top in (host.state_dir, host.run_dir) for path in top.rglob("*")
           if path.is_file()]
    assert len(own) > 10
    for path in own:
        for value in VALUES:
            assert value.encode() not in path.read_bytes(), path
    assert host.status("q/ended") == "OK"
    reason = "longer than 64 KiB, or with a zero byte"
    assert host.status("q/bad") == f"ERR cannot start: secret X: {reason}"
    assert host.status("q/failing").startswith("ERR cannot start: secret X: ")


def test_token_of_an_attempt_is_in_no_process_list_and_no_output(secretive, inside, wait_until):
    host = secretive
    inside("apply", "jobs/j.yml", code=0)
    wait_until(lambda: host.status("q/script").startswith("RUN "))
    pid = int(host.status("q/script").split()[1])
    wait_until(lambda: b"LTSPEC_TOKEN=" in Path(f"/proc/{pid}/environ").read_bytes())
    words = Path(f"/proc/{pid}/environ").read_text().split("\0")
    (token,) = [word.split("=")[1] for word in words if word.startswith("LTSPEC_TOKEN=")]
    assert holders(token) == {(pid, "environ")}
    for words in (["list", "--all"], ["show", "script"]):
        assert token not in inside(*words, "--json", code=0).stdout
    assert not [path for path in host.run_dir.rglob("*") if token in path.name]
    assert token not in host.pidfile("q/script").read_text()
