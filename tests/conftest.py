"""What every test stands on: a guarded machine, an isolated host, a recorded panel.

The guard is for the developer: no test may read or change the ltspec of the machine it runs on.
The host is for the test: real processes in directories of its own, all killed at the end.
The panel stands for the outside: a `mgrctl` that writes down how it was called.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.forking import STARTED_WITH, Forking, is_possible

FORKING = Forking()
ROOT = Path(__file__).resolve().parents[1]

# What ltspec would use on this machine if a test let it.
REAL_PLACES = [
    "/run/ltspec",
    "/var/lib/ltspec",
    "/etc/ltspec",
    os.path.expanduser("~/.local/state/ltspec"),
    os.path.expanduser("~/.config/ltspec"),
    *filter(None, os.environ.get("LTSPEC_TEST_GUARD", "").split(":")),
]
PRESENT_BEFORE = {place for place in REAL_PLACES if os.path.lexists(place)}

# What would change what ltspec prints or where it looks.
FOREIGN_PREFIXES = ("LTSPEC_", "MGR_LT_", "GITHUB_", "GITLAB_", "XDG_", "CI_")
FOREIGN_NAMES = {"CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "INVOCATION_ID"}

# Started in the background (`nohup`, `&` in a script) we inherit that these are ignored, and so
# would every command that a test starts and interrupts.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


def _is_foreign(name: str) -> bool:
    return name in FOREIGN_NAMES or name.startswith(FOREIGN_PREFIXES)


@pytest.fixture(autouse=True)
def guarded_machine(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty home as HOME and working directory, own ltspec directories, a plain environment."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if _is_foreign(name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("LTSPEC_STATE_DIR", str(home / "guarded-state"))
    monkeypatch.setenv("LTSPEC_RUN_DIR", str(home / "guarded-run"))
    monkeypatch.chdir(home)
    yield home
    appeared = [p for p in REAL_PLACES if os.path.lexists(p) and p not in PRESENT_BEFORE]
    assert not appeared, f"the test made {appeared} on this machine; set LTSPEC_STATE_DIR"


def _wait_until(condition: Callable[[], Any], timeout: float = 20, what: str = "") -> Any:
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout:g} s: {what or condition}")
        time.sleep(0.01)
    return value


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """`wait_until(condition, timeout=20, what="…")`: the first true value of `condition()`."""
    return _wait_until


@pytest.fixture(scope="session")
def copy_checkout() -> Callable[[Path], Path]:
    """`copy_checkout(target)`: what git tracks, as it stands in the working tree, at `target`."""
    return _copy_checkout


def _copy_checkout(target: Path) -> Path:
    listing = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listing.split("\0")):
        source, copy = ROOT / name, target / name
        if os.path.lexists(source):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    return target


class Host:
    """One isolated machine, as far as ltspec sees it: directories, environment, commands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state_dir = root / "state"
        self.run_dir = root / "run"
        self.jobs = root / "jobs"
        self.jobs.mkdir()
        self.env: dict[str, str] = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": os.environ["HOME"],
            "TERM": "dumb",
            **STARTED_WITH,
            "LTSPEC_STATE_DIR": str(self.state_dir),
            "LTSPEC_RUN_DIR": str(self.run_dir),
        }

    def ltspec(
        self, *arguments: str | Path, code: int | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run `ltspec …` to its end; with `code`, its exit code must be that one.

        Options: input, env (added to the host's), cwd, timeout, as of subprocess.run.
        """
        return self._command("ltspec", ["-m", "ltspec"], [*map(str, arguments)], code, options)

    def mgrctl(
        self, *arguments: str, code: int | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run ltspec's own `mgrctl …` to its end, like `ltspec`."""
        program = "import sys; from ltspec.mgrctl.command import main; sys.exit(main())"
        return self._command("mgrctl", ["-c", program], [*arguments], code, options)

    def run(
        self, argv: Sequence[str], code: int | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run any program with the host's environment."""
        return self._run(list(argv), code, options)

    def _command(
        self, name: str, start: list[str], words: list[str], code: int | None,
        options: dict[str, Any],
    ) -> subprocess.CompletedProcess[str]:
        """One of our own commands: forked where that makes no difference, else started."""
        environment = {**self.env, **options.get("env", {})}
        if not options.keys() <= {"input", "env", "cwd", "timeout"} or not is_possible(environment):
            return self._run([sys.executable, *start, *words], code, options)
        done = FORKING.run(
            name, words, env=environment, cwd=options.get("cwd", self.root),
            timeout=options.get("timeout", 60), given=options.get("input") or "",
        )
        return _checked(done, code)

    def _run(
        self, argv: list[str], code: int | None, options: dict[str, Any]
    ) -> subprocess.CompletedProcess[str]:
        options.setdefault("timeout", 60)
        options.setdefault("cwd", self.root)
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        environment = {**self.env, **options.pop("env", {})}
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, check=False, **options
        )
        return _checked(done, code)

    @contextlib.contextmanager
    def start(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """`ltspec …` in the background, its output in pipes; killed and reaped at the end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "ltspec", *map(str, arguments)],
            env={**self.env, **(env or {})},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def json(self, *arguments: str | Path, code: int | None = None) -> Any:
        """The parsed output of `ltspec … --json`."""
        return json.loads(self.ltspec(*arguments, "--json", code=code).stdout)

    def write(self, name: str, text: str) -> Path:
        """A file under the host's root (`jobs/x.yml`), its text dedented."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def config(self, text: str) -> Path:
        """Write `ltspec.yml` and let every command use it."""
        path = self.write("ltspec.yml", text)
        self.env["LTSPEC_CONFIG"] = str(path)
        return path

    def fifo(self, name: str = "gate") -> Path:
        """A FIFO on which a task can block: `cat FIFO` in the task, `release` in the test."""
        path = self.root / name
        os.mkfifo(path, 0o666)
        return path

    def release(self, fifo: Path) -> None:
        """Let the one reader that blocks, or will block, on the FIFO go on."""
        fifo.write_text("go\n")

    def pidfile(self, reference: str, manager: str = "ltspec") -> Path:
        """The PID-file of QUEUE/ID, or of ID for a common task."""
        return self.run_dir / manager / reference

    def status(self, reference: str, manager: str = "ltspec") -> str:
        """The first line of the task's PID-file; "" where there is none."""
        try:
            text = self.pidfile(reference, manager).read_text(errors="surrogateescape")
        except FileNotFoundError:
            return ""
        return text.split("\n", 1)[0].rstrip()

    def processes(self) -> list[int]:
        """Every live process of this host: supervisor, guardian, tasks and what those left."""
        return [pid for pid in _pids() if pid != os.getpid() and self._owns(pid)]

    def _owns(self, pid: int) -> bool:
        root = str(self.root)
        try:
            if f"LTSPEC_STATE_DIR={self.state_dir}\0".encode() in _environ(pid):
                return True
            links = [f"/proc/{pid}/cwd", *(f"/proc/{pid}/fd/{fd}" for fd in _fds(pid))]
            return any(os.readlink(link).startswith(root + "/") for link in links)
        except OSError:
            return False      # ended meanwhile, or another user's

    def check_supervisor(self) -> None:
        """No supervisor of this host died of a bug; the next one would have hidden it."""
        log = self.state_dir / "supervisor.log"
        if log.is_file() and "Traceback" in (text := log.read_text(errors="replace")):
            pytest.fail(f"a supervisor has died:\n{text}")

    def kill_all(self) -> None:
        """SIGKILL until nobody is left; the guardian may be starting a new supervisor."""
        deadline = time.monotonic() + 20
        while left := self.processes():
            if time.monotonic() > deadline:
                pytest.fail(f"processes of the test cannot be killed: {left}")
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _checked(
    done: subprocess.CompletedProcess[str], code: int | None
) -> subprocess.CompletedProcess[str]:
    if code is not None and done.returncode != code:
        pytest.fail(
            f"{' '.join(done.args)}: exit code {done.returncode}, not {code}\n"
            f"--- stdout\n{done.stdout}--- stderr\n{done.stderr}"
        )
    return done


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environ(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes() + b"\0"


def _fds(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/fd")


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """`make_host(name, reachable=False)`; a reachable one lets other users through its root."""
    hosts: list[Host] = []

    def make(name: str = "host", *, reachable: bool = False) -> Host:
        if reachable:
            root = Path(tempfile.mkdtemp(prefix="ltspec-test-"))
            root.chmod(0o711)
        else:
            root = tmp_path / name
            root.mkdir(mode=0o700)
        hosts.append(Host(root))
        return hosts[-1]

    yield make
    for host in hosts:
        host.kill_all()
        host.check_supervisor()
        if not host.root.is_relative_to(tmp_path):
            shutil.rmtree(host.root)


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    """An isolated host; see Host. Its processes are killed when the test ends."""
    return make_host()


@pytest.fixture(scope="module")
def shared_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host for those tests of a module that do not disturb each other: it starts only once."""
    root = tmp_path_factory.mktemp("shared") / "host"
    root.mkdir(mode=0o700)
    host = Host(root)
    host.env["HOME"] = str(tmp_path_factory.mktemp("home"))
    yield host
    host.kill_all()
    host.check_supervisor()


PANEL_SCRIPT = r'''
import fcntl, json, os, signal, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(here + "/calls.jsonl", "a+") as calls:
    fcntl.flock(calls, fcntl.LOCK_EX)
    calls.seek(0)
    number = sum(1 for _ in calls)
    calls.write(json.dumps({"argv": sys.argv[1:], "pid": os.getpid()}) + "\n")
with open(here + "/answers.json") as file:
    answers = json.load(file)
kind, text = answers[min(number, len(answers) - 1)]
if kind == "hang":
    signal.pause()
print(text)
sys.exit(int(kind))
'''


class Panel:
    """A `mgrctl` of a panel that is not there: records each call, answers as told."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.mgrctl = directory / "mgrctl"
        self.mgrctl.write_text(f"#!{sys.executable} -IS\n{PANEL_SCRIPT}")
        self.mgrctl.chmod(0o755)
        self.answer((0, "OK"))

    def answer(self, *answers: tuple[int, str] | str) -> None:
        """What the n-th call gets, the last one for all that follow: (exit code, text) or "hang".

        `answer((0, "ERROR value(elid)"))` is a refusal, `answer((1, ""), (0, "OK"))` a panel that
        was down once.
        """
        pairs = [(one, "") if isinstance(one, str) else (str(one[0]), one[1]) for one in answers]
        partial = self.directory / "answers.new"
        partial.write_text(json.dumps(pairs))
        partial.rename(self.directory / "answers.json")

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each call so far, in order."""
        return [record["argv"] for record in self.records]

    @property
    def records(self) -> list[dict[str, Any]]:
        """Each call so far with its `argv` and `pid`."""
        try:
            text = (self.directory / "calls.jsonl").read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def panel(tmp_path: Path) -> Panel:
    """A recorded `mgrctl`: `panel.mgrctl` is its path, `panel.calls` how it was called."""
    return Panel(tmp_path / "panel")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test fails the run: what CI does not run, nobody runs."""
    FORKING.close()
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and exitstatus == 0 and os.environ.get("CI"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
