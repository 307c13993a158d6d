"""The guard of tests/conftest.py guards: nothing of the developer's machine is used or changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ltspec import paths

CONFTEST = Path(__file__).parents[1] / "conftest.py"


def inner_pytest(directory, test, **environment):
    """Run one test file under a copy of the real conftest."""
    shutil.copy(CONFTEST, directory / "conftest.py")
    (directory / "test_inner.py").write_text(test)
    (directory / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(directory)],
        env={"PATH": os.environ["PATH"], "HOME": str(directory),
             "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_guard_directories_of_ltspec_lie_in_the_test(guarded_machine):
    assert paths.places().state_dir.startswith(str(guarded_machine))
    assert paths.places().run_dir.startswith(str(guarded_machine))


def test_guard_environment_of_the_caller_is_not_seen(tmp_path):
    test = "import os\ndef test_it():\n    assert 'LTSPEC_CONFIG' not in os.environ\n"
    done = inner_pytest(tmp_path, test, LTSPEC_CONFIG="/etc/passwd", MGR_LT_PID="/x")
    assert done.returncode == 0, done.stdout


def test_guard_test_that_makes_a_real_directory_fails(tmp_path):
    real = tmp_path / "real"
    test = f"import os\ndef test_it():\n    os.mkdir({str(real)!r})\n"
    done = inner_pytest(tmp_path, test, LTSPEC_TEST_GUARD=str(real))
    assert done.returncode == 1
    assert f"the test made ['{real}'] on this machine" in done.stdout


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_guard_skipped_test_fails_in_ci_only(tmp_path, ci, code):
    test = "import pytest\ndef test_it():\n    pytest.skip('no reason')\ndef test_b(): pass\n"
    assert inner_pytest(tmp_path, test, CI=ci).returncode == code


def test_host_end_of_the_test_leaves_no_process(make_host, wait_until):
    host = make_host("left-behind")
    script = f"cd {host.root}; trap '' TERM HUP; setsid sleep 1000 & sleep 1000"
    with subprocess.Popen(["/bin/sh", "-c", script], env=host.env) as shell:
        wait_until(lambda: len(host.processes()) == 3)
        host.kill_all()
        assert shell.wait() == -9
    assert host.processes() == []


def test_panel_records_arguments_and_answers_as_told(panel):
    panel.answer((1, "down"), (0, "OK"))
    first = subprocess.run([panel.mgrctl, "-m", "x", "a b\n"], capture_output=True, check=False)
    second = subprocess.run([panel.mgrctl], capture_output=True, check=False)
    assert (first.returncode, first.stdout) == (1, b"down\n")
    assert (second.returncode, second.stdout) == (0, b"OK\n")
    assert panel.calls == [["-m", "x", "a b\n"], []]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--version"], {}),
        (["xyzzy"], {}),
        (["validate", "-"], {"input": "id: a\ncomand: x\n"}),
        (["completion"], {}),
        (["list"], {"env": {"LTSPEC_STATE_DIR": "/nowhere"}}),
    ],
)
def test_forked_command_says_the_same_as_a_started_one(host, words, options):
    forked = host.ltspec(*words, **options)
    started = host.run([sys.executable, "-m", "ltspec", *words], **options)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        started.returncode, started.stdout, started.stderr)


def test_forked_command_has_the_umask_and_directory_of_the_test(host):
    before = os.umask(0o027)
    try:
        host.ltspec("init", "project", code=0)
    finally:
        os.umask(before)
    assert (host.root / "project/jobs").stat().st_mode & 0o777 == 0o750


def test_forked_command_is_ended_at_its_time_limit(host):
    host.ltspec("run", "--id", "long", "--", "sleep", "600", code=0)
    with pytest.raises(subprocess.TimeoutExpired):
        host.ltspec("wait", "long", timeout=0.2)
