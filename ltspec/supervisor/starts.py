"""Whose turn it is in the lines, and its start, inside the transaction of a turn.

A start is written into the journal, and the disk has that, before its process exists: the one sync
that it costs. One that was made ready is announced there before the catalogue is asked. It is a
fact from its spawn on: it is recorded in this transaction, or in the next one that succeeds.
"""

import os
from collections.abc import Callable

from ltspec import alive, clock, pidfile, process
from ltspec.catalogue import Store, changes, lifecycle
from ltspec.clock import Now
from ltspec.paths import Places
from ltspec.states import End, Outcome, Status
from ltspec.supervisor import seam, starting
from ltspec.supervisor.agenda import Agenda
from ltspec.supervisor.ahead import Ahead, Line
from ltspec.supervisor.journal import Journal
from ltspec.supervisor.publishing import Publisher
from ltspec.supervisor.quiet import Quiet
from ltspec.supervisor.running import Running, Table


class Starts:
    """The lines that may start a task, and the starts that no transaction has recorded yet."""

    def __init__(
        self,
        *,
        store: Store,
        places: Places,
        publisher: Publisher,
        table: Table,
        agenda: Agenda,
        boot_id: str,
        watch: Callable[[Running], None],
    ) -> None:
        self.store = store
        self.places = places
        self.publisher = publisher
        self.table = table
        self.agenda = agenda
        self.boot_id = boot_id
        self.watch = watch
        self.journal = Journal(places, boot_id)
        self.ahead = Ahead(store, places, publisher.run)
        self.quiet = Quiet(store)
        self.max_running = 500
        self.unrecorded: list[lifecycle.Start] = []
        self._lines: dict[Line, None] = {}               # to be looked at for a start, in order
        self._announced: lifecycle.Start | None = None   # in the journal, not synced

    def may_start(self, line: Line) -> None:
        """In this line (manager, queue) something may be ready."""
        self._lines.setdefault(line)

    @property
    def are_possible(self) -> bool:
        """True where a line is to be looked at and there is room for another task."""
        return bool(self._lines) and len(self.table) < self.max_running

    def prepare(self) -> None:
        """While nothing else is to do: make the next starts ready."""
        if not self.unrecorded:         # the rows of those say that they wait
            self.ahead.prepare(self.quiet.number)

    def announce(self, now: Now) -> None:
        """Write the start that was made ready for the first line into the journal, so that the disk
        is at it while the catalogue is asked whether it is its turn."""
        prepared = self.ahead.seen(next(iter(self._lines), None))
        if prepared is None or self._announced is not None:
            return
        start = self._as_start(prepared, now)
        try:
            self.journal.about(start)
        except OSError:
            return               # the start itself tries again, waits and tells
        self._announced = start

    def take_back(self) -> None:
        """What was announced and not started: it was not its turn."""
        start, self._announced = self._announced, None
        if start is None:
            return
        try:
            self.journal.void(start.key, start.number)
            self.journal.sync()          # else a power cut would leave it in doubt
        except OSError as error:
            self.publisher.say(f"the journal of starts cannot be written: {error.strerror}")

    def rolled_back(self) -> None:
        """The transaction came to nothing: who writes before the next one is not overlooked."""
        self.unrecorded = [start._replace(published=False) for start in self.unrecorded]
        self.take_back()

    def record(self) -> None:
        """Inside a transaction: what was started."""
        for start in self.unrecorded:
            lifecycle.record_start(self.store, start)

    def recorded(self) -> None:
        """That is committed."""
        if self.unrecorded:
            self.agenda.look |= not all(start.published for start in self.unrecorded)
            self.unrecorded.clear()
            seam.reached("start.committed")

    def restart_journal(self, state: str) -> None:
        """The disk has the catalogue, which calls its state so. Raises OSError."""
        self.journal.restart(state)
        self._announced = None

    def start_next(self, now: Now, over: list[Running]) -> bool:
        """Inside the transaction of the turn: start the next one. True where one was started, or
        failed, so that there may be more."""
        freed = [running.line for running in over]
        running_now = len(self.table) - len(over)
        for line in self.store.released:
            self.may_start(line)
            self.agenda.look = self.agenda.changed = self.agenda.times_changed = True
            self.quiet.over()
        self.store.released.clear()
        while self._lines and running_now < self.max_running:
            line = next(iter(self._lines))
            del self._lines[line]
            task = self.ahead.known(line, self.quiet.number) or lifecycle.next_ready(
                self.store, *line
            )
            if task is None:
                continue
            task = self.publisher.current(task)
            free = task.slots - self.table.taken[line] + freed.count(line)
            if free <= 0:
                continue
            if free > 1:
                self._lines[line] = None  # at the end: the other lines have their turn first
            else:
                self.ahead.may_prepare(line)
            try:
                prepared = self.ahead.take(task)
            except OSError as error:     # the ends of this turn are committed all the same
                self._wait(line, f"cannot start {task.id}", error, now)
                return False
            seam.reached("start.prepared")
            self.agenda.changed = True
            if prepared.problem:
                prepared.close()
                self._cannot_start(prepared, prepared.problem, now)
            else:
                self._start(prepared, now)
            return bool(self._lines)
        return False

    def _wait(self, line: Line, what: str, error: OSError, now: Now) -> None:
        self.may_start(line)
        self.agenda.in_trouble(f"{what}: {process.reason(error)}", now.boot)

    def _cannot_start(self, prepared: starting.Prepared, problem: str, now: Now) -> None:
        """It ends without ever having begun."""
        task = prepared.task
        self.may_start((task.manager, task.queue))
        start = self._as_start(prepared, now)
        lifecycle.record_start(self.store, start)
        end = End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {problem}")
        lifecycle.end_attempt(
            self.store, task.key, start.number, end, now=now, boot_id=self.boot_id
        )
        self.agenda.sync_soon(now.boot)
        # Its row has changed, and what was asked of it while it was about to start waits.
        self.agenda.look = self.agenda.asked = True

    def _as_start(self, prepared: starting.Prepared, now: Now) -> lifecycle.Start:
        task = prepared.task
        return lifecycle.Start(
            task.key, task.attempts + 1, prepared.token, self.boot_id, now.wall, now.boot,
            prepared.spec.hash,
        )

    def _start(self, prepared: starting.Prepared, now: Now) -> None:
        start = self._as_start(prepared, now)
        lock = None
        try:
            if start == self._announced:
                self._announced = None
            else:
                self.take_back()
                self.journal.about(start)
            lock = self._publish_running(prepared)
            seam.reached("start.published")
            self.journal.sync()
            seam.reached("start.journalled")
            self.journal.begun()
            seam.reached("start.begun")
            before = clock.now().boot
            launched = starting.launch(prepared, self.places, lock)
            after = clock.now().boot
        except process.CannotStart as error:
            self._not_started(prepared, lock)
            self._cannot_start(prepared, str(error), now)
        except OSError as error:
            self._not_started(prepared, lock)
            changes.republish(self.store, start.key)
            self.agenda.look = True
            task = prepared.task
            what = f"cannot start {prepared.spec.reference}"
            self._wait((task.manager, task.queue), what, error, now)
        else:
            seam.reached("start.spawned")
            prepared.close()     # first, so that the process's descriptor can be had
            try:
                ticks = alive.ticks_between(launched.pid, before, after) or 0
                self.journal.started(launched.pid, ticks)
                start = start._replace(
                    pid=launched.pid, ticks=ticks, published=launched.lock is not None
                )
                seam.reached("start.noted")
                self.unrecorded.append(start)
                self._watch_started(prepared, launched, start)
            except OSError as error:
                message = f"process {launched.pid} cannot be watched: {error}"
                raise RuntimeError(message) from error    # the next supervisor finds it

    def _not_started(self, prepared: starting.Prepared, lock: int | None) -> None:
        if lock is not None:
            os.close(lock)
        prepared.close()
        self._void(prepared.task.key, prepared.task.attempts + 1)

    def _void(self, key: int, number: int) -> None:
        try:
            self.journal.void(key, number)
        except OSError as error:         # of use after a crash only; then it is told to be lost
            self.publisher.say(f"the journal of starts cannot be written: {error.strerror}")

    def _publish_running(self, prepared: starting.Prepared) -> int | None:
        self.publisher.overtaken(prepared.task.key)
        try:
            return starting.publish_running(self.publisher.run, prepared)
        except pidfile.NameTaken as error:
            message = f"the PID-file's name {error} is taken by a file that is not ltspec's"
            raise process.CannotStart(message) from error
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            self.publisher.say(f"the PID-file of {prepared.spec.reference} is blocked: {error}")
            return None

    def _watch_started(
        self, prepared: starting.Prepared, launched: starting.Launched, start: lifecycle.Start
    ) -> None:
        task = prepared.task
        running = Running(
            key=task.key, number=start.number, token=prepared.token, spec=prepared.spec,
            file=task.file, pid=launched.pid, ticks=start.ticks or 0,
            pidfd=os.pidfd_open(launched.pid), started_boot=start.boot, retried=task.retried,
            uid=prepared.user.uid if prepared.user else os.geteuid(),
            lock=launched.lock, error_fd=launched.error_fd, script=launched.script,
            group=launched.group, needed=bool(task.needed), quiet=self.quiet.number,
        )
        if running.lock is not None:
            pidfile.fill_pid(running.lock, running.pid)
        running.published = True
        self.watch(running)
