"""`ltspec validate`: exit codes, streams, files, silence, --untrusted."""

import json
import os

import pytest

GOOD = 'id: one\ncommand: "true"\n'


def test_clean_specs_give_0(host):
    host.write("jobs/a.yml", GOOD)
    assert host.ltspec("validate", code=0).stdout == "1 file, 1 task: no problems\n"


def test_problems_give_1_in_order_of_their_places(host):
    host.write("jobs/b.yml", "id: a b\ncomand: x\n")
    host.write("jobs/a/c.yaml", "id: one\n")
    lines = host.ltspec("validate", "jobs", code=1).stdout.splitlines()
    places = [line.split(": ")[0] for line in lines if "error" in line and "hint" not in line]
    assert places[:3] == ["jobs/a/c.yaml:1:1", "jobs/b.yml:1:5", "jobs/b.yml:2:1"]


def test_wrong_usage_gives_2(host):
    (host.root / "jobs").rmdir()
    assert "no jobs/ here" in host.ltspec("validate", code=2).stderr
    host.ltspec("validate", "--format", "xml", code=2)
    host.ltspec("validate", "-e", "nothing", "x.yml", code=2)
    assert "add --untrusted" in host.ltspec("validate", "--root", ".", "x", code=2).stderr
    assert "--format" in host.ltspec("validate", "--json", "--format", "junit", code=2).stderr


def test_a_missing_file_gives_1_with_the_closest_name(host):
    host.write("jobs/backup.yml", GOOD)
    done = host.ltspec("validate", "jobs/bakcup.yml", code=1)
    assert "did you mean `backup.yml`?" in done.stdout


def test_strict_makes_warnings_errors_and_a_comment_silences_them(host):
    path = host.write("jobs/a.yml", GOOD + "vars: { unused: x }\n")
    host.ltspec("validate", code=0)
    assert "error: nothing uses" in host.ltspec("validate", "--strict", code=1).stdout
    path.write_text(GOOD + "vars: { unused: x }  # ltspec: ignore LT503\n")
    host.ltspec("validate", "--strict", code=0)


def test_standard_input_and_globs(host):
    host.write("jobs/x/a.yml", GOOD)
    assert "<stdin>:1:5" in host.ltspec("validate", "-", input="id: a b\ncommand: x\n",
                                        code=1).stdout
    host.ltspec("validate", "jobs/*/*.yml", code=0)
    host.ltspec("validate", "jobs/*.toml", code=1)


def test_links_to_directories_are_followed_each_directory_once(host):
    host.write("shared/a.yml", GOOD)
    host.write("jobs/real/b.yml", "id: two\ncomand: x\n")
    os.symlink("../shared", host.jobs / "shared")
    os.symlink("real", host.jobs / "alias")
    os.symlink("..", host.jobs / "real" / "up")
    done = host.ltspec("validate", "jobs", code=1)
    assert done.stdout.splitlines()[-1] == "2 files, 1 task: 1 error"
    assert done.stdout.startswith("jobs/real/b.yml:2:1")
    assert "1 error" in host.ltspec("validate", "jobs/**/*.yml", code=1).stdout


@pytest.mark.parametrize(("variable", "start"), [
    ("GITHUB_ACTIONS", "::error "), ("GITLAB_CI", "[")])
def test_inside_ci_its_format_is_chosen_and_stands_alone_on_stdout(host, variable, start):
    host.write("jobs/a.yml", "id: a b\ncommand: x\n")
    done = host.ltspec("validate", env={variable: "true"}, code=1)
    assert done.stdout.startswith(start)
    assert "1 file" not in done.stdout
    assert "1 file" in done.stderr


def test_the_config_is_checked_with_the_specs_but_may_be_anybodys(host):
    host.write("jobs/a.yml", GOOD)
    host.write("ltspec.yml", "mangr: x\n").chmod(0o666)
    assert "ltspec.yml:1:1: error: unknown key `mangr`" in host.ltspec("validate", code=1).stdout


def test_the_answer_does_not_depend_on_the_environment(host):
    host.write("jobs/a.yml", 'id: one\ncommand: "{{ env(\'PROGRAM\') }}"\nuser: nobody-here\n')
    one = host.ltspec("validate", code=0).stdout
    assert host.ltspec("validate", env={"PROGRAM": "x"}, code=0).stdout == one


def test_the_answer_does_not_depend_on_the_hosts_configuration(host):
    host.write("jobs/a.yml", GOOD + "queue: q\n")
    closed = host.write("home/.config/ltspec/ltspec.yml", "closed_queues: true\n")
    host.ltspec("validate", env={"HOME": str(host.root / "home")}, code=0)
    host.ltspec("validate", env={"LTSPEC_CONFIG": str(closed)}, code=0)
    assert "LT405" in host.ltspec("validate", "--config", str(closed), code=1).stdout


def test_a_config_among_the_files_has_its_problems_once(host):
    host.write("ltspec.yml", "mangr: x\n")
    host.write("jobs/a.yml", GOOD)
    for path in (".", "./ltspec.yml", str(host.root / "ltspec.yml")):
        done = host.ltspec("validate", path, code=1)
        assert done.stdout.count("unknown key `mangr`") == 1
        assert done.stdout.endswith(": 1 error\n")


def test_untrusted_reads_nothing_outside_its_root(host):
    host.write("outside.yml", GOOD)
    host.write("jobs/a.yml", GOOD)
    os.symlink(host.root / "outside.yml", host.jobs / "link.yml")
    done = host.ltspec("validate", "--untrusted", "--root", "jobs", "jobs", code=1)
    assert f"jobs/link.yml: error: is not within {host.jobs}" in done.stdout
    (host.jobs / "link.yml").unlink()
    os.symlink("/", host.jobs / "link")
    done = host.ltspec("validate", "--untrusted", "--root", "jobs", "jobs", code=1)
    assert f"jobs/link: error: is not within {host.jobs}" in done.stdout
    assert "--root names another" in done.stdout


def test_untrusted_survives_what_would_eat_memory(host):
    host.write("jobs/a.yml", "a: [" + "[x]," * 400_000 + "]\n")
    host.ltspec("validate", "--untrusted", code=1)


def test_json_is_one_document(host):
    host.write("jobs/a.yml", GOOD)
    document = json.loads(host.ltspec("validate", "--format", "json", code=0).stdout)
    assert (document["valid"], document["files"], document["tasks"]) == (True, 1, 1)
