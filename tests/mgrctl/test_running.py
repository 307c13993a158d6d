"""LongTask's promises about running tasks, with a real supervisor: C01-C22, C26, C49."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

OK, ERR = "OK", "ERR"


@pytest.fixture
def apply(host):
    """`apply(text)`: write a spec file and apply it."""

    def do(text, name="job.yml", *options, code=0):
        return host.ltspec("apply", host.write(f"jobs/{name}", text), *options, code=code)

    return do


@pytest.fixture
def mgrctl(host, tmp_path):
    """The `mgrctl` that a task calls: a script of the tests' own, so that PATH does not matter."""
    path = tmp_path / "mgrctl"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nfrom ltspec.mgrctl.command import main\n"
        "sys.exit(main())\n"
    )
    path.chmod(0o755)
    return path


def xml(host, *arguments):
    return ET.fromstring(host.mgrctl("-o", "xml", *arguments, code=0).stdout)


def state(host, reference):
    """(status, additional information) as longtask.edit shows them."""
    form = xml(host, "longtask.edit", f"elid={host.pidfile(reference)}")
    return form.findtext("status"), form.findtext("info")


def lines(host, reference):
    return host.pidfile(reference).read_text().splitlines()


def ends(host, wait_until, reference, word):
    wait_until(lambda: host.status(reference).startswith(word), what=f"{reference} is {word}")
    return host.status(reference)


def test_c01_pidfile_of_a_queued_and_of_a_common_task(host, apply):
    apply("""
        tasks:
          - { id: queued, queue: q, command: /bin/true }
          - { id: common, command: /bin/true }
        """, "job.yml", "--wait")
    assert (host.run_dir / "ltspec" / "q" / "queued").read_text() == "OK\n"
    assert (host.run_dir / "ltspec" / "common").read_text() == "OK\n"


def test_c02_pidfile_name_with_the_binary_is_a_setting(host, apply):
    host.config("pidfile_name: binary.id\n")
    apply("{ id: problem_7, queue: q, command: /bin/true, manager: ispmgr }", "j.yml", "--wait")
    assert (host.run_dir / "ispmgr" / "q" / "true.problem_7").read_text() == "OK\n"
    form = xml(host, "longtask.edit", f"elid={host.run_dir}/ispmgr/q/true.problem_7")
    assert form.findtext("id") == "problem_7"


def test_c03_first_line_is_the_status_and_the_others_stay(host, apply, wait_until):
    gate = host.fifo()
    apply(f"""
        defaults: {{ queue: q, command: [sh, -c, 'read x <"$0"; exit "$1"', "{gate}"] }}
        tasks:
          - {{ id: good, parameters: ["0", "two words", 'back\\slash', "new\\nline"] }}
          - {{ id: bad, parameters: ["1", "two words"] }}
        """)
    seen: dict[str, list[list[str]]] = {"good": [], "bad": []}
    wait_until(lambda: host.status("q/good").startswith("RUN "))
    assert host.status("q/bad") == "QUE"
    seen["good"].append(lines(host, "q/good")[1:])
    seen["bad"].append(lines(host, "q/bad")[1:])
    host.release(gate)
    ends(host, wait_until, "q/good", OK)
    wait_until(lambda: host.status("q/bad").startswith("RUN "))
    seen["good"].append(lines(host, "q/good")[1:])
    seen["bad"].append(lines(host, "q/bad")[1:])
    host.release(gate)
    assert ends(host, wait_until, "q/bad", ERR) == "ERR exit code 1"
    seen["bad"].append(lines(host, "q/bad")[1:])
    program = ["-c", 'read x <"$0"; exit "$1"', str(gate)]
    assert seen["good"] == [[*program, "0", "two words", r"back\\slash", r"new\nline"]] * 2
    assert seen["bad"] == [[*program, "1", "two words"]] * 3


