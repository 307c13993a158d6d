"""Names of tasks, queues and managers never leave their directory, whichever command gets them."""

import json

import pytest

from ltspec import model
from ltspec.mgrctl import command

BAD = ["../evil", "..", ".", "a/../../evil", "/tmp/evil", "a/b", "", ".hidden", "-option", "a\nb",
       "a\0b", "a" * 201, "ä", "a b"]


@pytest.mark.parametrize("name", BAD)
def test_bad_name_is_no_name(name):
    assert not model.is_name(name)


@pytest.mark.parametrize("field", ["id", "queue", "manager"])
def test_spec_with_a_name_that_leaves_its_directory_is_refused(host, inside, field):
    names = [name for name in BAD if name and "\0" not in name]
    for number, name in enumerate(names):
        # What a template makes of it counts, too.
        fields = {"id": "ok", field: name}
        text = ", ".join(f"{key}: '{{{{ its_{key} }}}}'" for key in fields)
        given = json.dumps({f"its_{key}": value for key, value in fields.items()})
        host.write(f"jobs/{number}.yml", f"{{vars: {given}, {text}, command: /bin/true}}\n")
    done = inside("apply", "jobs/", code=1)
    told = {line.split(":")[0] for line in done.stderr.splitlines()}
    assert {f"jobs/{number}.yml" for number in range(len(names))} <= told
    assert "no tasks" in inside("list", code=0).stdout
    made = [path.relative_to(host.run_dir).parts for path in host.run_dir.rglob("*")]
    ours = {".ltspec", ".bin", ".finish.sock", ".scripts"}
    assert [parts for parts in made if parts[0] not in ours] == []
    assert not (host.root / "evil").exists()


@pytest.fixture
def untouched(host):
    """The host's files beside its own directories must be the same at the end."""
    (host.root / "evil").write_text("mine\n")
    host.ltspec("run", "-q", "q", "--id", "a", "--wait", "--", "true", code=0)

    def outside():
        return {path: path.stat().st_mtime for path in host.root.rglob("*")
                if not path.is_relative_to(host.state_dir)
                and not path.is_relative_to(host.run_dir / ".scripts")}

    before = outside()
    yield
    assert outside() == before


def test_commands_refuse_names_that_leave_their_directory(host, untouched, inside):
    escape = f"{host.run_dir}/ltspec/../../evil"
    for words in (
        ["run", "--id", "../evil", "--", "true"], ["run", "-q", "../evil", "--", "true"],
        ["run", "-q", "/tmp", "--", "true"], ["run", "--id", "..", "--", "true"],
        ["show", "../../evil"], ["why", "../../evil"], ["logs", "../../evil"], ["logs", escape],
        ["stop", escape], ["retry", "q/../../evil"], ["remove", "../../evil"], ["remove", escape],
        ["wait", "../evil"], ["report", "--resend", "../evil"],
        ["queue", "pause", "../evil"], ["queue", "slots", "../evil", "3"],
    ):
        done = inside(*words)
        assert done.returncode in (1, 2, 125), words
        assert "mine" not in done.stdout


def test_mgrctl_refuses_names_that_leave_their_directory(host, untouched, inside):
    escape = f"{host.run_dir}/ltspec/../../evil"
    for words in (
        ["longtask.add", "realname=true", "id=../evil"],
        ["longtask.add", "realname=true", "id=ok", "queue=../evil"],
        ["longtask.add", "realname=true", "id=ok", "queue=.."],
        ["-m", "../evil", "longtask.add", "realname=true", "id=ok"],
        ["longtask.delete", f"elid={escape}"],
        ["longtask.finish", f"elid={escape}", "status=ok"],
        ["longtask.edit", f"elid={escape}"],
    ):
        done = inside(*words, program=command.main)
        assert done.stdout.startswith("ERROR") or done.returncode != 0, words
        assert "mine" not in done.stdout
