"""What the tests of faults share: a small disk that fills up, and commands with less than we have.

The disk is a tmpfs in a mount namespace of its own, which a process holds: it vanishes with that
process, however the tests end. Root needs no more for it; who is not gets the right to mount in a
user namespace. Everything that is to see the disk runs inside, through nsenter.
"""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ltspec import cli
from tests.supervisor.conftest import engine, make_engine, process_runs

__all__ = ["engine", "make_engine", "process_runs"]      # fixtures

CONFINED = Path(__file__).with_name("confined.py")
KIBIBYTE = 1024


class Disk:
    """A host that lies on a disk of its own. Looked at from outside through /proc/HOLDER/root."""

    def __init__(self, host: Any, size: int, state_dir: Path | None) -> None:
        self.host = host
        mount = f"{host.root}/disk"
        os.mkdir(mount)
        script = f"mount -t tmpfs -o size={size},mode=700 none '{mount}' && echo up && exec cat"
        rights = ["-m"] if os.geteuid() == 0 else ["-rm"]
        self.holder = subprocess.Popen(
            ["unshare", *rights, "sh", "-c", script], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        assert self.holder.stdout
        assert self.holder.stderr
        if self.holder.stdout.readline() != "up\n":
            reason = self.holder.stderr.read()
            self.close()
            pytest.skip(f"neither root nor a user namespace may mount a tmpfs here: {reason}")
        self.path = Path(f"/proc/{self.holder.pid}/root{mount}")
        self.state_dir = state_dir or self.path / "state"
        self.run_dir = self.path / "run"
        host.env["LTSPEC_STATE_DIR"] = str(state_dir or f"{mount}/state")
        host.env["LTSPEC_RUN_DIR"] = f"{mount}/run"
        self._inside = ["nsenter", "-t", str(self.holder.pid), "-m"]
        if os.geteuid() != 0:
            self._inside += ["-U", "--preserve-credentials"]

    def run(self, *argv: str, code: int | None = None, **options: Any) -> Any:
        """Run a program inside, like `Host.run`."""
        return self.host.run([*self._inside, *argv], code, **options)

    def ltspec(self, *arguments: str, code: int | None = None, **options: Any) -> Any:
        """`ltspec …` inside, like `Host.ltspec`."""
        return self.run(sys.executable, "-m", "ltspec", *arguments, code=code, **options)

    def fill(self, leave: int = 0) -> None:
        """Take all the room but `leave` bytes."""
        with open(self.path / "ballast", "ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(KIBIBYTE)):
                pass
        if leave:
            os.truncate(self.path / "ballast", os.path.getsize(self.path / "ballast") - leave)

    def free(self) -> None:
        """Give the room back."""
        (self.path / "ballast").unlink()

    def remount(self, how: str) -> bool:
        """`ro` or `rw`; False while somebody has files open for writing."""
        mount = str(self.host.root / "disk")
        done = self.run("mount", "-o", f"remount,bind,{how}", mount)
        return bool(done.returncode == 0)

    def status(self, reference: str) -> str:
        """The first line of a PID-file, "" where there is none."""
        try:
            return (self.run_dir / "ltspec" / reference).read_text().split("\n")[0].rstrip()
        except FileNotFoundError:
            return ""

    def processes(self) -> list[int]:
        """Everybody inside but the holder."""
        own = os.readlink(f"/proc/{self.holder.pid}/ns/mnt")
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                if pid != self.holder.pid and _namespace(pid) == own]

    def kill_all(self) -> None:
        """SIGKILL until nobody is left inside."""
        deadline = time.monotonic() + 20
        while left := self.processes():
            assert time.monotonic() < deadline, f"processes of the test cannot be killed: {left}"
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    def close(self) -> None:
        """Kill everybody and let the disk go."""
        if self.holder.poll() is None and hasattr(self, "path"):
            self.kill_all()
        self.holder.kill()
        self.holder.communicate()


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""      # gone, or not ours


@pytest.fixture
def make_disk(host: Any) -> Iterator[Callable[..., Disk]]:
    """`make_disk(KiB)`: the host's directories on a disk of that size, with `state_dir=` only the
    run directory; see Disk."""
    with contextlib.ExitStack() as stack:

        def make(size: int, state_dir: Path | None = None) -> Disk:
            disk = Disk(host, size * KIBIBYTE, state_dir)
            stack.callback(disk.close)
            return disk

        yield make


@pytest.fixture
def inside(
    host: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """`inside(*words, code=…)`: a command of the host in this process, which costs a tenth of one
    of its own, for what that would add nothing to; `program=` is the main function of mgrctl."""

    def call(*words: Any, code: int | None = None, program: Any = cli.main) -> Any:
        for name, value in host.env.items():
            if name.startswith("LTSPEC_"):
                monkeypatch.setenv(name, value)
        monkeypatch.chdir(host.root)
        capsys.readouterr()
        with warnings.catch_warnings():
            # What a command leaves open goes with its process; here it goes now.
            warnings.simplefilter("ignore", ResourceWarning)
            ended = program([str(word) for word in words])
            gc.collect()
        done = subprocess.CompletedProcess(words, ended, *capsys.readouterr())
        if code is not None and ended != code:
            pytest.fail(f"{words}: exit code {ended}, not {code}\n{done.stdout}{done.stderr}")
        return done

    return call


@pytest.fixture
def confined() -> Callable[..., list[str]]:
    """`confined(*options)`: what to put before a program, so that it has less; see confined.py."""

    def prefix(*options: str) -> list[str]:
        return [sys.executable, "-I", str(CONFINED), *options]

    return prefix