def record_argv(host):
    """A program that writes down its argv, environment and working directory."""
    program = host.root / "record"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"open('{host.root}/record.json.new', 'w').write(json.dumps("
        "[sys.argv, dict(os.environ), os.getcwd()]))\n"
        f"os.rename('{host.root}/record.json.new', '{host.root}/record.json')\n"
    )
    program.chmod(0o755)
    return program


def recorded(host):
    return json.loads((host.root / "record.json").read_text())


def test_c04_argv_is_exactly_binary_and_parameters(host, apply):
    program = record_argv(host)
    apply(f"""
        id: a
        command: [{program}]
        parameters: ["two words", "", "a=b", "$HOME", "*", "new\\nline", 'q"uote', -x]
        """, "job.yml", "--wait")
    assert recorded(host)[0] == [
        str(program), "two words", "", "a=b", "$HOME", "*", "new\nline", 'q"uote', "-x"
    ]


def test_c05_descriptor_3_gives_the_parameters_then_the_end(host, apply):
    out = host.root / "out"
    apply(f"""
        id: a
        command: [sh, -c, 'cat <&3 >{out}', name]
        parameters: [one, "two words"]
        """, "job.yml", "--wait")
    assert out.read_text().splitlines() == ["-c", f"cat <&3 >{out}", "name", "one", "two words"]


def test_c05_task_that_never_reads_descriptor_3_is_not_blocked(host, apply):
    apply(f"""
        id: a
        command: /bin/true
        parameters: ["{'x' * 100_000}", "{'y' * 100_000}"]
        """, "job.yml", "--wait")
    assert host.status("a") == OK


def test_c06_mgr_lt_pid_is_the_absolute_path_of_the_own_pidfile(host, apply):
    apply(f"{{ id: a, queue: q, command: [{record_argv(host)}] }}", "job.yml", "--wait")
    assert recorded(host)[1]["MGR_LT_PID"] == str(host.run_dir / "ltspec" / "q" / "a")


def test_c07_relative_binary_is_resolved_against_the_base_directory(host, apply):
    base = host.root / "panel"
    (base / "sbin").mkdir(parents=True)
    record_argv(host).rename(base / "sbin" / "record")
    host.config(f"base_dir: {base}\n")
    apply("{ id: a, command: sbin/record }", "job.yml", "--wait")
    assert recorded(host)[2] == str(base)
    assert xml(host, "longtask.edit", f"elid={host.pidfile('a')}").findtext(
        "realname") == "sbin/record"


def locks(path):
    """Whether another process's non-blocking exclusive locks succeed: (flock, fcntl)."""
    by_flock = subprocess.run(["flock", "-n", str(path), "true"], check=False).returncode == 0
    program = (
        "import fcntl, sys\n"
        "try: fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except OSError: sys.exit(1)\n"
    )
    by_fcntl = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    return by_flock, by_fcntl.returncode == 0


def test_c08_pidfile_is_locked_while_the_task_runs(host, apply, wait_until):
    gate = host.fifo()
    apply(f"{{ id: a, command: [cat, {gate}] }}")
    wait_until(lambda: host.status("a").startswith("RUN "))
    assert locks(host.pidfile("a")) == (False, False)
    host.release(gate)
    ends(host, wait_until, "a", OK)
    assert locks(host.pidfile("a")) == (True, True)


def test_c09_task_that_is_killed_is_err_crashed(host, apply, wait_until):
    apply(f"{{ id: a, queue: q, command: [cat, {host.fifo()}] }}")
    wait_until(lambda: host.status("q/a").startswith("RUN "))
    os.kill(int(host.status("q/a").split()[1]), signal.SIGKILL)
    assert ends(host, wait_until, "q/a", ERR) == "ERR crashed"
    assert state(host, "q/a") == ("err", "crashed")


@pytest.mark.parametrize(("code", "word", "status"), [(0, OK, "ok"), (1, "ERR exit code 1", "err")])
def test_c10_exit_code_decides_without_a_finish(host, apply, code, word, status):
    apply(f"{{ id: a, command: [sh, -c, 'exit {code}'] }}", "j.yml", "--wait", code=min(code, 1))
    assert host.status("a") == word
    assert state(host, "a")[0] == status
    assert [e.findtext("id") for e in xml(host, "longtask", f"state={status}")] == ["a"]


