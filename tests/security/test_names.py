"""Names of tasks, queues and managers never leave their directory, whichever command gets them."""

import json

import pytest

from ltspec import model

BAD = ["../evil", "..", ".", "a/../../evil", "/tmp/evil", "a/b", "", ".hidden", "-option", "a\nb",
       "a\0b", "a" * 201, "ä", "a b"]


@pytest.mark.parametrize("name", BAD)
def test_bad_name_is_no_name(name):
    assert not model.is_name(name)


@pytest.fixture
def untouched(host):
    """The host's files beside its own directories and specs must be the same at the end."""
    evil = host.root / "evil"
    evil.write_text("mine\n")
    host.ltspec("run", "-q", "q", "--id", "a", "--wait", "--", "true", code=0)

    def others():
        own = (host.state_dir, host.run_dir, host.jobs)
        return {path for path in host.root.rglob("*")
                if not any(path.is_relative_to(folder) for folder in own)}

    before = others()
    pidfiles = sorted(path for path in host.run_dir.rglob("*"))
    yield host
    assert others() == before
    assert evil.read_text() == "mine\n"
    assert sorted(path for path in host.run_dir.rglob("*")) == pidfiles


@pytest.mark.parametrize("field", ["id", "queue", "manager"])
def test_spec_with_a_name_that_leaves_its_directory_is_refused(untouched, field):
    names = [name for name in BAD if name and "\0" not in name]
    for number, name in enumerate(names):
        fields = {"id": "ok", field: name}
        # What a template makes of it counts, too.
        text = ", ".join(f"{key}: '{{{{ vars_{key} }}}}'" for key in fields)
        given = {f"vars_{key}": value for key, value in fields.items()}
        spec = f"{{vars: {json.dumps(given)}, {text}, command: /bin/true}}\n"
        untouched.write(f"jobs/{number}.yml", spec)
    done = untouched.ltspec("apply", "jobs/", code=1)
    told = {line.split(":")[0] for line in done.stderr.splitlines()}
    assert {f"jobs/{number}.yml" for number in range(len(names))} <= told


def test_commands_refuse_names_that_leave_their_directory(untouched):
    host = untouched
    for words in (["--id", "../evil"], ["-q", "../evil"], ["-q", "/tmp"], ["--id", ".."]):
        assert host.ltspec("run", *words, "--", "true").returncode in (1, 2)
    escapes = ["../../evil", "q/../../evil", f"{host.run_dir}/ltspec/../../evil", "../evil"]
    for command in ("show", "why", "logs", "stop", "retry", "remove", "wait"):
        for name in escapes if command in ("remove", "logs") else escapes[:1]:
            done = host.ltspec(command, name)
            assert done.returncode in (1, 125), (command, name, done)
            assert "mine" not in done.stdout
    for words in (["pause", "../evil"], ["slots", "../evil", "3"]):
        assert host.ltspec("queue", *words).returncode != 0


def test_mgrctl_refuses_names_that_leave_their_directory(untouched):
    host = untouched
    escape = f"{host.run_dir}/ltspec/../../evil"
    calls = [
        ["longtask.add", "realname=true", "id=../evil"],
        ["longtask.add", "realname=true", "id=ok", "queue=../evil"],
        ["longtask.add", "realname=true", "id=ok", "queue=.."],
        ["-m", "../evil", "longtask.add", "realname=true", "id=ok"],
        ["longtask.delete", f"elid={escape}"],
        ["longtask.finish", f"elid={escape}", "status=ok"],
        ["longtask.edit", f"elid={escape}"],
    ]
    for words in calls:
        done = host.mgrctl(*words)
        assert done.stdout.startswith("ERROR") or done.returncode != 0, words
        assert "mine" not in done.stdout
