"""docs/longtask.md: its table agrees with the tests, and its examples run as they are printed."""

import re
import shutil
import stat
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "longtask.md").read_text()


def example(title):
    """The fenced block with this title."""
    found = re.search(rf"```\w+ title={re.escape(title)}\n(.*?)```", TEXT, re.DOTALL)
    assert found, title
    return found[1]


def names_of_tests():
    """Every test function of the suite."""
    texts = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    return {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}


NAMES = names_of_tests()


def test_each_of_the_fifty_points_has_a_row_with_tests_that_exist():
    rows = re.findall(r"^\| (C\d\d) \| (\S+) \|.*\| (`test_.*`) \|$", TEXT, re.MULTILINE)
    assert [number for number, _, _ in rows] == [f"C{n:02}" for n in range(1, 51)]
    for number, sureness, tests in rows:
        assert set(sureness.split("/")) <= {"H", "M", "L", "?"}
        for name in re.findall(r"`(\w+)`", tests):
            assert name.startswith(f"test_{number.lower()}_")
            assert name in NAMES


@pytest.fixture
def panel_like(host):
    """A base directory as a panel has it, with our mgrctl at `sbin/mgrctl`."""
    base = host.root / "mgr5"
    (base / "sbin").mkdir(parents=True)
    (base / "share").mkdir()
    write(base / "sbin" / "mgrctl",
          f"#!{sys.executable}\nimport sys\nfrom ltspec.mgrctl.command import main\n"
          "sys.exit(main())\n")
    write(base / "sbin" / "ostinstall.sh", example("sbin/ostinstall.sh"))
    host.write("jobs/ostinstall.yml", example("jobs/ostinstall.yml"))
    host.config(example("ltspec.yml").replace("/usr/local/mgr5", str(base)))
    host.env["PATH"] = f"{base / 'sbin'}:{host.env['PATH']}"
    return base


def write(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def template(base):
    (base / "etc").mkdir()
    (base / "etc" / "os-release").write_text("ID=debian\n")
    with tarfile.open(base / "share" / "debian-12.tgz", "w:gz") as archive:
        archive.add(base / "etc", "etc")


def install(host, code):
    target, job = host.root / "templates", host.jobs / "ostinstall.yml"
    host.ltspec("apply", job, "-e", f"target={target}", "--wait", code=code)
    return target


def test_unchanged_shell_script_of_a_panel_works(host, panel_like):
    template(panel_like)
    target = install(host, code=0)
    assert (target / "debian-12" / "etc" / "os-release").read_text() == "ID=debian\n"
    assert host.status("osinstall/debian-12", "vmmgr") == "OK"


def test_unchanged_shell_script_of_a_panel_reports_its_failure(host, panel_like):
    install(host, code=1)
    assert host.status("osinstall/debian-12", "vmmgr") == "ERR there is no template debian-12"


def client(host, panel_like, command, wait_until):
    """Run a client on a queue with one failed task, whose cause is gone, and see it succeed."""
    install(host, code=1)
    template(panel_like)
    done = host.run([*command, "vmmgr", "osinstall"], code=0)
    assert done.stdout == "debian-12 runs again\n"
    wait_until(lambda: host.status("osinstall/debian-12", "vmmgr") == "OK")


def test_python_client_runs_failed_tasks_again(host, panel_like, wait_until):
    script = host.write("again.py", example("again.py"))
    client(host, panel_like, [sys.executable, str(script)], wait_until)


def test_python_client_shows_the_panels_error(host, panel_like):
    script = host.write("again.py", example("again.py").replace('"state=err"', '"state=bad"'))
    done = host.run([sys.executable, str(script), "vmmgr", "osinstall"], code=1)
    assert done.stderr.startswith("longtask: value(state): ")


def test_php_client_runs_failed_tasks_again(host, panel_like, wait_until):
    """Where there is no php, its calls are compared with those of the Python client, which run."""
    if shutil.which("php"):
        script = host.write("again.php", example("again.php"))
        client(host, panel_like, ["php", str(script)], wait_until)
    assert calls(example("again.php")) == calls(example("again.py"))


def calls(text):
    """Every literal word of a client's command lines, in order."""
    lines = [line for line in text.splitlines() if "mgrctl(" in line or '"mgrctl"' in line
             or '["realname"' in line]
    words = [word for line in lines for word in re.findall(r'"([\w.=-]+)"', line)]
    return [word for word in words if word not in ("elem", "pidfile")]    # `->elem` in PHP