def test_c11_finish_ok_and_err_decide_the_status(host, apply, mgrctl):
    apply(f"""
        tasks:
          - {{ id: good, command: [sh, -c, '{mgrctl} longtask.finish elid=$MGR_LT_PID status=ok'] }}
          - {{ id: bad, command: [sh, -c,
               '{mgrctl} longtask.finish elid=$MGR_LT_PID status=err "errmsg=no disk: a & b"'] }}
        """, "job.yml", "--wait", code=1)
    assert host.status("good") == OK
    assert host.status("bad") == "ERR no disk: a & b"
    assert state(host, "bad") == ("err", "no disk: a & b")


def test_c12_status_is_case_blind_in_a_task(host, apply, mgrctl):
    apply(f"{{ id: a, command: [sh, -c, '{mgrctl} longtask.finish elid=$MGR_LT_PID status=ERR'] }}",
          "job.yml", "--wait", code=1)
    assert host.status("a") == "ERR"
    assert state(host, "a") == ("err", "")


def test_c13_finish_ok_then_work_then_exit_0_is_ok(host, apply, mgrctl):
    apply(f"""
        id: a
        script: |
          {mgrctl} longtask.finish elid=$MGR_LT_PID status=ok
          sort /dev/null
        """, "job.yml", "--wait")
    assert host.status("a") == OK


def test_c13_finish_err_then_abort_keeps_its_text(host, apply, mgrctl):
    apply(f"""
        id: a
        script: |
          {mgrctl} longtask.finish elid=$MGR_LT_PID status=ERR 'errmsg=its own words'
          kill -ABRT $$
        """, "job.yml", "--wait", code=128 + signal.SIGABRT)
    assert host.status("a") == "ERR its own words"


def test_c14_finish_does_not_end_the_process(host, apply, mgrctl, wait_until):
    gate = host.fifo()
    apply(f"""
        id: a
        queue: q
        script: |
          {mgrctl} longtask.finish elid=$MGR_LT_PID status=ok
          echo $$ >{host.root}/pid
          cat {gate}
        """)
    ends(host, wait_until, "q/a", OK)
    pid = int(wait_until(lambda: (host.root / "pid").exists()
                         and (host.root / "pid").read_text().strip()))
    assert Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    assert locks(host.pidfile("q/a")) == (False, False)
    host.release(gate)
    wait_until(lambda: locks(host.pidfile("q/a")) == (True, True))
    assert host.status("q/a") == OK


def test_c15_failed_task_is_not_restarted(host, apply):
    apply(f"{{ id: a, command: [sh, -c, 'echo x >>{host.root}/runs; exit 1'] }}",
          "job.yml", "--wait", code=1)
    apply("{ id: other, command: /bin/true }", "other.yml", "--wait")
    assert (host.root / "runs").read_text() == "x\n"
    assert host.status("a") == "ERR exit code 1"


def test_c16_one_task_of_a_queue_at_a_time_in_order(host, apply, wait_until):
    gate = host.fifo()
    apply(f"""
        tasks:
          - {{ id: first, queue: q, command: [sh, -c, 'cat {gate}; echo 1 >>{host.root}/order'] }}
          - {{ id: second, queue: q, command: [sh, -c, 'echo 2 >>{host.root}/order'] }}
          - {{ id: third, queue: q, command: [sh, -c, 'echo 3 >>{host.root}/order'] }}
          - {{ id: elsewhere, queue: r, command: /bin/true }}
          - {{ id: common, command: /bin/true }}
        """)
    ends(host, wait_until, "r/elsewhere", OK)
    ends(host, wait_until, "common", OK)
    wait_until(lambda: host.status("q/first").startswith("RUN "))
    assert [host.status(f"q/{name}") for name in ("second", "third")] == ["QUE", "QUE"]
    assert [e.findtext("number") for e in xml(host, "longtask", "queue=q")] == ["", "1", "2"]
    host.release(gate)
    ends(host, wait_until, "q/third", OK)
    assert (host.root / "order").read_text() == "1\n2\n3\n"


