"""The bad input that people give: a message with the place and the way out, nothing half done."""

import os

import pytest


def refused(host, text, *options, code=1):
    host.write("jobs/x.yml", text)
    done = host.ltspec("apply", "jobs/x.yml", *options, code=code)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not host.state_dir.exists() or host.json("list")["tasks"] == []
    return done.stderr


def test_no_such_file(host):
    done = host.ltspec("apply", "jobs/none.yml", code=1)
    assert "jobs/none.yml" in done.stderr
    assert not host.state_dir.exists()


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("id: [a\ncommand: x\n", "jobs/x.yml:", "error"),
        ("id: a\ncommand: x\ncomand: y\n", "jobs/x.yml:3:1", "did you mean"),
        ("id: a\ncommand: x\ntimeout: [1]\n", "jobs/x.yml:3:10", "timeout"),
        ("id: a\ncommand: 'x {{ acount }}'\nvars: {account: b}\n", "jobs/x.yml:2:", "account"),
        ("id: same\nloop: [1, 2]\ncommand: x\n", "jobs/x.yml:", "same"),
        ("id: a/b\ncommand: x\n", "jobs/x.yml:1:5", "a/b"),
        ("id: ..\ncommand: x\n", "jobs/x.yml:1:5", ".."),
        ("id: a b\ncommand: x\n", "jobs/x.yml:1:5", "a b"),
        ('id: "a\\nb"\ncommand: x\n', "jobs/x.yml:1:5", "a\\nb"),
        ("tasks:\n- {id: a, command: x, needs: [b]}\n- {id: b, command: x, needs: [a]}\n",
         "jobs/x.yml:", "circle"),
    ],
    ids=["not-yaml", "unknown-key", "wrong-type", "undefined-variable", "same-id-in-loop",
         "slash", "dots", "blank", "newline", "circle"],
)
def test_wrong_spec_is_refused_with_its_place(host, text, place, words):
    message = refused(host, text)
    assert place in message
    assert words in message


def test_needs_of_an_unknown_task_is_refused_with_the_way_out(host):
    message = refused(host, "id: a\ncommand: /bin/true\nneeds: [nobody]\n")
    assert "nobody" in message
    assert "apply the file that declares it" in message


def test_circle_through_the_catalogue_is_refused(host):
    host.write("jobs/a.yml", "id: a\ncommand: sleep 600\nstart_after: 1h\n")
    host.write("jobs/b.yml", "id: b\ncommand: /bin/true\nneeds: [a]\n")
    host.ltspec("apply", "jobs/", code=0)
    host.write("jobs/a.yml", "id: a\ncommand: sleep 600\nstart_after: 1h\nneeds: [b]\n")
    done = host.ltspec("apply", "jobs/a.yml", code=1)
    assert "circle" in done.stderr
    assert host.json("show", "a")["needs"] == []


@pytest.mark.parametrize("kind", ["missing", "not-executable"])
def test_program_that_cannot_start_ends_err_and_the_queue_goes_on(host, kind):
    program = host.write("tool", "#!/bin/sh\n") if kind == "not-executable" else host.root / "no"
    host.write("jobs/x.yml", f"tasks:\n  - {{id: a, queue: q, command: ['{program}']}}\n"
                             "  - {id: b, queue: q, command: /bin/true}\n")
    done = host.ltspec("apply", "jobs/x.yml", code=0)
    assert "warning" in done.stderr
    host.ltspec("wait", "q/a", code=125)
    host.ltspec("wait", "q/b", code=0)
    assert host.status("q/a").startswith("ERR cannot start: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another owner")
def test_directories_of_somebody_else_are_refused(host):
    host.write("jobs/x.yml", "id: a\ncommand: /bin/true\n")
    host.run_dir.mkdir()
    os.chown(host.run_dir, 12345, 12345)
    done = host.ltspec("apply", "jobs/x.yml", code=5)
    assert "belongs to user 12345" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_directory_that_cannot_be_made_is_told(host):
    host.write("jobs/x.yml", "id: a\ncommand: /bin/true\n")
    host.env["LTSPEC_RUN_DIR"] = "/proc/no-place/run"
    done = host.ltspec("apply", "jobs/x.yml", code=5)
    assert "/proc/no-place" in done.stderr
    assert "Traceback" not in done.stderr


def test_state_directory_that_is_a_file_is_told(host):
    host.write("jobs/x.yml", "id: a\ncommand: /bin/true\n")
    host.write("state", "")
    done = host.ltspec("apply", "jobs/x.yml", code=5)
    assert "state is not a directory\n  move it away" in done.stderr


def test_config_that_is_wrong_or_missing_is_told(host):
    host.write("jobs/x.yml", "id: a\ncommand: /bin/true\n")
    done = host.ltspec("--config", "none.yml", "apply", "jobs/x.yml", code=1)
    assert "there is no configuration none.yml" in done.stderr
    host.config("queus: {}\n")
    done = host.ltspec("apply", "jobs/x.yml", code=1)
    assert "did you mean `queues`" in done.stderr
    assert "ltspec.yml:1:1" in done.stderr


def test_common_task_with_a_queues_name_is_refused(host):
    host.ltspec("run", "-q", "q", "--id", "x", "--wait", "--", "true", code=0)
    done = host.ltspec("run", "--id", "q", "--", "true", code=1)
    assert "has the name of a queue" in done.stderr
    assert "rename one of them" in done.stderr


def test_another_run_directory_than_the_catalogues_is_refused(host):
    host.ltspec("run", "-q", "q", "--id", "t", "--", "sleep", "60", code=0)
    other = {"LTSPEC_RUN_DIR": str(host.root / "elsewhere")}
    for words in (["run", "--", "true"], ["list"], ["show", "t"], ["stop", "t"]):
        done = host.ltspec(*words, env=other, code=5)
        assert f"has the run directory {host.run_dir}, not {host.root}/elsewhere" in done.stderr
    assert not (host.root / "elsewhere").exists()
