"""The example jobs of jobs/ are real: each is validated, run, and looked at for what it made."""

import gzip
import json
import shutil
import sqlite3
import tarfile
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "jobs").glob("*.yml"))
SCHEMA = json.loads((ROOT / "schemas/job.schema.json").read_text())


def files_below(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


@pytest.fixture
def work(host):
    """Where the jobs may write."""
    return host.root / "work"


@pytest.fixture
def apply(host, work):
    """Apply a copy of one job file and wait; the exit code is checked."""

    def run(name, *options, code=0, wait=True):
        shutil.copy(ROOT / "jobs" / name, host.jobs)
        arguments = ["apply", host.jobs / name, "-e", f"workdir={work}", *options]
        return host.ltspec(*arguments, *["--wait"] * wait, code=code)

    return run


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_job_fits_the_published_schema_and_names_it(path):
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(path.read_text()))
    assert path.read_text().startswith(
        "# yaml-language-server: $schema=../schemas/job.schema.json\n"
    )


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_job_says_where_it_writes(path, host):
    inputs = yaml.safe_load(path.read_text())["inputs"]
    assert "default" not in inputs["workdir"]
    done = host.ltspec("apply", path, code=1)
    assert "workdir" in done.stderr


def test_jobs_validate_without_warnings(host):
    host.ltspec("validate", "--strict", ROOT / "jobs", code=0)


def test_jobs_all_together_run_twice_and_write_only_where_told(host, work):
    before = files_below(ROOT / "jobs")
    for _ in range(2):
        host.ltspec("apply", ROOT / "jobs", "-e", f"workdir={work}", "--wait", code=0)
        statuses = {task["status"] for task in host.json("list", "--all")["tasks"]}
        assert statuses == {"OK"}
    assert files_below(ROOT / "jobs") == before
    assert {path.name for path in host.root.iterdir()} == {"jobs", "run", "state", "work"}


def test_directory_backup_keeps_the_newest_archives(apply, host, work):
    host.write("precious/letter.txt", "dear reader\n")
    for _ in range(4):
        apply("directory-backup.yml", "-e", f"source={host.root}/precious", "-e", "keep=2")
    archives = sorted((work / "directory-backup").iterdir())
    assert len(archives) == 2
    with tarfile.open(archives[-1]) as archive:
        letter = archive.extractfile("./letter.txt")
        assert letter
        assert letter.read() == b"dear reader\n"


def test_directory_backup_that_fails_leaves_no_archive(apply, host, work):
    apply("directory-backup.yml", "-e", "source=/does/not/exist", code=2)
    assert files_below(work / "directory-backup") == set()


def test_database_dump_can_be_loaded(apply, work):
    apply("database-dump.yml", "-e", "orders=70")
    loaded = sqlite3.connect(":memory:")
    with gzip.open(work / "database/shop.sql.gz", "rt") as dump:
        loaded.executescript(dump.read())
    assert loaded.execute("SELECT count(*) FROM orders").fetchone() == (70,)
    loaded.close()


def test_checksum_verify_finds_the_changed_file_later(apply, host, work):
    apply("checksums.yml")
    (work / "checksums/release/kernel").write_text("changed")
    apply("checksums.yml", code=1)
    assert host.status("checks/checksum-verify") == "ERR exit code 1"
    assert "release/kernel: FAILED" in host.ltspec("logs", "checksum-verify", code=0).stdout


def test_checksum_verify_is_skipped_without_a_manifest(apply, host, work):
    (work / "checksums/release.sha256.part").mkdir(parents=True)
    apply("checksums.yml", code=1)
    skipped = "ERR skipped: needs checksums/checksum-manifest"
    assert host.status("checks/checksum-verify") == skipped


def test_account_backups_one_failure_holds_up_nobody(apply, host, work):
    (work / "accounts/backups/u2.tar.gz").mkdir(parents=True)
    apply("account-backups.yml", "-e", 'accounts=["u1", "u2", "u3"]', code=1)
    ends = {n: host.status(f"account-backups/account-backup-{n}") for n in ("u1", "u2", "u3")}
    assert ends == {"u1": "OK", "u2": "ERR exit code 2", "u3": "OK"}
    with tarfile.open(work / "accounts/backups/u3.tar.gz") as archive:
        assert "u3/public_html/index.html" in archive.getnames()


def test_template_install_reports_itself_and_works_on(apply, host, work):
    apply("template-install.yml")
    assert host.status("templates/template-install") == "OK"
    assert (work / "templates/installed/debian-12-minimal/etc/template").exists()
    assert "first start of debian-12" in host.ltspec("logs", "template-install", code=0).stdout
    shown = host.json("show", "template-install")
    assert shown["outcome"] == "reported"


def test_template_install_silence_is_a_failure(apply, host, work):
    host.write("work/templates/installed", "in the way\n")
    apply("template-install.yml", code=1)
    assert host.status("templates/template-install") == "ERR crashed"


def test_receiver_takes_messages_and_stops_cleanly(apply, host, work, wait_until):
    apply("receiver.yml", "-e", "lifetime=0", wait=False)
    wait_until(lambda: "receiving" in host.ltspec("logs", "message-receiver").stdout)
    (work / "receiver/inbox").write_text("one\ntwo\n")
    journal = work / "receiver/journal"
    wait_until(lambda: journal.exists() and len(journal.read_text().splitlines()) == 2)
    host.ltspec("stop", "message-receiver", code=0)
    host.ltspec("wait", "message-receiver", code=125)
    assert journal.read_text() == "gate 5: one\ngate 5: two\n"
    assert "asked to stop, messages received: 2" in host.ltspec("logs", "message-receiver").stdout


def test_receiver_ends_by_itself(apply, host):
    apply("receiver.yml", "-e", "lifetime=0.2")
    assert host.status("message-receiver") == "OK"
    assert "lifetime over" in host.ltspec("logs", "message-receiver", code=0).stdout
