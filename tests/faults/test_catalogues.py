"""Catalogues that are damaged, somebody else's, or of another version."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from ltspec.catalogue.store import newest_version
from ltspec.mgrctl import command

OLD = sorted(Path(__file__).with_name("catalogues").glob("*.sql"))
READING = (["list"], ["show", "q/a1"], ["why", "q/a1"], ["queue", "list"])


def sql(host, statement):
    """Run something behind ltspec's back, and fold the -wal into the file."""
    with sqlite3.connect(host.state_dir / "catalogue.db") as connection:
        rows = connection.execute(statement).fetchall()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return rows


def garble(host, *names):
    """Write garbage over the first page of these tables or indexes."""
    size = sql(host, "PRAGMA page_size")[0][0]
    roots = dict(sql(host, "SELECT name, rootpage FROM sqlite_master"))
    with open(host.state_dir / "catalogue.db", "r+b") as file:
        for name in names:
            file.seek((roots[name] - 1) * size)
            file.write(os.urandom(size))


@pytest.fixture
def used(host, inside):
    """A host whose catalogue has a task that runs, one that waits and some that have ended."""
    gate = host.fifo()
    host.write("jobs/j.yml", f"""
        tasks:
          - {{ id: "a{{{{ item }}}}", queue: p, command: /bin/true, loop: [1, 2, 3, 4] }}
          - {{ id: a1, queue: q, command: [sh, -c, "read x < {gate}; echo a1 >> {host.root}/ran"] }}
          - {{ id: a2, queue: q, command: [sh, -c, "echo a2 >> {host.root}/ran"] }}
        """)
    inside("apply", "jobs/j.yml", code=0)
    inside("wait", "p/a4", code=0)
    keep = int(host.status("q/a1").split()[1])
    for pid in host.processes():
        if pid != keep:
            os.kill(pid, 19)
    for pid in host.processes():
        if pid != keep:
            os.kill(pid, 9)
    return host


def test_damaged_indexes_cost_nothing_and_running_tasks_run_on(used, inside):
    garble(used, "task_id", "task_position")
    done = inside("show", "q/a1", code=5)
    assert "it is damaged: run `ltspec doctor`" in done.stderr
    found = json.loads(inside("doctor", "--json", code=1).stdout)["findings"]
    assert [(one["check"], one["fixable"]) for one in found if one["problem"]] == [
        ("catalogue", True)
    ]
    assert "every task is in it" in inside("doctor", "--fix", code=0).stdout
    used.release(used.root / "gate")
    inside("wait", "q/a1", "q/a2", "--timeout", "20", code=0)
    assert (used.root / "ran").read_text() == "a1\na2\n"
    assert json.loads(inside("list", "--all", "--json").stdout)["counts"]["succeeded"] == 6
    left = [path.name for path in used.state_dir.glob("catalogue.db*")]
    assert len([name for name in left if ".damaged-" in name and name[-1].isdigit()]) == 1
    assert not [name for name in left if "copy" in name]


def test_damaged_table_is_told_by_every_command_and_put_aside(used, inside):
    garble(used, "task")
    for words in READING:
        done = inside(*words, code=5)
        assert "it is damaged: run `ltspec doctor`" in done.stderr
    assert "it is damaged: run `ltspec doctor`" in inside("run", "--", "true", code=5).stderr
    assert "Traceback" not in (used.state_dir / "supervisor.log").read_text()
    said = inside("doctor", "--fix", code=1).stdout
    assert "their processes still run, unknown to ltspec" in said
    assert "put the damaged catalogue aside" in said
    assert str(used.pidfile("q/a1")) in said.split("they will run twice")[1]
    assert "no tasks yet" in inside("list", code=0).stdout
    assert used.status("q/a1").startswith("RUN")
    used.release(used.root / "gate")


