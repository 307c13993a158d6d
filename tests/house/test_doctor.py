"""`ltspec doctor` finds what keeps tasks from running, and `--fix` mends what can be mended."""

import contextlib
import os
import signal

import pytest


@pytest.fixture
def used(host):
    """A host on which a task has run."""
    host.ltspec("run", "--id", "one", "--wait", "--", "true", code=0)
    return host


def wrong(host):
    found = host.json("doctor")["findings"]
    return [one["what"].split()[0] for one in found if one["problem"]]


def test_doctor_nothing_yet_is_well(host):
    assert "no tasks yet" in host.ltspec("doctor", code=0).stdout


def test_doctor_all_well_after_a_task(used):
    assert "wrong" not in used.ltspec("doctor", code=0).stdout


def test_doctor_directory_open_to_others_is_found_and_closed(used):
    used.state_dir.chmod(0o777)
    assert "writable by others" in used.ltspec("doctor", code=1).stdout
    used.ltspec("doctor", "--fix", code=0)
    assert used.state_dir.stat().st_mode & 0o777 == 0o755


def test_doctor_damaged_catalogue_is_found(used):
    used.kill_all()
    for end in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            (used.state_dir / f"catalogue.db{end}").unlink()
    (used.state_dir / "catalogue.db").write_text("no database\n" * 1000)
    assert wrong(used) == ["catalogue"]
    assert "file is not a database" in used.ltspec("doctor", code=1).stdout


def test_doctor_work_without_supervisor_is_found_and_taken_up(used):
    gate = used.fifo()
    used.ltspec("run", "--id", "two", "--", "cat", str(gate), code=0)
    keep = int(used.status("two").split()[1])
    for pid in set(used.processes()) - {keep}:
        os.kill(pid, signal.SIGSTOP)      # so that neither restarts the other
    for pid in set(used.processes()) - {keep}:
        os.kill(pid, signal.SIGKILL)
    assert wrong(used) == ["supervisor"]
    used.ltspec("doctor", "--fix", code=0)
    used.release(gate)
    used.ltspec("wait", "two", "--timeout", "20")
    assert used.status("two")[:3] in ("OK", "ERR")
