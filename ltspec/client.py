"""Reaches the supervisor, and starts it where none answers (DESIGN 5, submitting).

The socket carries no state: what a command wants stands in the catalogue, a message only says
"look again". So a command that is killed anywhere strands nothing.

Starting is done under `start.lock`: who finds nobody listening takes it, looks again, starts the
guardian with the lock's descriptor, and lets go; the guardian lets go once it listens. Two
commands at once therefore start one supervisor, and nobody polls.
"""

import json
import os
import socket
from typing import Any

from ltspec.errors import SupervisorError
from ltspec.paths import Places, check_private, make_private

HELLO_SECONDS = 20.0


class ConnectionLost(SupervisorError):
    """The supervisor went away; what was committed is safe, connect again."""


class Connection:
    """One connection. `hello` is what the supervisor said of itself: version, pid, survives."""

    def __init__(self, sock: socket.socket, hello: dict[str, Any], rest: bytes) -> None:
        self._socket = sock
        self._buffer = rest
        self.hello = hello

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go; the supervisor then reads the catalogue once more."""
        self._socket.close()

    def fileno(self) -> int:
        """For select: readable when an event or an answer has come, or the supervisor left."""
        return self._socket.fileno()

    def sync(self, timeout: float | None = None) -> None:
        """Say that the catalogue has changed; return when that was followed up (QUE published).

        Raises ConnectionLost, or SupervisorError with what the supervisor answered.
        """
        self.ask({"do": "sync"}, timeout)

    def watch(self) -> None:
        """Ask for an event after each change of a task's status."""
        self.ask({"do": "watch"}, HELLO_SECONDS)

    def wait_event(self, timeout: float | None = None) -> bool:
        """Block until something has changed (True) or `timeout` seconds are over (False)."""
        message = self._receive(timeout)
        while message is not None and self._has_line():
            message = self._receive(0)  # one look at the catalogue serves all that are here
        return message is not None

    def ask(self, message: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
        """Send one request and return its answer; events that come in between are dropped."""
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise ConnectionLost(f"the supervisor went away: {error}") from error
        while True:
            answer = self._receive(timeout)
            if answer is None:
                raise SupervisorError("the supervisor did not answer in time; see `ltspec doctor`")
            if "event" not in answer:
                break
        if "error" in answer:
            raise SupervisorError(str(answer["error"]))
        return answer

    def _has_line(self) -> bool:
        return b"\n" in self._buffer

    def _receive(self, timeout: float | None) -> dict[str, Any] | None:
        while not self._has_line():
            try:
                self._socket.settimeout(timeout)
                data = self._socket.recv(65536)
            except (TimeoutError, BlockingIOError):
                return None
            except OSError as error:
                raise ConnectionLost(f"the supervisor went away: {error}") from error
            if not data:
                raise ConnectionLost("the supervisor went away; try again")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
