"""The pages made from schema and codes are up to date, and each code's example gives that code."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from ltspec.commands import init
from ltspec.spec import reference
from ltspec.spec.codes import CODES

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_a_made_page_is_what_is_made_now(name):
    assert (ROOT / "docs" / name).read_text() == reference.PAGES[name](), (
        "run python -m ltspec.spec.reference docs")


@pytest.mark.parametrize("code", [code for code, about in CODES.items() if about.example])
def test_the_example_of_a_code_gives_it(code, load):
    found = load(CODES[code].example).problems
    assert code in {problem.code for problem in found}
    assert {one.severity for one in found if one.code == code} == {CODES[code].severity}


SOURCE = init.UNKNOWN_SOURCE
CI_PAGE = (ROOT / "docs" / "ci.md").read_text()
BLOCKS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", CI_PAGE, re.DOTALL)]
GITHUB = [block for block in BLOCKS if "jobs" in block]
PLAIN, STRANGERS = (job for block in GITHUB for job in block["jobs"].values())
GITLAB = [block["specs"] for block in BLOCKS if "specs" in block]
GOOD = """\
id: backup-{{ account }}
command: "true"
inputs: { account: { pattern: "^u", examples: [u1] } }
"""
SPECS = [pytest.param(GOOD, 0, id="good"), pytest.param("id: one\ncomand: x\n", 1, id="bad")]


@pytest.fixture
def runner(host):
    """`runner(line, job, env)`: run one command line of a job as its runner does: in the checkout,
    stopping at the first failure, with pip replaced. The files it leaves are under host.root."""
    tools = host.root / "tools"
    tools.mkdir()
    for name, text in (("pip", f'[ "$*" = "install {SOURCE}" ]'),
                       ("ltspec", f'exec {sys.executable} -m ltspec "$@"')):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)

    def run(line, **env):
        path = f"{tools}:{host.env['PATH']}"
        return host.run(["bash", "-e", "-c", line], env={"PATH": path, "CI": "true", **env})

    return run


@pytest.mark.parametrize("line", re.findall(r"^ltspec .*?(?=  #|$)", CI_PAGE, re.MULTILINE))
def test_a_command_line_of_the_ci_page_works(line, host, runner):
    host.write("jobs/one.yml", GOOD)
    assert runner(line).returncode == 0


@pytest.mark.parametrize(("spec", "code"), SPECS)
def test_the_github_workflow_annotates_and_leaves_its_sarif(spec, code, host, runner):
    host.write("jobs/one.yml", spec)
    job = PLAIN
    install, check, scan = (step for step in job["steps"] if "run" in step)
    done = [runner(step["run"], GITHUB_ACTIONS="true", **job["env"])
            for step in (install, check, scan)]
    assert [one.returncode for one in done] == [0, code, code]
    assert ("::error title=ltspec LT201,file=jobs/one.yml,line=2" in done[1].stdout) == bool(code)
    assert scan["if"] == "always()"
    (upload,) = (step for step in job["steps"] if "sarif_file" in step.get("with", {}))
    (run,) = json.loads((host.root / upload["with"]["sarif_file"]).read_text())["runs"]
    assert len(run["results"]) == code
    assert job["permissions"]["security-events"] == "write"


def test_the_github_workflow_for_strangers_has_nothing_to_take_and_reads_only_the_checkout(
        host, runner):
    assert STRANGERS["permissions"] == {"contents": "read"}
    assert "secrets" not in json.dumps(STRANGERS)
    install, check = (step["run"] for step in STRANGERS["steps"] if "run" in step)
    assert runner(install, **STRANGERS["env"]).returncode == 0
    host.write("jobs/one.yml", GOOD)
    assert runner(check, GITHUB_ACTIONS="true").returncode == 0
    (host.root / "jobs/two.yml").symlink_to("/etc/hosts")
    done = runner(check, GITHUB_ACTIONS="true")
    assert (done.returncode, "is not within" in done.stdout) == (1, True)


@pytest.mark.parametrize("job", GITLAB, ids=lambda job: next(iter(job["artifacts"]["reports"])))
@pytest.mark.parametrize(("spec", "code"), SPECS)
def test_the_gitlab_job_leaves_its_report(job, spec, code, host, runner):
    host.write("jobs/one.yml", spec)
    done = runner("\n".join(job["script"]), GITLAB_CI="true", **job["variables"])
    assert done.returncode == code
    (report,) = job["artifacts"]["reports"].values()
    text = (host.root / report).read_text()
    assert ("LT201" in text) == bool(code)
    assert text[0] == ("[" if report.endswith(".json") else "<")
    assert job["artifacts"]["when"] == "always"


def test_the_pre_commit_hook_works(host):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    host.write("jobs/one.yml", "id: one\ncomand: x\n")
    done = host.ltspec(*shlex.split(hook["entry"])[1:], code=1)
    assert "LT201" in done.stdout
    assert hook["always_run"] is True
