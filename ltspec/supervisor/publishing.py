"""Follows up what changed in the catalogue: PID-files and what was asked of a task.

The catalogue's `dirty` counts changes per row. A row is followed up and then marked clean only
where its count is still the same, so a crash or a change in between makes it be done again.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from ltspec import pidfile
from ltspec.catalogue import Store, changes, lifecycle
from ltspec.clock import Now
from ltspec.model import TaskSpec
from ltspec.paths import Places
from ltspec.process import CannotStart
from ltspec.states import End, Outcome, Status
from ltspec.supervisor import identity
from ltspec.supervisor.running import Running, Table

CHUNK = 200
STOPPED = End(Status.ERR, Outcome.STOPPED, "stopped")


class Row(NamedTuple):
    """One row of changes.dirty_rows."""

    key: int
    dirty: int
    status: str
    request: str
    manager: str
    queue: str
    id: str
    file: str
    detail: str
    made: int
    spec: str
    finish_ok: int | None
    finish_msg: str


class Publisher:
    """Owns the run directory's content and the removal of tasks."""

    def __init__(
        self,
        store: Store,
        run: pidfile.RunDirectory,
        places: Places,
        table: Table,
        say: Callable[[str], None],
    ) -> None:
        self.store = store
        self.run = run
        self.places = places
        self.table = table
        self.say = say
        self.followed: dict[int, tuple[int, int]] = {}   # made, dirty; flushed with the next commit
        self._cleaned: set[int] = set()                  # of them, in the present transaction
        self.backlog: dict[int, Row] = {}                # read, PID-file not written yet

    def read(self) -> bool:
        """Take the next chunk of changed rows that were not followed up in memory already; True
        where there may be more."""
        known = {key: dirty for key, (_, dirty) in self.followed.items()}
        rows = [Row(*row) for row in changes.dirty_rows(self.store, CHUNK + len(known))]
        self.backlog = {row.key: row for row in rows if known.get(row.key) != row.dirty}
        return len(self.backlog) >= CHUNK

    def obey(self, requests: list[changes.Request], now: Now) -> list[Running]:
        """Settle needs and carry out requests on tasks that do not run; returns the running ones
        that are to be ended. Call it inside a transaction."""
        for key in changes.unsettled(self.store):
            lifecycle.settle(self.store, key, now=now)
        to_end = []
        for request in requests:
            self.overtaken(request.key)
            if request.status == Status.RUN:
                running = self.table.by_key.get(request.key)
                if running is not None and running.ladder is None:
                    to_end.append(running)
            elif request.what == "remove":
                self._remove(request)
            elif request.status == Status.QUE:
                lifecycle.end_waiting(self.store, request.key, STOPPED, now=now)
        return to_end

    def _remove(self, task: changes.Request) -> None:
        changes.delete(self.store, task.key)
        self.followed.pop(task.key, None)        # the key may be given again
        if task.made or not self.run.shared:
            self.remove_pidfile(task.manager, task.queue, task.file)
        for number in range(task.attempts + 2):
            for name in self.places.log_files(task.manager, task.queue, task.id, number):
                self._remove_log(name)

    def _remove_log(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            self.say(f"cannot remove {path}: {error}")

    def remove_pidfile(self, manager: str, queue: str, file: str) -> None:
        """Take a PID-file of ours away."""
        try:
            self.run.remove(manager, queue, file)
        except OSError as error:
            self.say(f"cannot remove the PID-file {manager}/{queue}/{file}: {error}")

    def overtaken(self, key: int) -> None:
        """This task's PID-file is written by a start or an end: what was read of it is old."""
        self.backlog.pop(key, None)

    def publish(self, called: Callable[[], bool]) -> None:
        """Write the PID-files of the rows that were read, at least one and until `called`; what
        cannot be written now is said and left."""
        while self.backlog:
            row = next(iter(self.backlog.values()))
            if row.request != "remove" or row.status not in ("OK", "ERR"):
                self.followed[row.key] = int(self._try(row)), row.dirty
            del self.backlog[row.key]
            if called():
                return

    def _try(self, row: Row) -> bool:
        """True where the PID-file in place is ours. Raises OSError: to be tried again."""
        try:
            return self._publish(row)
        except pidfile.NameTaken:
            self.say(
                f"{self.run.path}/{row.manager}/{row.queue}/{row.file} is not ltspec's:"
                " its name is taken, it is left alone"
            )
            return False
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            self.say(f"the place of the PID-file of {row.queue}/{row.id} is blocked: {error}")
            return bool(row.made)

    def publish_end(self, running: Running, end: End, dirty: int) -> None:
        """The final PID-file of an attempt that has just ended, without a look at the catalogue."""
        self.overtaken(running.key)
        data = pidfile.content(end.status, end.detail, running.spec.start_parameters)
        try:
            self.run.publish(
                running.manager, running.queue, running.file, data, owner=self._owner(running.spec)
            )
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            self.say(f"the place of the PID-file of {running.spec.reference} is blocked: {error}")
        self.followed[running.key] = 1, dirty

    def _publish(self, row: Row) -> bool:
        running = self.table.by_key.get(row.key)
        if row.status == "RUN":
            if running is not None:
                self._publish_running(row, running)
            return True
        spec = TaskSpec.from_json(row.spec)
        detail = "" if row.status == "QUE" else row.detail
        data = pidfile.content(row.status, detail, spec.start_parameters)
        self._write(row, data, self._owner(spec))
        return True

    def _publish_running(self, row: Row, running: Running) -> None:
        lost = not self.run.has(row.manager, row.queue, row.file)
        if row.finish_ok is not None and (lost or not running.finished):
            word, detail = ("OK", "") if row.finish_ok else ("ERR", row.finish_msg)
            data = pidfile.content(word, detail, running.spec.start_parameters)
            self.republish(running, data, row.made)
            running.finished = True
        elif lost or not running.published:
            data = pidfile.running_content(running.spec.start_parameters, running.pid)
            self.republish(running, data, row.made)
        running.published = True

    def republish(self, running: Running, data: bytes, made: int = 1) -> None:
        """A new inode for a running task, locked by the supervisor until the task's end."""
        lock = self.run.publish(
            running.manager, running.queue, running.file, data,
            owner=self._owner(running.spec), first=not made, locked=True,
        )
        if running.lock is not None:
            os.close(running.lock)
        running.lock = lock

    def _write(self, row: Row, data: bytes, owner: tuple[int, int] | None) -> None:
        self.run.publish(row.manager, row.queue, row.file, data, owner=owner, first=not row.made)

    def _owner(self, spec: TaskSpec) -> tuple[int, int] | None:
        if spec.user is None and spec.group is None:
            return None
        try:
            user = identity.resolve(spec.user, spec.group)
        except CannotStart:
            return None
        return (user.uid, user.gid) if user else None

    def flush(self) -> None:
        """Mark as clean what was followed up; call it inside a transaction."""
        changes.clean(self.store, [
            (made, key, dirty) for key, (made, dirty) in self.followed.items()
            if key not in self._cleaned
        ])

    def current(self, task: lifecycle.Ready) -> lifecycle.Ready:
        """The task, knowing whose the PID-file in its place is; call it inside a transaction."""
        followed = self.followed.get(task.key)
        if followed is None or followed[1] != task.dirty:
            return task
        made, dirty = followed
        # Once in a transaction: a start that fails counts its row up from here on.
        changes.clean(self.store, [(made, task.key, dirty)])
        self._cleaned.add(task.key)
        return task._replace(made=made)

    def rolled_back(self) -> None:
        """The transaction came to nothing: what was followed up is still to be committed."""
        self._cleaned.clear()

    def flushed(self) -> None:
        """The transaction that `flush` was part of is committed."""
        self.followed.clear()
        self._cleaned.clear()
