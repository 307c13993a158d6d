"""What a task is started with: argv, descriptors, environment, directory, user, limits."""

import fcntl
import json
import os
import pwd
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

LOOK = """
import json, os, sys
print(json.dumps({
    "argv": sys.argv[1:],
    "env": dict(os.environ),
    "cwd": os.getcwd(),
    "umask": os.umask(0),
    "ids": [os.getuid(), os.geteuid(), os.getgid(), sorted(os.getgroups())],
    "sid": os.getsid(0) == os.getpid(),
    "nice": os.nice(0),
    "signals": open("/proc/self/status").read(),
    "third": os.read(3, 65536).decode() if %r else None,
    "fds": sorted(
        (int(fd), os.readlink("/proc/self/fd/" + fd)) for fd in os.listdir("/proc/self/fd")
        if os.path.exists("/proc/self/fd/" + fd) or int(fd) == 3
    ),
}))
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def look(engine, reference="q/a", parameters=(), third=True, **fields):
    """Run a task that tells how it was started."""
    spec = engine.spec(reference, sys.executable, "-I", "-c", LOOK % third, **fields)
    task = engine.run(spec._replace(parameters=tuple(parameters)))
    assert task.status == "OK", (task, engine.output(reference))
    return json.loads(engine.output(reference))


def test_argv_is_exactly_command_and_parameters(engine):
    parameters = ["two words", "", "*", "$HOME", "new\nline", "back\\slash", "ä", "--x=y"]
    assert look(engine, parameters=parameters)["argv"] == parameters


def test_third_descriptor_gives_the_parameters_then_eof(engine):
    got = look(engine, parameters=["one", "new\nline", "back\\slash"])
    assert got["third"].split("\n")[-4:] == ["one", "new\\nline", "back\\\\slash", ""]


def test_pidfile_has_the_parameters_in_its_further_lines_and_keeps_them(engine, host):
    gate = host.fifo()
    spec = engine.sh("q/a", f"read x < {gate}")._replace(parameters=("one", "t wo", "li\nne"))
    engine.submit(spec)
    engine.running("q/a")
    lines = host.pidfile("q/a").read_text().split("\n")
    assert (lines[0].split()[0], lines[3:]) == ("RUN", ["one", "t wo", "li\\nne", ""])
    host.release(gate)
    engine.ended("q/a")
    assert host.pidfile("q/a").read_text().split("\n")[3:] == ["one", "t wo", "li\\nne", ""]


def test_descriptors_are_0_to_3_and_the_lock_and_no_others(engine, host):
    for fields in ({}, {"nice": 1}):          # by posix_spawn, by fork
        fds = dict(look(engine, "q/a", third=False, **fields)["fds"])
        lock = [fd for fd, target in fds.items() if target.startswith(str(host.pidfile("q/a")))]
        assert len(lock) == 1, fds
        del fds[lock[0]]
        fds = {fd: target for fd, target in fds.items() if not target.startswith("/proc/")}
        assert sorted(fds) == [0, 1, 2, 3]
        assert (fds[0], fds[1] == fds[2], "memfd" in fds[3]) == ("/dev/null", True, True)


@pytest.mark.parametrize("lock", ["flock", "lockf"])
def test_pidfile_is_locked_while_the_task_runs_and_free_after(engine, host, lock):
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"read x < {gate}"))
    engine.running("q/a")

    def locked() -> bool:
        with host.pidfile("q/a").open("r+") as file:
            try:
                getattr(fcntl, lock)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    assert locked()
    host.release(gate)
    engine.ended("q/a")
    assert not locked()


def test_flock_command_on_the_pidfile_of_a_running_task_fails(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("a", f"read x < {gate}"))
    engine.running("a")
    command = ["flock", "-n", host.pidfile("a"), "true"]
    assert subprocess.run(command, check=False).returncode == 1
    host.release(gate)
    engine.ended("a")
    assert subprocess.run(command, check=False).returncode == 0


def test_mgr_lt_pid_is_the_pidfiles_absolute_path(engine, host):
    assert look(engine)["env"]["MGR_LT_PID"] == str(host.pidfile("q/a"))


def test_environment_is_clean_whatever_the_starter_had(engine, monkeypatch):
    monkeypatch.setenv("LEAKED", "yes")
    monkeypatch.setenv("PYTHONPATH", "/leaked")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/leaked")
    env = look(engine, env={"GIVEN": "v"}, env_pass={"PASSED": "p"})["env"]
    ours = {name for name in env if not name.startswith("LTSPEC_")}
    assert ours - {"LC_CTYPE"} == {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "MGR_LT_PID", "GIVEN", "PASSED",
    }
    assert (env["GIVEN"], env["PASSED"], env["LTSPEC_ID"]) == ("v", "p", "a")


def test_end_of_the_path_holds_only_mgrctl_and_ltspec(engine):
    last = look(engine)["env"]["PATH"].split(":")[-1]
    assert sorted(os.listdir(last)) == ["ltspec", "mgrctl"]


def test_task_is_leader_of_a_session_with_default_signals(engine):
    got = look(engine)
    status = dict(line.split(":\t") for line in got["signals"].splitlines())
    # Python itself ignores PIPE and XFSZ after its start.
    ignored = int(status["SigIgn"], 16) & ~(1 << 12) & ~(1 << 24) & 0x7FFFFFFF
    assert (got["sid"], ignored, int(status["SigBlk"], 16)) == (True, 0, 0)


def test_working_directory_and_umask_are_the_specs(engine, host):
    got = look(engine, umask=0o027)
    assert (got["cwd"], got["umask"]) == (str(host.root), 0o027)


def test_umask_is_private_without_a_word(engine):
    assert look(engine)["umask"] == 0o077


def test_relative_program_starts_at_the_base_directory(engine, host):
    host.write("base/tool", "#!/bin/sh\npwd\n").chmod(0o755)
    base = str(host.root / "base")
    engine.run(engine.spec("a", "./tool", base_dir=base, cwd=base))
    assert engine.output("a") == f"{base}\n"


def test_script_runs_under_its_interpreter_and_is_gone_after_its_end(engine, host):
    text = 'echo "$1 $#"; stat -c %a "$0"\n'
    spec = engine.spec("a", "/bin/sh", "-eu", script=text)._replace(parameters=("x y", "z"))
    engine.run(spec)
    assert engine.output("a") == "x y 2\n500\n"
    assert list(Path(engine.places.run_dir, ".scripts").iterdir()) == []


def test_stdin_is_dev_null_text_or_a_file(engine, host):
    source = host.write("input", "from a file\n")
    engine.submit(
        engine.sh("none", "cat; echo end"), engine.sh("text", "cat", stdin={"text": "a\nb"}),
        engine.sh("file", "cat", stdin={"file": str(source)}),
    )
    engine.ended("none", "text", "file")
    assert [engine.output(name) for name in ("none", "text", "file")] == [
        "end\n", "a\nb", "from a file\n",
    ]


def test_env_file_is_read_at_the_start_and_env_wins_over_it(engine, host):
    path = host.write("vars.env", "# comment\nexport A='from file'\nB=file\n")
    env = look(engine, env_files=(str(path),), env={"B": "spec"})["env"]
    assert (env["A"], env["B"]) == ("from file", "spec")


@pytest.mark.parametrize("text", ["A=1\nnonsense\n", None])
def test_env_file_that_cannot_be_read_keeps_the_task_from_starting(engine, host, text):
    if text is not None:
        host.write("vars.env", text)
    engine.run(engine.spec("a", env_files=(str(host.root / "vars.env"),)))
    assert host.status("a").startswith("ERR cannot start: ")
    assert "vars.env" in host.status("a")


def test_secrets_come_from_file_and_command(engine, host):
    path = host.write("secret", "s3cret\n")
    secrets = {"FROM_FILE": {"file": str(path)}, "FROM_COMMAND": {"command": ["/bin/echo", "w0rd"]}}
    env = look(engine, secrets=secrets)["env"]
    assert (env["FROM_FILE"], env["FROM_COMMAND"]) == ("s3cret", "w0rd")


def test_secrets_with_a_descriptor_are_there_and_not_in_the_environment(engine, host):
    path = str(host.write("secret", "s3cret\n"))
    numbers = (4, 5, 9, 63)
    secrets = {f"AT_{number}": {"file": path, "fd": number} for number in numbers}
    text = 'for n in 4 5 9 63; do readlink "/dev/fd/$n"; cat "/dev/fd/$n"; echo; done; env'
    engine.run(engine.sh("a", text, secrets=secrets))
    said = engine.output("a").splitlines()
    assert said[:8] == ["/memfd:ltspec (deleted)", "s3cret"] * 4
    assert not [line for line in said[8:] if "s3cret" in line or line.startswith("AT_")]


def test_secret_at_a_descriptor_that_is_not_allowed_is_named(engine, host):
    secrets = {"A": {"command": ["/bin/echo", "x"], "fd": 60}}
    engine.run(engine.spec("a", secrets=secrets, limits={"open_files": 20}))
    said = "ERR cannot start: secret A: descriptor 60: Bad file descriptor"
    assert host.status("a") == said


def test_secret_that_cannot_be_had_is_named_without_its_value(engine, host):
    secrets = {"PASSWORD": {"command": ["/bin/sh", "-c", "echo halfasecret; exit 3"]}}
    engine.run(engine.spec("a", secrets=secrets))
    assert host.status("a") == "ERR cannot start: secret PASSWORD: /bin/sh ended with 3"


def test_limits_and_niceness_are_set(engine):
    text = "ulimit -n; ulimit -c; ulimit -t; ulimit -f; nice"
    limits = {"open_files": 77, "core_size": 0, "cpu_time": 33, "file_size": 1 << 20}
    engine.run(engine.sh("a", text, limits=limits, nice=5))
    assert engine.output("a").split() == ["77", "0", "33", "2048", "5"]


def test_descriptor_limit_is_the_one_of_before_the_supervisor_raised_its_own(engine):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 500), hard))
    try:
        engine.connection.fileno()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def check(**fields):
        engine.run(engine.sh("a", "ulimit -Sn; ulimit -Hn", **fields))
        assert engine.output("a", engine.task("a").attempts) == f"{min(soft, 500)}\n{hard}\n"

    check()                                   # by posix_spawn
    check(nice=1)                             # by fork
    guardian, supervisor = engine.guardian, engine.supervisor
    os.kill(guardian, signal.SIGKILL)
    lock = Path(engine.places.lock)
    engine.until(lambda: lock.read_text().strip() == str(supervisor), what="it guards")
    check()


@needs_root
def test_task_of_another_user_has_that_users_ids_and_groups_only(make_host, make_engine):
    host = make_host(reachable=True)
    engine = make_engine(host)
    engine.run(engine.sh("q/a", "id -u; id -g; id -G; echo $HOME", user="nobody", cwd="/"))
    account = pwd.getpwnam("nobody")
    groups = " ".join(map(str, os.getgrouplist("nobody", account.pw_gid)))
    assert engine.output("q/a").splitlines() == [
        str(account.pw_uid), str(account.pw_gid), groups, account.pw_dir,
    ]


@needs_root
def test_files_of_another_users_task_belong_to_it(make_host, make_engine):
    host = make_host(reachable=True)
    engine = make_engine(host)
    spec = engine.spec("q/a", "/bin/sh", script="id -un", user="nobody", cwd="/")
    assert engine.run(spec).status == "OK", engine.output("q/a")
    uid = pwd.getpwnam("nobody").pw_uid
    log = Path(engine.places.log("ltspec", "q", "a", 1))
    facts = [(path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) for path in
             (log, host.pidfile("q/a"))]
    assert (engine.output("q/a"), facts) == ("nobody\n", [(uid, 0o600), (uid, 0o600)])


def test_user_that_does_not_exist_is_said(engine, host):
    engine.run(engine.spec("a", user="nosuchuser"))
    assert host.status("a") == "ERR cannot start: there is no user nosuchuser"
