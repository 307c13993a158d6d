"""`watch`: files dropped in; `prune`: history that may go; `init`, `completion`, `man`."""

import json
import os
import signal
import subprocess
import sys

import pytest


class Watching:
    """A running `ltspec watch jobs/`."""

    def __init__(self, host, wait_until, process):
        self.host = host
        self.wait_until = wait_until
        self.process = process

    def until_status(self, reference, status):
        self.wait_until(lambda: self.host.status(reference) == status, what=reference)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 130
        assert "Traceback" not in err
        return out, err


@pytest.fixture
def watching(host, wait_until):
    with host.start("watch", "jobs/") as process:
        assert "watching jobs/" in process.stdout.readline()
        yield Watching(host, wait_until, process)


def job(name, command="/bin/true"):
    return f"id: {name}\nqueue: q\ncommand: {command}\n"


def test_watch_applies_what_is_there_and_what_is_dropped(host, wait_until):
    host.write("jobs/first.yml", job("first"))
    with host.start("watch", "jobs/") as process:
        wait_until(lambda: host.status("q/first") == "OK")
        moved = host.write("new.yml", job("moved"))
        moved.rename(host.jobs / "moved.yml")
        host.write("jobs/written.yml", job("written"))
        wait_until(lambda: host.status("q/moved") == "OK")
        wait_until(lambda: host.status("q/written") == "OK")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert "created    q/moved" in out


def test_watch_waits_for_a_file_that_is_still_written(host, watching):
    with open(host.jobs / "slow.yml", "w") as file:
        file.write("id: slow\nqueue: q\n")
        file.flush()
        host.write("jobs/other.yml", job("other"))
        watching.until_status("q/other", "OK")
        file.write("command: /bin/true\n")
    watching.until_status("q/slow", "OK")
    _, err = watching.end()
    assert err.count("slow.yml") == 0      # it was never looked at half


def test_watch_reports_a_broken_file_once_and_takes_it_when_it_is_mended(host, watching):
    host.write("jobs/bad.yml", "id: bad\ncomand: x\n")
    host.write("jobs/good.yml", job("good"))
    watching.until_status("q/good", "OK")
    host.write("jobs/next.yml", job("next"))
    watching.until_status("q/next", "OK")
    host.write("jobs/bad.yml", job("bad"))
    watching.until_status("q/bad", "OK")
    out, err = watching.end()
    assert out.count("kept out until it changes") == 1
    assert err.count("did you mean `command`") == 1


def test_watch_runs_an_ended_task_again_only_for_a_changed_definition(host, watching):
    path = host.write("jobs/one.yml", job("one"))
    watching.until_status("q/one", "OK")
    path.write_text(job("one") + "# a comment\n")
    host.write("jobs/two.yml", job("two"))
    watching.until_status("q/two", "OK")
    assert host.json("show", "q/one")["attempts"] == 1
    path.write_text(job("one", "/bin/echo changed"))
    watching.wait_until(lambda: host.json("show", "q/one")["attempts"] == 2)


def test_watch_ignores_editors_files_and_the_config(host, watching):
    for name in (".one.yml.swp", ".hidden.yml", "one.yml~", "#one.yml#", "4913", "ltspec.yml"):
        host.write(f"jobs/{name}", "nonsense: [")
    host.write("jobs/good.yml", job("good"))
    watching.until_status("q/good", "OK")
    out, err = watching.end()
    assert "kept out" not in out
    assert err == "" or "nonsense" not in err


def test_watch_takes_a_file_whose_need_comes_later(host, watching):
    host.write("jobs/b.yml", job("b") + "needs: [a]\n")
    watching.wait_until(lambda: True)
    host.write("jobs/a.yml", job("a"))
    watching.until_status("q/b", "OK")


def test_watch_survives_the_directory_being_replaced(host, watching):
    host.jobs.rename(host.root / "old")
    host.jobs.mkdir()
    host.write("jobs/new.yml", job("new"))
    watching.until_status("q/new", "OK")


def test_watch_survives_a_file_rewritten_all_the_time(host, watching):
    script = (
        "import sys, time\n"
        "while True:\n"
        "    with open(sys.argv[1], 'w') as f: f.write('id: busy\\n')\n"
        "    time.sleep(0.01)\n"
    )
    busy = subprocess.Popen([sys.executable, "-c", script, str(host.jobs / "busy.yml")])
    try:
        host.write("jobs/other.yml", job("other"))
        watching.until_status("q/other", "OK")
    finally:
        busy.kill()
        busy.wait()
    host.write("jobs/busy.yml", job("busy"))
    watching.until_status("q/busy", "OK")


def test_watch_takes_a_thousand_files_at_once_with_a_broken_one(host, watching):
    staged = host.root / "staged"
    staged.mkdir()
    for number in range(1000):
        text = f"id: t{number}\nqueue: q\nwhen: 'false'\ncommand: x\n"
        (staged / f"{number}.yml").write_text(text)
    (staged / "500.yml").write_text("id: t500\nqueue: q\ncomand: x\n")
    (staged / "last.yml").write_text(job("last"))
    for path in staged.iterdir():
        path.rename(host.jobs / path.name)
    watching.until_status("q/last", "OK")
    watching.wait_until(lambda: True)


