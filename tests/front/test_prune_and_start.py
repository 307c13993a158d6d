"""`prune`: history that may go; `init`, `completion`, `man`."""

import json
import os
import sys

import pytest
import yaml

from ltspec import __version__
from ltspec.commands import init


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
    patterns = json.loads((place / ".vscode/settings.json").read_text())["yaml.schemas"]
    assert all((place / schema).is_file() for schema in patterns)
    host.run(["git", "init", "--quiet", "."], cwd=place)
    assert "archives" not in host.run(["git", "status", "--porcelain"], cwd=place).stdout


def test_init_renews_the_schemas_of_another_version_and_nothing_else(host):
    host.ltspec("init", code=0)
    schema = host.root / ".ltspec/job.schema.json"
    current = schema.read_text()
    schema.write_text("{}")
    host.write(".gitignore", "mine\n")
    done = host.json("init", code=0)
    assert done["renewed"] == [".ltspec/job.schema.json"]
    assert (done["written"], schema.read_text()) == ([], current)
    assert (host.root / ".gitignore").read_text() == "mine\n"


def test_inits_ci_files_and_hook_run_what_validates_here(host):
    host.ltspec("init", code=0)
    github = yaml.safe_load((host.root / ".github/workflows/specs.yml").read_text())
    (job,) = github["jobs"].values()
    gitlab = yaml.safe_load((host.root / ".gitlab-ci.yml").read_text())["specs"]
    (repo,) = yaml.safe_load((host.root / ".pre-commit-config.yaml").read_text())["repos"]
    assert job["env"] == gitlab["variables"] == {"LTSPEC": init.source()}
    lines = [job["steps"][-1]["run"], gitlab["script"][-1], repo["hooks"][0]["entry"]]
    for line in lines:
        assert host.run(["/bin/sh", "-c", line], env={"GITLAB_CI": "true"}).returncode == 0
    (report,) = gitlab["artifacts"]["reports"].values()
    assert json.loads((host.root / report).read_text()) == []


@pytest.mark.parametrize(("origin", "source"), [
    (None, f"ltspec=={__version__}"),
    ({"url": "https://host/ltspec", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
     "git+https://host/ltspec@abc"),
    ({"url": "https://host/l.whl", "archive_info": {}}, "https://host/l.whl"),
    ({"url": "file:///home/me/ltspec", "dir_info": {}}, init.UNKNOWN_SOURCE),
    ({"url": "file:///home/me/l", "vcs_info": {"vcs": "git", "commit_id": "a"}},
     init.UNKNOWN_SOURCE),
])
def test_inits_ci_files_install_ltspec_from_where_it_came(origin, source, tmp_path, monkeypatch):
    about = tmp_path / "ltspec-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: ltspec\n")
    if origin:
        (about / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert init.source() == source


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
