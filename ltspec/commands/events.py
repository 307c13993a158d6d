"""Blocks until something changes: a task's status (the supervisor says so) or a log (inotify).

Never polls: it sleeps in select(2) on both. A lost connection (a restart of the supervisor, an
upgrade) counts as a change; the next one is made at once, which starts a supervisor if need be.
"""

from __future__ import annotations

import select

from ltspec.client import ConnectionLost
from ltspec.commands import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from ltspec.client import Connection
    from ltspec.output.logwatch import LogWatch
    from ltspec.paths import Places


class Events:
    """A connection that watches. Use it as a context manager."""

    def __init__(self, where: Places) -> None:
        self._where = where
        self._connection = self._reach()

    def _reach(self) -> Connection:
        connection = session.connect(self._where)
        connection.watch()
        return connection

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def wait(self, timeout: float | None, logs: LogWatch | None = None) -> bool:
        """Block until a task or a log changed, or `timeout` seconds are over.

        True where a task may have changed: the catalogue is to be looked at again.
        """
        if self._take():
            return True
        watched: list[Connection | LogWatch] = [self._connection]
        if logs is not None:
            watched.append(logs)
            timeout = logs.bounded(timeout)
        ready, _, _ = select.select(watched, [], [], timeout)
        if logs is not None and logs in ready:
            logs.drain()
        return self._connection in ready and self._take()

    def _take(self) -> bool:
        """Take the events that are here without blocking."""
        try:
            return self._connection.wait_event(0)
        except ConnectionLost:
            self._connection.close()
            self._connection = self._reach()
            return True