def test_c17_failed_task_does_not_block_its_queue(host, apply):
    apply("""
        defaults: { queue: q }
        tasks:
          - { id: bad, command: /bin/false }
          - { id: unstartable, command: /no/such/program }
          - { id: good, command: /bin/true }
        """, "job.yml", "--wait", code=1)
    assert host.status("q/bad") == "ERR exit code 1"
    assert host.status("q/unstartable").startswith("ERR cannot start: ")
    assert host.status("q/good") == OK


def test_c18_adding_again_after_err_uses_the_same_pidfile_and_record(host, apply, wait_until):
    apply(f"{{ id: a, queue: q, command: [test, -e, {host.root}/there] }}", "j.yml", "--wait",
          code=1)
    (host.root / "there").touch()
    host.mgrctl("longtask.add", "realname=test", "id=a", "queue=q", "params=-e",
                f"params={host.root}/there", code=0)
    ends(host, wait_until, "q/a", OK)
    elements = xml(host, "longtask").findall("elem")
    assert [e.findtext("pidfile") for e in elements] == [str(host.pidfile("q/a"))]
    assert host.json("show", "q/a")["attempts"] == 2


def test_c19_delete_takes_a_waiting_task_away_unrun(host, apply, wait_until):
    gate = host.fifo()
    apply(f"""
        defaults: {{ queue: q }}
        tasks:
          - {{ id: first, command: [cat, {gate}] }}
          - {{ id: second, command: [touch, {host.root}/second] }}
          - {{ id: third, command: /bin/true }}
        """)
    host.mgrctl("longtask.delete", f"elid={host.pidfile('q/second')}", code=0)
    wait_until(lambda: not host.pidfile("q/second").exists())
    host.release(gate)
    ends(host, wait_until, "q/third", OK)
    assert not (host.root / "second").exists()
    assert [e.findtext("id") for e in xml(host, "longtask")] == ["first", "third"]


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_c19_delete_interrupts_a_running_task_with_sigterm(host, apply, wait_until):
    gate = host.fifo()
    apply(f"""
        id: a
        queue: q
        script: |
          trap 'echo term >{host.root}/signal; exit 0' TERM
          read x <>{gate} & wait $!
        """)
    wait_until(lambda: host.status("q/a").startswith("RUN "))
    pid = int(host.status("q/a").split()[1])
    wait_until(lambda: int(read_trapped(pid), 16) & 1 << signal.SIGTERM - 1)
    host.mgrctl("longtask.delete", f"elid={host.pidfile('q/a')}", code=0)
    wait_until(lambda: not host.pidfile("q/a").exists())
    assert (host.root / "signal").read_text() == "term\n"
    assert xml(host, "longtask").findall("elem") == []


