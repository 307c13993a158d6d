"""Commands for tests without the start of an interpreter: a server that has loaded ltspec forks one
at each request.

The command is a real process of its own, with the environment, directory, files and umask that are
asked for; it is spared the imports, which are most of what a command costs. What a start itself
costs and loads, and how an interpreter ends, is tested with `python -m ltspec` elsewhere.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any, NoReturn

# What decides how an interpreter starts; the server has started with these.
STARTED_WITH = {"PYTHONWARNINGS": "error", "LANG": "C.UTF-8"}
_LOADED = (
    "ltspec.api", "ltspec.cli", "ltspec.client", "ltspec.commands.following", "ltspec.config",
    "ltspec.mgrctl.command", "ltspec.output.difference", "ltspec.output.findings.text",
    "ltspec.output.records", "ltspec.spec.configuration", "ltspec.spec.findings",
    "ltspec.spec.host", "ltspec.spec.loading", "jinja2.sandbox", "jsonschema",
)
_MOST = 4096


def is_possible(environment: Mapping[str, str]) -> bool:
    """True where an interpreter with this environment would have started as the server has."""
    return {
        name: value for name, value in environment.items()
        if name == "LANG" or name.startswith(("PYTHON", "LC_"))
    } == STARTED_WITH


class Forking:
    """The tests' side. The server is started by the first command and ended by `close`."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the server."""
        if self._control is not None and self._server is not None:
            self._control.close()
            self._server.wait(30)

    def run(
        self, program: str, words: Sequence[str], *, env: Mapping[str, str],
        cwd: str | os.PathLike[str], timeout: float, given: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """`program` (ltspec or mgrctl) with `words` to its end, as subprocess.run gives it; `given`
        is its standard input.
        """
        umask = os.umask(0)
        os.umask(umask)
        request = {"program": program, "words": list(words), "env": dict(env),
                   "cwd": os.fspath(cwd), "umask": umask}
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(_memory(name))
                     for name in ("request", "stdin", "stdout", "stderr")]
            for file, text in zip(files, (json.dumps(request), given), strict=False):
                file.write(text.encode())
                file.seek(0)
            stack.enter_context(ours)
            with theirs:
                handles = [*(file.fileno() for file in files), theirs.fileno()]
                socket.send_fds(self._reach(), [b"!"], handles)
            answer = stack.enter_context(ours.makefile("r"))
            pid = int(answer.readline())
            if not select.select([ours], [], [], timeout)[0]:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired([program, *words], timeout)
            code = int(answer.readline())
            for file in files[2:]:
                file.seek(0)
            out, err = (file.read().decode().replace("\r\n", "\n") for file in files[2:])
        return subprocess.CompletedProcess([program, *words], code, out, err)

    def _reach(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._server = subprocess.Popen(
                    [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL, env={"PATH": os.defpath, **STARTED_WITH},
                )
        return self._control


def _memory(name: str) -> IO[bytes]:
    """A file that is nowhere: unlike a pipe it holds up nobody who writes much."""
    return os.fdopen(os.memfd_create(name), "w+b")


def serve(control: socket.socket) -> None:
    """Fork a command for each request: tell its pid at once, its exit code at its end."""
    from ltspec.commands import table

    for name in (*(f"ltspec.commands.{one}" for one in table.COMMANDS), *_LOADED):
        importlib.import_module(name)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for number, _ in poll.poll():
            if number in running:
                poll.unregister(number)
                pid, answer = running.pop(number)
                os.close(number)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with answer, contextlib.suppress(BrokenPipeError):      # nobody waits any more
                    answer.sendall(f"{code}\n".encode())
                continue
            data, handles, _, _ = socket.recv_fds(control, 1, 5)
            if not data:
                return
            *files, reply = handles
            pid = os.fork()
            if pid == 0:
                _become(files)
            for file in files:
                os.close(file)
            answer = socket.socket(fileno=reply)
            answer.sendall(f"{pid}\n".encode())
            watched = os.pidfd_open(pid)
            running[watched] = (pid, answer)
            poll.register(watched, select.POLLIN)


def _become(files: list[int]) -> NoReturn:
    """In the child: be the command that is asked for."""
    code = 1
    try:
        with open(files[0], "rb", closefd=False) as file:
            request: dict[str, Any] = json.load(file)
        for number, handle in enumerate(files[1:]):
            os.dup2(handle, number)
        os.closerange(3, _MOST)
        os.environ.clear()
        os.environ.update(request["env"])
        os.umask(request["umask"])
        os.chdir(request["cwd"])
        sys.argv = [request["program"], *request["words"]]
        code = _main(request["program"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 0xFF)


def _main(program: str) -> int:
    if program == "mgrctl":
        from ltspec.mgrctl.command import main

        return main()
    from ltspec.cli import main as ltspec

    return ltspec()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asking:
        serve(asking)
