"""`ltspec run`: one command as a task, with the caller's directory and PATH."""

import signal

import pytest


def test_run_prints_the_task_and_it_ends_ok(host):
    name = host.ltspec("run", "--", "true", code=0).stdout.strip()
    host.ltspec("wait", name, code=0)
    assert host.json("show", name)["command"] == ["true"]


def test_run_wait_streams_output_and_gives_the_code(host):
    done = host.ltspec("run", "--wait", "--", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert done.stdout == "out\nerr\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--timeout", "200ms", "--", "sleep", "600"], 124),
        (["--", "sh", "-c", "kill -TERM $$"], 143),
        (["--", "/no/such/program"], 125),
        (["--", "true"], 0),
    ],
)
def test_run_wait_gives_the_code_of_the_end(host, words, code):
    host.ltspec("run", "--wait", *words, code=code)


def test_run_uses_the_callers_directory_and_path_and_a_clean_environment(host):
    place = host.root / "some where"
    place.mkdir()
    tool = place / "my-tool"
    tool.write_text("#!/bin/sh\npwd\necho \"$FOO,$EXTRA\"\n")
    tool.chmod(0o755)
    done = host.ltspec(
        "run", "--wait", "--env", "EXTRA=a b=c", "--", "my-tool", cwd=place, code=0,
        env={"PATH": f"{place}:{host.env['PATH']}", "FOO": "leaked"},
    )
    assert done.stdout == f"{place}\n,a b=c\n"


def test_run_in_a_queue_keeps_order_and_words_stay_words(host):
    gate = host.fifo()
    host.ltspec("run", "-q", "q", "--id", "first", "--", "cat", gate, code=0)
    host.ltspec("run", "-q", "q", "--id", "second", "--name", "The second",
                "--", "printf", "[%s]", "a b", "--", "-x", "", code=0)
    assert host.status("q/second") == "QUE"
    assert host.json("show", "second")["name"] == "The second"
    host.release(gate)
    host.ltspec("wait", "second", code=0)
    assert host.ltspec("logs", "second").stdout == "[a b][--][-x][]"


def test_run_without_dashes_takes_the_first_word_as_the_command(host):
    done = host.ltspec("run", "--wait", "printf", "%s.", "-q", "--", "x", code=0)
    assert done.stdout == "-q.--.x."


def test_run_with_needs_waits_and_is_skipped_after_a_failure(host):
    host.ltspec("run", "--id", "bad", "--", "false", code=0)
    host.ltspec("run", "--id", "after", "--needs", "bad", "--wait", "--", "true", code=125)
    host.ltspec("run", "--id", "anyway", "--needs", "bad=any", "--wait", "--", "true", code=0)
    done = host.ltspec("run", "--needs", "nobody", "--", "true", code=1)
    assert "needs nobody, which is neither" in done.stderr


def test_run_of_a_running_id_is_refused_and_of_an_ended_one_runs_again(host, wait_until):
    host.ltspec("run", "--id", "one", "--", "sleep", "600", code=0)
    wait_until(lambda: host.status("one").startswith("RUN"))
    done = host.ltspec("run", "--id", "one", "--", "true", code=1)
    assert "it runs with another definition" in done.stderr
    host.ltspec("stop", "one", code=0)
    host.ltspec("run", "--id", "one", "--wait", "--", "true", code=0)
    assert host.json("show", "one")["attempts"] == 2


def test_run_interrupted_leaves_the_task_running(host):
    with host.start("run", "--id", "one", "--wait", "--", "sh", "-c", "echo up; sleep 600") as run:
        assert run.stdout.readline() == "up\n"
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "`ltspec stop one` ends it" in err
    assert host.status("one").startswith("RUN")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "no command"),
        (["--"], "no command"),
        (["--id", "a/b", "--", "true"], "'a/b' is no id"),
        (["-q", "..", "--", "true"], "'..' is no queue"),
        (["--env", "X", "--", "true"], "--env 'X' is not K=V"),
        (["--needs", "a=maybe", "--", "true"], "neither TASK nor TASK=any"),
        (["--timeout", "soon", "--", "true"], "'soon' is no duration"),
        (["--wait", "--json", "--", "true"], "--wait shows the output as it is"),
    ],
)
def test_run_with_wrong_words_is_a_usage_error_and_starts_nothing(host, words, text):
    assert text in host.ltspec("run", *words, code=2).stderr
    assert not host.state_dir.exists()


def test_run_json_is_the_record_of_the_task(host):
    record = host.ltspec("run", "--json", "--id", "one", "--", "true", code=0)
    assert '"reference": "one"' in record.stdout


def test_run_takes_the_manager_of_the_config(host):
    host.config("manager: billmgr\nmgrctl: off\n")
    host.ltspec("run", "--id", "one", "--wait", "--", "true", code=0)
    assert host.status("one", manager="billmgr") == "OK"