def read_trapped(pid):
    """The signals that a process catches, as /proc shows them."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(line for line in text.splitlines() if line.startswith("SigCgt")).split()[1]


def test_c19_delete_kills_a_task_that_ignores_sigterm(host, apply, wait_until):
    gate = host.fifo()
    apply(f"""
        id: a
        queue: q
        kill: [TERM, 100ms, KILL]
        script: |
          trap '' TERM
          echo ready >{host.root}/ready
          read x <>{gate}
        """)
    wait_until(lambda: (host.root / "ready").exists())
    pid = int(host.status("q/a").split()[1])
    host.mgrctl("longtask.delete", f"elid={host.pidfile('q/a')}", code=0)
    wait_until(lambda: not host.pidfile("q/a").exists())
    assert gone(pid)


def test_c20_delete_of_two_does_both(host, apply, wait_until):
    gate = host.fifo()
    apply(f"""
        defaults: {{ queue: q }}
        tasks:
          - {{ id: first, command: [cat, {gate}] }}
          - {{ id: second, command: /bin/true }}
        """)
    wait_until(lambda: host.status("q/first").startswith("RUN "))
    pid = int(host.status("q/first").split()[1])
    paths = ", ".join(str(host.pidfile(f"q/{name}")) for name in ("first", "second"))
    host.mgrctl("longtask.delete", f"elid={paths}", code=0)
    wait_until(lambda: xml(host, "longtask").findall("elem") == [])
    assert gone(pid)
    assert not host.pidfile("q/first").exists()
    assert not host.pidfile("q/second").exists()


def test_c20_delete_with_an_unknown_one_does_nothing(host, apply, wait_until):
    gate = host.fifo()
    apply(f"{{ id: a, queue: q, command: [cat, {gate}] }}")
    wait_until(lambda: host.status("q/a").startswith("RUN "))
    done = host.mgrctl("longtask.delete", f"elid={host.pidfile('q/a')}, /none", code=1)
    assert done.stdout == "ERROR missed(elid)\n"
    assert host.status("q/a").startswith("RUN ")
    host.release(gate)


def test_c20_delete_of_an_ended_task_forgets_it(host, apply, wait_until):
    apply("{ id: a, command: /bin/false }", "job.yml", "--wait", code=1)
    host.mgrctl("longtask.delete", f"elid={host.pidfile('a')}", code=0)
    assert not host.pidfile("a").exists()
    assert xml(host, "longtask").findall("elem") == []


def test_c21_task_is_not_run_if_one_that_it_needs_failed_or_was_skipped(host, apply):
    apply(f"""
        defaults: {{ queue: q }}
        tasks:
          - {{ id: bad, command: /bin/false }}
          - {{ id: second, command: [touch, {host.root}/second], needs: [bad] }}
          - {{ id: third, command: [touch, {host.root}/third], needs: [second] }}
          - {{ id: free, command: /bin/true }}
        """, "job.yml", "--wait", code=1)
    assert host.status("q/second") == "ERR skipped: needs q/bad"
    assert host.status("q/third") == "ERR skipped: needs q/second"
    assert host.status("q/free") == OK
    assert not (host.root / "second").exists()


def test_c26_list_edit_add_repeats_a_one_parameter_task_exactly(host, apply, wait_until):
    nasty = "it's \"two  words\" a=b&id=c %20 + \\ $HOME ☃"
    (host.root / "out").mkdir()
    program = host.root / "program"
    program.write_text(f'#!/bin/sh\nprintf "%s" "$1" >>{host.root}/out/$# || exit 1\nexit 3\n')
    program.chmod(0o755)
    apply(f"{{ id: a, queue: q, command: [{program}], parameters: [{json.dumps(nasty)}] }}",
          "job.yml", "--wait", code=3)
    element = xml(host, "longtask", "filter=yes", "state=err", "queue=q").find("elem")
    form = xml(host, "longtask.edit", f"elid={element.findtext('pidfile')}")
    host.mgrctl(
        "longtask.add",
        *(f"{name}={form.findtext(name)}" for name in ("realname", "id", "queue", "params")),
        code=0,
    )
    wait_until(lambda: (host.root / "out" / "1").read_text() == nasty * 2)
    assert os.listdir(host.root / "out") == ["1"]


def test_c26_add_of_a_new_task_runs_it(host, wait_until):
    out = host.root / "out"
    host.mgrctl("longtask.add", "realname=/bin/cp", "id=a", "queue=q", "params=/etc/hostname",
                f"params={out}", code=0)
    ends(host, wait_until, "q/a", OK)
    assert out.read_text() == Path("/etc/hostname").read_text()


def test_c26_add_keeps_what_a_declared_task_has_besides(host, apply, wait_until):
    apply(f"""
        id: a
        env: {{ WORD: kept }}
        command: [sh, -c, 'echo $WORD >>{host.root}/out; exit 1']
        """, "job.yml", "--wait", code=1)
    form = xml(host, "longtask.edit", f"elid={host.pidfile('a')}")
    parameters = [f"params={node.text}" for node in form.findall("params")]
    host.mgrctl("longtask.add", f"realname={form.findtext('realname')}", "id=a", *parameters,
                code=0)
    wait_until(lambda: (host.root / "out").read_text() == "kept\nkept\n")


def test_c26_add_of_a_running_task_is_refused(host, apply, wait_until):
    gate = host.fifo()
    apply(f"{{ id: a, command: [cat, {gate}] }}")
    wait_until(lambda: host.status("a").startswith("RUN "))
    done = host.mgrctl("longtask.add", "realname=cat", "id=a", f"params={gate}", code=1)
    assert done.stdout == "ERROR exists(id)\n"
    host.release(gate)


@pytest.mark.parametrize(("line", "answer"), [
    (["id=a"], "missed(realname)"), (["realname=true"], "missed(id)"),
    (["realname=true", "id=a/b"], "value(id)"),
    (["realname=true", "id=a", "queue=.."], "value(queue)"),
])
def test_c26_wrong_add_is_an_error_and_adds_nothing(host, line, answer):
    assert host.mgrctl("longtask.add", *line, code=1).stdout == f"ERROR {answer}\n"
    assert not host.pidfile("a").exists()


def test_c49_reader_never_sees_an_empty_or_torn_first_line(host, apply, mgrctl, wait_until):
    apply("{ id: a, queue: q, command: /bin/true }", "first.yml", "--wait")
    path, over, bad, seen = host.pidfile("q/a"), threading.Event(), [], set()

    def read():
        while not over.is_set():
            line = path.read_text().split("\n", 1)[0].rstrip()
            seen.add(line.split(" ")[0])
            word, _, rest = line.partition(" ")
            if word not in ("QUE", "RUN", "OK", "ERR") or (word == "RUN" and not rest.isdigit()
                                                           and rest):
                bad.append(line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(15):
            command = (f"{mgrctl} longtask.finish elid=$MGR_LT_PID status=err errmsg=m{number}; "
                       f"{mgrctl} longtask.finish elid=$MGR_LT_PID status=ok")
            apply(f"{{ id: a, queue: q, command: [sh, -c, '{command}'] }}", f"j{number}.yml",
                  "--wait", code=1)
    finally:
        over.set()
        reader.join()
    assert bad == []
    assert {"RUN", "ERR"} <= seen


def test_lock_of_a_finished_but_running_task_is_held_on_the_new_file(host, apply, mgrctl,
                                                                     wait_until):
    gate = host.fifo()
    apply(f"""
        id: a
        script: |
          {mgrctl} longtask.finish elid=$MGR_LT_PID status=err errmsg=x
          cat {gate}
        """)
    ends(host, wait_until, "a", ERR)
    with open(host.pidfile("a")) as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    host.release(gate)


def test_finish_of_a_newer_mgrctl_goes_through_the_older_supervisor(host, apply, wait_until):
    gate = host.fifo()
    apply(f"{{ id: a, command: [cat, {gate}] }}")
    wait_until(lambda: host.status("a").startswith("RUN "))
    pid = int(host.status("a").split()[1])
    environment = dict(pair.split("=", 1) for pair in Path(
        f"/proc/{pid}/environ").read_bytes().decode().split("\0") if pair)
    database = sqlite3.connect(host.state_dir / "catalogue.db")
    database.execute("PRAGMA user_version=0")
    database.close()
    host.mgrctl("longtask.finish", f"elid={host.pidfile('a')}", "status=err", "errmsg=x", code=0,
                env={name: environment[name] for name in ("LTSPEC_TOKEN", "MGR_LT_PID")})
    ends(host, wait_until, "a", "ERR x")
    host.release(gate)


def test_c49_sixty_tasks_that_finish_at_once(host, apply, mgrctl):
    apply(f"""
        id: "t{{{{ item }}}}"
        loop: "{{{{ range(60) | list }}}}"
        script: |
          {mgrctl} longtask.finish elid=$MGR_LT_PID status=err errmsg="message {{{{ item }}}}"
        """, "job.yml", "--wait", code=1)
    for number in range(60):
        assert host.pidfile(f"t{number}").read_text() == f"ERR message {number}\n"
