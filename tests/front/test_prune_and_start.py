"""`prune`: history that may go; `init`, `completion`, `man`."""

import json
import os
import sys

import pytest


def job(name):
    return f"id: {name}\nqueue: q\ncommand: /bin/true\n"


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