@pytest.mark.parametrize("remove", [False, True])
def test_watch_leaves_or_takes_away_tasks_of_a_removed_file(host, wait_until, remove):
    host.ltspec("run", "-q", "q", "--id", "long", "--", "sleep", "600", code=0)
    path = host.write("jobs/one.yml", job("one"))
    with host.start("watch", "jobs/", *(["--remove-missing"] if remove else [])) as process:
        wait_until(lambda: host.status("q/one") == "QUE")
        path.unlink()
        line = ""
        while "gone" not in line:
            line = process.stdout.readline()
    assert ("taken away: q/one" in line) == remove
    assert (host.status("q/one") == "QUE") != remove


def test_watch_once_applies_and_leaves(host):
    host.write("jobs/one.yml", job("one"))
    host.ltspec("watch", "--once", "jobs/", code=0)
    host.write("jobs/bad.yml", "id: [")
    host.ltspec("watch", "--once", "jobs/", code=1)


def test_watch_of_no_directory_says_so(host):
    assert "there is no directory" in host.ltspec("watch", "none/", code=1).stderr


# ---------------------------------------------------------------- prune


def old_history(host, catalogue, spec):
    """A task of a file with two old attempts, an ad hoc one, and a fresh ad hoc one."""
    source = host.write("jobs/kept.yml", job("kept"))
    key = catalogue.succeeded(spec("q/kept", source=str(source)), ago=90 * 86400)
    catalogue.succeeded(spec("q/adhoc"), ago=90 * 86400)
    catalogue.succeeded(spec("q/fresh"), ago=60)
    for name in ("kept", "adhoc", "fresh"):
        log = host.state_dir / f"logs/ltspec/q/{name}=1.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("x" * 1000)
    return key


def test_prune_forgets_old_history_but_no_task_of_a_file(host, catalogue, spec):
    old_history(host, catalogue, spec)
    dry = host.json("prune", "--older-than", "30d", "--dry-run", code=0)
    assert dry["tasks"] == ["q/adhoc"]
    assert dry["bytes"] == 2000
    host.ltspec("prune", "--older-than", "30d", code=0)
    left = {task["reference"] for task in host.json("list", "--all")["tasks"]}
    assert left == {"q/kept", "q/fresh"}
    logs = sorted(path.name for path in (host.state_dir / "logs/ltspec/q").iterdir())
    assert logs == ["fresh=1.log"]


def test_prune_by_size_takes_the_oldest_logs(host, catalogue, spec):
    old_history(host, catalogue, spec)
    host.ltspec("prune", "--max-size", "1500", code=0)
    logs = sorted(path.name for path in (host.state_dir / "logs/ltspec/q").iterdir())
    assert logs == ["fresh=1.log"]
    assert len(host.json("list", "--all")["tasks"]) == 3


def test_prune_without_a_limit_is_a_usage_error_and_with_the_configs_is_not(host, catalogue, spec):
    old_history(host, catalogue, spec)
    assert "no limit" in host.ltspec("prune", code=2).stderr
    host.config("retention: {age: 30d}\n")
    assert host.json("prune", code=0)["tasks"] == ["q/adhoc"]


# ---------------------------------------------------------------- init, completion, man


def test_init_writes_a_start_that_validates_and_runs_and_keeps_what_is_there(host):
    place = host.root / "project"
    place.mkdir()
    (place / "ltspec.yml").write_text("manager: mine\n")
    done = host.ltspec("init", cwd=place, code=0)
    assert "kept     ltspec.yml" in done.stdout
    assert (place / "ltspec.yml").read_text() == "manager: mine\n"
    (place / "ltspec.yml").unlink()
    host.ltspec("init", cwd=place, code=0)
    host.ltspec("validate", "--strict", cwd=place, code=0)
    host.ltspec("apply", "jobs/", "--wait", cwd=place, code=0)
    assert list((place / "archives").glob("*.tar.gz"))
    json.loads((place / ".vscode/settings.json").read_text())


def complete(host, *words):
    """What bash offers after these words."""
    script = host.ltspec("completion", "bash", code=0).stdout
    line = " ".join(f"'{word}'" for word in words)
    program = (
        f"{script}\nltspec() {{ {sys.executable} -m ltspec \"$@\"; }}\n"
        f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
        "_shtab_ltspec; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    return set(host.run(["/bin/bash", "-c", program]).stdout.split())


def test_bash_completes_commands_options_tasks_and_queues(host, catalogue, spec):
    catalogue.succeeded(spec("backups/u1001"))
    assert {"list", "logs"} <= complete(host, "ltspec", "l")
    assert "--failed" in complete(host, "ltspec", "list", "--f")
    assert complete(host, "ltspec", "show", "back") == {"backups/u1001"}
    assert complete(host, "ltspec", "list", "-q", "b") == {"backups"}
    assert complete(host, "ltspec", "queue", "pause", "b") == {"backups"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_of_other_shells_asks_for_names(host, shell):
    text = host.ltspec("completion", shell, code=0).stdout
    assert "ltspec completion --names task" in text
    assert "ltspec completion --names queue" in text


def test_completion_of_names_without_catalogue_is_silent(host):
    done = host.ltspec("completion", "--names", "task", code=0)
    assert done.stdout == done.stderr == ""


def test_man_pages_are_made_from_the_help(host):
    from ltspec.commands import table

    host.ltspec("man", "--output", "pages", code=0)
    pages = sorted(os.listdir(host.root / "pages"))
    assert pages == sorted(["ltspec.1", *(f"ltspec-{name}.1" for name in table.COMMANDS)])
    page = host.ltspec("man", "apply", code=0).stdout
    assert r"\-\-remove\-missing" in page
    assert "ltspec apply jobs/" in page
