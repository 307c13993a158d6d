"""Links that are planted in the run directory lead nowhere, at every level."""

import os

import pytest

# Where ltspec writes, level by level, and what the link leads to.
LEVELS = [
    {".bin": "", ".scripts": "", ".ltspec": "kept", ".finish.sock": "kept", "ltspec": ""},
    {".bin/mgrctl": "mgrctl", ".bin/mgrctl.new": "kept", ".scripts/1-1": "kept", "ltspec/q": "q",
     "ltspec/c": "kept", "ltspec/.c.new": "kept"},
    {"ltspec/q/a": "kept", "ltspec/q/.a.new": "kept", "ltspec/q/b": "q"},
]


def content(folder):
    return {str(path.relative_to(folder)): (path.lstat().st_mode, path.is_dir() or path.read_text())
            for path in folder.rglob("*")}


@pytest.fixture
def outside(host):
    """A directory with all the names in it that ltspec could write to."""
    folder = host.root / "outside"
    for name in ("mgrctl", "a", "c", ".c.new", "1-1", "kept", "q/a", "q/.a.new", "q/kept"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine\n")
        path.chmod(0o640)
    (folder / "q").chmod(0o750)
    return folder


def work(host):
    """A script and a command in a queue, and a common task."""
    host.write("jobs/j.yml", """
        defaults: {rerun: always}
        tasks:
          - {id: a, queue: q, script: "exit 0"}
          - {id: b, queue: q, command: /bin/true}
          - {id: c, command: /bin/true}
        """)
    host.ltspec("apply", "jobs/j.yml", code=0)
    host.ltspec("wait", "a", "b", "c", "--timeout", "20", code=0)


@pytest.mark.parametrize("level", LEVELS, ids=["run", "manager", "queue"])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_planted_links_are_replaced_or_left_alone_and_never_followed(host, outside, level, when):
    host.run_dir.mkdir(mode=0o711)
    (host.run_dir / ".ltspec").touch()
    if when == "meanwhile":
        work(host)
    for number, (place, target) in enumerate(level.items()):
        path = host.run_dir / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):
            path.rename(host.root / f"taken-away-{number}")
        path.symlink_to(outside / target)
    before = content(outside)
    work(host)
    assert content(outside) == before


def test_log_and_locks_are_not_reached_through_links(host, outside):
    host.state_dir.mkdir(mode=0o700)
    for name in ("start.lock", "supervisor.lock", "supervisor.log", "supervisor.started"):
        before = content(outside)
        (host.state_dir / name).unlink(missing_ok=True)
        (host.state_dir / name).symlink_to(outside / "kept")
        done = host.ltspec("run", "--", "true", code=5)
        assert name in done.stderr
        assert content(outside) == before
        assert f"{name} is a symbolic link" in host.ltspec("doctor", code=1).stdout
        (host.state_dir / name).unlink()
