"""`ltspec list`: what is shown, in which order, what is counted, and for whom."""

import json

from ltspec.states import End, Outcome, Status


def first_words(text):
    return [line.split()[:2] for line in text.splitlines()[1:-1]]


def test_list_without_catalogue_says_whose_it_is(host):
    done = host.ltspec("list", code=0)
    assert f"in {host.state_dir} is empty" in done.stdout
    assert "user " in done.stdout
    assert not host.state_dir.exists()


def test_list_shows_running_then_waiting_in_turn_then_ended(host, catalogue, spec):
    catalogue.failed(spec("q/old"), ago=50)
    catalogue.succeeded(spec("q/new"), ago=20)
    first, *_ = catalogue.add(spec("q/a"), spec("q/b"), spec("q/urgent", priority=5))
    catalogue.start(first)
    done = host.ltspec("list", code=0)
    assert first_words(done.stdout) == [
        ["RUN", "q/a"], ["QUE", "q/urgent"], ["QUE", "q/b"], ["OK", "q/new"], ["ERR", "q/old"],
    ]
    assert "number 1 in its queue" in done.stdout.splitlines()[2]
    assert "exit code 3" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 running, 2 waiting, 2 ended (1 failed)"


def test_list_leaves_out_and_counts_what_ended_over_a_day_ago(host, catalogue, spec):
    catalogue.succeeded(spec("q/old"), ago=90000)
    catalogue.succeeded(spec("q/new"), ago=10)
    done = host.ltspec("list", code=0)
    assert first_words(done.stdout) == [["OK", "q/new"]]
    last = done.stdout.splitlines()[-1]
    assert last == "0 running, 0 waiting, 2 ended; 1 not shown, --all shows them"
    assert len(first_words(host.ltspec("list", "--all", code=0).stdout)) == 2


def test_list_shows_at_most_fifty_waiting_and_ended_fairly(host, catalogue, spec):
    for number in range(40):
        catalogue.succeeded(spec(f"q/e{number}"))
    catalogue.add(*(spec(f"q/w{number}") for number in range(60)))
    shown = first_words(host.ltspec("list", code=0).stdout)
    assert [word for word, _ in shown].count("QUE") == 25
    assert [word for word, _ in shown].count("OK") == 25


def test_list_says_when_work_waits_and_nobody_works(host, catalogue, spec):
    catalogue.add(spec("q/a"))
    done = host.ltspec("list", code=0)
    assert "no supervisor runs; `ltspec wake` starts it" in done.stderr
    assert not (host.state_dir / "supervisor.sock").exists()


def test_list_filters_by_queue_status_tag_and_time(host, catalogue, spec):
    catalogue.succeeded(spec("a/one", tags=("night", "big")), ago=5000)
    catalogue.failed(spec("b/two", tags=("night",)), ago=100)
    catalogue.add(spec("b/three"), spec("common"))

    def shown(*options):
        found = host.json("list", *options, code=0)["tasks"]
        return sorted(task["reference"] for task in found)

    assert shown("-q", "b") == ["b/three", "b/two"]
    assert shown("-q", "") == ["common"]
    assert shown("--failed") == ["b/two"]
    assert shown("--status", "ok,que") == ["a/one", "b/three", "common"]
    assert shown("--tag", "night") == ["a/one", "b/two"]
    assert shown("--since", "10m", "--status", "ok,err") == ["b/two"]


def test_list_sort_duration_takes_the_longest_first(host, catalogue, spec):
    catalogue.succeeded(spec("q/short"), took=1)
    catalogue.succeeded(spec("q/long"), took=500)
    found = host.json("list", "--sort", "duration", "-n", "1", code=0)
    assert [task["id"] for task in found["tasks"]] == ["long"]
    assert found["hidden"] == 1


def test_list_json_has_the_documented_keys(host, catalogue, spec):
    catalogue.failed(spec("q/a", source="/x/jobs/a.yml"), code=7, took=10)
    (task,) = host.json("list", code=0)["tasks"]
    assert task["status"] == "ERR"
    assert task["outcome"] == "exit"
    assert task["exit_code"] == 7
    assert task["seconds"] == 10.0
    assert task["pidfile"] == str(host.run_dir / "ltspec/q/a")
    assert task["log"] == str(host.state_dir / "logs/ltspec/q/a=1.log")
    assert task["ended"].endswith("Z")
    assert task["queue"] == "q"
    assert task["waits_for"] == []


def test_list_json_without_catalogue_is_a_document_too(host):
    assert host.json("list", code=0)["tasks"] == []


def test_list_never_sends_control_characters(host, catalogue, spec):
    catalogue.ran(
        spec("q/a", name="\x1b[2Jname"),
        End(Status.ERR, Outcome.REPORTED, "bad \x1b]0;title\x07 \n line\x9b", 1),
    )
    for command in (["list"], ["show", "q/a"], ["why", "q/a"]):
        text = host.ltspec(*command, code=0).stdout
        assert not any(char in text for char in "\x1b\x07\x9b")
        assert "\\x1b" in text


def test_list_shows_the_progress_of_a_running_task(host, catalogue, spec):
    (key,) = catalogue.add(spec("q/a"))
    catalogue.start(key)
    log = host.state_dir / "logs/ltspec/q/a=1.log.progress"
    log.parent.mkdir(parents=True)
    log.write_text("10% begin\n40% copying \x1b[31mred\nnonsense\n")
    assert "40% copying \\x1b[31mred" in host.ltspec("list", code=0).stdout
    (task,) = host.json("list", code=0)["tasks"]
    assert task["progress"] == {"percent": 40, "text": "copying \x1b[31mred"}


def test_list_with_wrong_status_is_a_usage_error(host):
    done = host.ltspec("list", "--status", "done", code=2)
    assert "'done' is no status" in done.stderr


def test_list_names_a_misspelt_option(host):
    done = host.ltspec("list", "--faild", code=2)
    assert "did you mean --failed?" in done.stderr


def test_list_of_someone_elses_state_directory_is_refused(host, catalogue):
    host.state_dir.chmod(0o777)
    done = host.ltspec("list", code=5)
    assert "writable by others" in done.stderr


def test_list_of_a_closed_pipe_ends_quietly(host, catalogue, spec):
    catalogue.add(*(spec(f"q/w{number}") for number in range(3000)))
    done = host.run(
        ["/bin/bash", "-c", "python -m ltspec list --all | head -n 1"], code=0
    )
    assert done.stdout.startswith("STATUS")
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_list_on_a_full_device_says_so(host, catalogue, spec):
    catalogue.succeeded(spec("q/a"))
    done = host.run(["/bin/bash", "-c", "python -m ltspec list > /dev/full"], code=5)
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_reports_shows_state_and_answer(host, catalogue, spec):
    catalogue.failed(spec("q/a", mgrctl="/usr/bin/true"))
    done = host.ltspec("list", "--reports", code=0)
    assert first_words(done.stdout) == [["pending", "q/a"]]
    (report,) = host.json("list", "--reports", code=0)["reports"]
    assert report["errmsg"] == "exit code 3"
    assert json.dumps(report)