def test_file_that_is_no_catalogue_is_neither_used_nor_migrated(host, inside):
    host.state_dir.mkdir(mode=0o700)
    path = host.state_dir / "catalogue.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE precious (value)")
        other.execute("INSERT INTO precious VALUES ('kept')")
    other.close()
    for words in (["list"], ["run", "--", "true"]):
        assert "is a database of another program" in inside(*words, code=5).stderr
    assert sql(host, "SELECT value FROM precious") == [("kept",)]
    inside("doctor", "--fix", code=0)
    aside = [path for path in host.state_dir.glob("*.damaged-*") if path.suffix[-1].isdigit()]
    assert sqlite3.connect(aside[0]).execute("SELECT value FROM precious").fetchall() == [("kept",)]


def test_catalogue_is_there_as_a_whole_or_not_at_all(host, inside):
    """What a killed supervisor left of a new one is neither read nor in the way of the next."""
    host.state_dir.mkdir(mode=0o700)
    for suffix in ("", "-wal", "-shm"):
        (host.state_dir / f"catalogue.db.new{suffix}").write_bytes(b"half of it")
    assert "no tasks yet" in inside("list", code=0).stdout
    inside("run", "--id", "a", "--wait", "--", "true", code=0)
    assert not list(host.state_dir.glob("*.new*"))


def test_catalogue_of_a_newer_version_is_left_alone(host, inside):
    host.ltspec("run", "--id", "a", "--wait", "--", "true", code=0)
    host.kill_all()
    sql(host, "PRAGMA user_version=99")
    before = (host.state_dir / "catalogue.db").read_bytes()
    words = f"has version 99, this ltspec knows {newest_version()}"
    for done in (inside("list", code=5), inside("run", "--", "true", code=5),
                 inside("longtask", code=5, program=command.main)):
        assert words in done.stderr
        assert "it was made by a newer ltspec: install that one" in done.stderr
    assert words in inside("doctor", "--fix", code=1).stdout
    assert (host.state_dir / "catalogue.db").read_bytes() == before


@pytest.mark.parametrize("dump", OLD, ids=lambda path: path.stem)
def test_catalogue_of_an_older_version_is_brought_up_to_date_with_its_tasks(
    host, dump, inside, wait_until
):
    host.state_dir.mkdir(mode=0o700)
    ran = host.root / "ran"
    text = dump.read_text().replace("@RAN@", str(ran)).replace("@RUN@", str(host.run_dir))
    with sqlite3.connect(host.state_dir / "catalogue.db") as old:
        old.executescript(text)
    old.close()
    (host.state_dir / "catalogue.db").chmod(0o600)
    assert "run `ltspec wake`" in inside("list", code=5).stderr
    found = json.loads(inside("doctor", "--json", code=1).stdout)["findings"]
    assert [(one["check"], one["fixable"]) for one in found if one["problem"]] == [
        ("catalogue", True)
    ]
    inside("doctor", "--fix", code=0)
    wait_until(lambda: host.status("q/waiting") == "OK")
    assert ran.read_text() == "waiting\n"
    found = json.loads(inside("list", "--all", "--json").stdout)["tasks"]
    tasks = {one["reference"]: one["status"] for one in found}
    assert tasks == {"q/waiting": "OK", "done": "OK", "failed": "ERR"}


def test_migration_on_a_full_disk_leaves_the_old_catalogue_as_it_was(make_disk):
    disk = make_disk(1024)
    disk.state_dir.mkdir(mode=0o700)
    path = disk.state_dir / "catalogue.db"
    with sqlite3.connect(disk.host.root / "old.db") as old:
        old.executescript(OLD[0].read_text().replace("@RUN@", disk.host.env["LTSPEC_RUN_DIR"]))
    old.close()
    path.write_bytes((disk.host.root / "old.db").read_bytes())
    disk.fill()
    before = path.read_bytes()
    assert "the disk is full" in disk.ltspec("wake", code=5).stderr
    assert path.read_bytes() == before
    disk.free()
    disk.ltspec("wake", code=0)
    assert "failed" in disk.ltspec("list", "--all", code=0).stdout
