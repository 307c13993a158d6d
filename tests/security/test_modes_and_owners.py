"""Modes whatever the umask, and directories that are somebody else's or open to others."""

import os
import stat
import sys

import pytest

WANTED = {
    "state": 0o700, "state/logs": 0o700, "state/logs/ltspec": 0o700, "state/logs/ltspec/q": 0o700,
    "run": 0o711, "run/.bin": 0o755, "run/.scripts": 0o711, "run/ltspec": 0o711,
    "run/ltspec/q": 0o711, "run/.bin/mgrctl": 0o755, "run/.bin/ltspec": 0o755,
    "run/.finish.sock": 0o666,
}


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("umask", ["000", "077"])
def test_modes_do_not_depend_on_the_umask(host, umask):
    host.state_dir = host.root / "above" / "state"
    host.env["LTSPEC_STATE_DIR"] = str(host.state_dir)
    spec = host.write("jobs/j.yml", """
        tasks:
          - {id: a, queue: q, script: "sleep 60", log: {max_size: 1MB}}
          - {id: b, queue: q, command: /bin/true}
          - {id: c, command: [sh, -c, "ltspec progress 40 copying; exit 3"]}
        """)
    shell = f"umask {umask}; exec \"$@\""
    ltspec = ["sh", "-c", shell, "sh", sys.executable, "-m", "ltspec"]
    host.run([*ltspec, "apply", str(spec)], code=0)
    host.run([*ltspec, "wait", "c"], code=3)
    assert mode(host.root / "above") & 0o022 == 0
    for name, wanted in WANTED.items():
        path = host.state_dir.parent / name if name.startswith("state") else host.root / name
        assert (name, mode(path)) == (name, wanted)
    private = [path for top in (host.state_dir, host.run_dir) for path in top.rglob("*")
               if not path.is_dir() and str(path.relative_to(host.root)) not in WANTED]
    assert len(private) > 10
    assert {(path.name, mode(path)) for path in private} == {
        (path.name, 0o500 if path.parent.name == ".scripts" else 0o600) for path in private
    }


def refused(host, inside, words):
    """Every way in says so, and nothing is made or touched."""
    host.write("jobs/j.yml", "{id: a, command: /bin/true}\n")
    before = sorted(str(path) for path in host.root.rglob("*"))
    for done in (
        inside("list", code=5), inside("run", "--", "true", code=5), inside("wake", code=5),
        inside("apply", "jobs/j.yml", code=5), inside("supervise", code=5),
        inside("doctor", code=1),
    ):
        assert words in done.stderr + done.stdout, done.args
    assert sorted(str(path) for path in host.root.rglob("*")) == before


@pytest.mark.parametrize("bits", [0o720, 0o702])
def test_state_directory_that_others_may_write_is_refused(host, inside, bits):
    host.state_dir.mkdir()
    host.state_dir.chmod(bits)
    refused(host, inside, f"{host.state_dir} is writable by others")


@pytest.mark.parametrize("bits", [0o731, 0o713])
def test_run_directory_that_others_may_write_is_refused(host, inside, bits):
    host.run_dir.mkdir()
    host.run_dir.chmod(bits)
    done = inside("run", "--", "true", code=5)
    assert f"{host.run_dir} is writable by others\n  make it private: chmod go-w" in done.stderr
    assert list(host.run_dir.iterdir()) == []
    assert "is writable by others" in inside("doctor", code=1).stdout


def foreign(host):
    """A directory of another user: made so by root, else one of root's own."""
    if os.geteuid() != 0:
        return "/etc"
    path = host.root / "foreign"
    path.mkdir(mode=0o755)
    os.chown(path, 65534, 65534)
    return str(path)


def test_state_directory_of_another_user_is_refused(host, inside):
    host.env["LTSPEC_STATE_DIR"] = foreign(host)
    refused(host, inside, "belongs to user")


def test_run_directory_of_another_user_is_refused(host, inside):
    host.env["LTSPEC_RUN_DIR"] = foreign(host)
    done = inside("run", "--", "true", code=5)
    assert f"{host.env['LTSPEC_RUN_DIR']} belongs to user" in done.stderr


def test_link_to_a_directory_of_another_user_is_refused(host, inside):
    host.state_dir.symlink_to(foreign(host))
    assert "belongs to user" in inside("run", "--", "true", code=5).stderr
    assert "belongs to user" in inside("list", code=5).stderr
