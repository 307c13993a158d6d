"""The units of docs/operations.md: systemd takes them, and ltspec knows their commands."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ltspec.commands import table

ROOT = Path(__file__).parents[2]
UNIT = re.compile(r"^```ini\n# /etc/systemd/system/(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEWER = "DelegateSubgroup"      # of systemd 254; an older one says that it does not know it
UNITS = dict(UNIT.findall((ROOT / "docs/operations.md").read_text()))


@pytest.mark.parametrize("name", UNITS)
def test_unit_runs_a_command_that_there_is(name):
    (line,) = re.findall(r"^ExecStart=(.*)$", UNITS[name], re.MULTILINE)
    program, command, *words = shlex.split(line)
    assert program == "/usr/local/bin/ltspec"
    table.parser_of(command).parse_args(words)


def test_units_of_supervisor_and_watch_are_known_to_systemd(tmp_path):
    assert sorted(UNITS) == ["ltspec-watch.service", "ltspec.service"]
    for name, text in UNITS.items():
        (tmp_path / name).write_text(text.replace("/usr/local/bin/ltspec", sys.executable))
    if shutil.which("systemd-analyze"):
        for name in UNITS:
            done = subprocess.run(["systemd-analyze", "verify", tmp_path / name],
                                  capture_output=True, text=True, check=False)
            about = [line for line in done.stderr.splitlines()
                     if str(tmp_path) in line and NEWER not in line]
            assert (done.returncode, about) == (0, [])
