"""docs/commands.md and the examples of --help are what the commands really do."""

import json
import re
import shlex
from pathlib import Path

import pytest

from ltspec.commands import reference, table
from ltspec.model import Attempt, Hook, Queue, Report, Task
from ltspec.output import records
from ltspec.states import Status

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_page_is_the_help_of_the_commands():
    text = PAGE.read_text()
    again = "run `python -m ltspec.commands.reference docs/commands.md`"
    assert reference.renewed(text) == text, again


def documented():
    return set(re.findall(r"[`\"]([a-z_]+)[`\"]", PAGE.read_text().split("## JSON")[1]))


def test_every_key_of_every_record_is_documented(host):
    from ltspec.catalogue.queues import QueueState
    from ltspec.paths import places

    task = Task(1, "m", "q", "i", "i", "", Status.OK, None, "", 0, 1, 0, None, 1, None, 0, None,
                1.0, 1.0, 2.0, "", "h", "")
    attempt = Attempt(1, 1, 2, 1.0, 2.0, Status.OK, None, "", 0, None, None, "", "")
    hook = Hook(1, 1, "always", "done", 1.0, 1.0, 2.0, "")
    report = Report(1, 1, 1, "sent", 1, 1.0, 1.0, "ok", "", "")
    queue = QueueState(Queue("m", "q", 1, False, False, "resume"), 0, 0, 0, None)
    found = {
        *records.task(task, places(), 3.0, progress=None), *records.attempt(attempt, "log"),
        *records.report(report), *records.hook(hook, "log"), *records.queue(queue),
    }
    assert found - documented() == set()


def test_every_key_that_commands_print_is_documented(host):
    host.write("jobs/x.yml", "tasks:\n  - {id: a, queue: q, command: /bin/true}\n"
                             "  - {id: b, command: /bin/false, needs: [a]}\n")
    printed = [host.ltspec("plan", "jobs/", "--json"), host.ltspec("apply", "jobs/", "--json")]
    host.ltspec("wait", "a", "b")
    for words in (["list"], ["show", "a"], ["show", "a", "b"], ["why", "a"], ["queue", "list"],
                  ["stop", "a"], ["retry", "b"], ["wake"], ["prune", "--keep", "5"],
                  ["list", "--reports"], ["remove", "a"]):
        printed.append(host.ltspec(*words, "--json", code=0))

    def keys(value):
        if isinstance(value, dict):
            return set(value) | set().union(*map(keys, value.values()), set())
        return set().union(*map(keys, value), set()) if isinstance(value, list) else set()

    found = set().union(*(keys(json.loads(one.stdout)) for one in printed))
    assert found - documented() - {"percent", "text"} == set()


# ---------------------------------------------------------------- the examples of --help

# What an example cannot do in a test, and why.
NOT_RUN = {
    "ltspec watch jobs/": "never ends; tested with real files elsewhere",
    "ltspec supervise": "never ends; tested elsewhere",
    "ltspec progress 40 copying": "only inside a task; tested there",
    "ltspec man | man -l -": "needs a man that reads pages",
    "ltspec man apply | man -l -": "needs a man that reads pages",
}
MAY_FAIL = ("wait", "validate", "report")      # their code is their answer
EXAMPLES = {
    name: [line for line, _ in table.load(name).EXAMPLES if line not in NOT_RUN]
    for name in table.COMMANDS
}


@pytest.fixture
def furnished(host):
    """A project in which every example has what it names."""
    root = Path(__file__).parents[2]
    (host.root / "schemas").symlink_to(root / "schemas")
    (host.root / "project").mkdir()
    for folder in (".zfunc", ".config/fish/completions",
                   ".local/share/bash-completion/completions"):
        Path(host.env["HOME"], folder).mkdir(parents=True, exist_ok=True)
    host.write("jobs/backup.yml", "inputs: {account: {type: string, default: u1}}\n"
                                  "id: made-{{ account }}\ncommand: /bin/true\n")
    host.write("jobs/sub/one.yml", "id: sub\ncommand: /bin/true\n")
    host.write("jobs/checksums.yml", "id: sums\ncommand: /bin/true\n")
    host.config("retention: {age: 90d}\n")
    host.write("ltspec.yml", "retention: {age: 90d}\n")
    fast = "command: /bin/true\n    rerun: always\n"
    host.write("x.yml", "tasks:\n" + "".join(
        f"  - id: {name}\n    queue: {queue}\n    {fast}" for queue, name in (
            ("backups", "backup-u1001"), ("backups", "backup-u1002"), ("backups", "a"),
            ("backups", "b"), ("dumps", "dump-u1001"), ("other", "nightly"),
        )))
    host.ltspec("apply", "x.yml", "--wait", code=0)
    return host


@pytest.mark.parametrize("name", [name for name, lines in EXAMPLES.items() if lines])
def test_examples_of_help_run(furnished, name):
    for line in EXAMPLES[name]:
        assert shlex.split(line)[0] == "ltspec"
        if " move " in line:
            furnished.ltspec("queue", "resume", "backups", code=0)
            furnished.ltspec("queue", "pause", "backups", code=0)
            furnished.ltspec("apply", "x.yml", code=0)      # a and b wait
        done = run_example(furnished, line)
        assert "Traceback" not in done.stderr
        expected = (0, 1, 4) if name in MAY_FAIL or "detailed" in line else (0,)
        assert done.returncode in expected, f"{line}\n{done.stderr}"
        if name in ("stop", "retry", "remove"):
            furnished.ltspec("apply", "x.yml", "--wait")


def run_example(host, line):
    line = line.replace("/srv/tasks", str(host.root / "srv"))
    if "--needs nightly" in line:
        host.ltspec("run", "--id", "nightly", "-q", "single", "--wait", "--", "true", code=0)
        line = line.replace("--needs nightly", "--needs single/nightly")
    return host.run(["/bin/bash", "-c", f"set -o pipefail; {line}"], timeout=60)
