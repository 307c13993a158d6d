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


def work(engine):
    """A script and a command in a queue, and a common task."""
    script = engine.spec("q/a", "/bin/sh", script="exit 0\n")
    engine.submit(script, engine.spec("q/b"), engine.spec("c"))
    for task in engine.ended("q/a", "q/b", "c"):
        assert task.status == "OK"


def plant(host, outside, level):
    for number, (place, target) in enumerate(level.items()):
        path = host.run_dir / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):
            path.rename(host.root / f"taken-away-{len(level)}-{number}")
        path.symlink_to(outside / target)


@pytest.mark.parametrize("level", LEVELS, ids=["run", "manager", "queue"])
def test_links_planted_before_the_start_are_never_followed(engine, host, outside, level):
    host.run_dir.mkdir(mode=0o711)
    (host.run_dir / ".ltspec").touch()
    plant(host, outside, level)
    before = content(outside)
    work(engine)
    assert content(outside) == before


def test_links_planted_meanwhile_are_never_followed(engine, host, outside):
    work(engine)
    before = content(outside)
    for level in reversed(LEVELS):
        plant(host, outside, level)
        work(engine)
        assert content(outside) == before


def test_log_and_locks_are_not_reached_through_links(host, outside, inside):
    host.state_dir.mkdir(mode=0o700)
    for name in ("start.lock", "supervisor.lock", "supervisor.log", "journal/starts"):
        before = content(outside)
        (host.state_dir / name).parent.mkdir(mode=0o700, exist_ok=True)
        (host.state_dir / name).unlink(missing_ok=True)
        (host.state_dir / name).symlink_to(outside / "kept")
        done = inside("run", "--", "true", code=5)
        assert name in done.stderr
        assert content(outside) == before
        assert f"{name} is a symbolic link" in inside("doctor", code=1).stdout
        (host.state_dir / name).unlink()
