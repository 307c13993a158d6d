"""Ends and starts: one transaction serves the end of an attempt and the start of the next one.

A turn takes the catalogue's write lock, looks whose turn it is, writes that into the journal (the
one sync that a start costs) and spawns it: hand over first. The ends, the start and its pid are
written and committed while the new process runs already; until then the journal tells of it. So at
most one started attempt is not in the catalogue (DESIGN 5). Nobody who writes sees a state between,
the task itself included. Where an end decides what comes next (others need it, or something was
asked of it) it has a transaction of its own before that. Reaping and PID-files follow the commit;
that they were followed up is part of the next one, or of one more before the supervisor sleeps. An
end is on the disk within a second: `sync`, which also lets the journal begin anew.

Memory is changed only after a commit, but for the start: it is a fact, and is recorded in the next
transaction that succeeds.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from ltspec import alive, cgroup, clock, pidfile, process
from ltspec.catalogue import Store, changes, lifecycle
from ltspec.clock import Now
from ltspec.errors import CatalogueError
from ltspec.paths import Places
from ltspec.states import End, Finish, Outcome, Status
from ltspec.supervisor import seam, starting
from ltspec.supervisor.agenda import Agenda
from ltspec.supervisor.ahead import Ahead
from ltspec.supervisor.control import Control
from ltspec.supervisor.journal import SETTING, Journal
from ltspec.supervisor.publishing import Publisher
from ltspec.supervisor.quiet import Quiet
from ltspec.supervisor.running import Running, Table
from ltspec.supervisor.scheduling import retry_delay

STARTS_A_TURN = 16
AGAIN_SECONDS = 1.0     # after a start that its user's limits did not allow
SYNC_SECONDS = 1.0   # an end is on the disk after this time


class Ended(NamedTuple):
    """An attempt whose end is committed."""

    running: Running
    end: End
    dirty: int                    # the row's count where the end is final, else 0


class Turns:
    """The attempts between their end and its commit, and the lines that may start one."""

    def __init__(
        self,
        *,
        store: Store,
        places: Places,
        publisher: Publisher,
        table: Table,
        agenda: Agenda,
        control: Control,
        boot_id: str,
        watch: Callable[[Running], None],
        discard: Callable[[Running], None],
    ) -> None:
        self.store = store
        self.places = places
        self.publisher = publisher
        self.table = table
        self.agenda = agenda
        self.control = control
        self.boot_id = boot_id
        self.watch = watch
        self.discard = discard
        self.journal = Journal(places, boot_id)
        self.sync_due: float | None = None               # boot clock; ends are not on the disk yet
        self.max_running = 500
        self.times_changed = False                       # a retry may wait for its time
        self._lines: dict[tuple[str, str], None] = {}    # to be looked at for a start, in order
        self.ahead = Ahead(store, places, publisher.run)
        self._over: list[Running] = []                   # ended, not committed
        self._postponed: set[int] = set()                # told of in the log
        self._unrecorded: list[lifecycle.Start] = []     # started, not committed
        self._quiet = Quiet(store)
        self._afterwards: list[Ended] = []               # committed, to be reaped and published
        self._announced: lifecycle.Start | None = None   # in the journal, not synced
        self._groups: list[str] = []                     # whose task has left processes in them

    # -- what the loop tells ------------------------------------------------------------------

    def over(self, running: Running) -> None:
        """This attempt has ended, and nobody is left of it where ltspec ended it."""
        running.is_over = True
        self._over.append(running)

    def may_start(self, line: tuple[str, str]) -> None:
        """In this line (manager, queue) something may be ready."""
        self._lines.setdefault(line)

    @property
    def pending(self) -> bool:
        """True where there is something to do at once."""
        return bool(self._over or self._afterwards or self._may_start_now)

    @property
    def _may_start_now(self) -> bool:
        return bool(self._lines) and len(self.table) < self.max_running

    # -- a turn -----------------------------------------------------------------------------

    def turn(self, now: Now) -> None:
        """Start what may start, and commit it with what has ended."""
        for _ in range(STARTS_A_TURN):
            over = self._over
            if not (over or self._may_start_now):
                break
            if self.journal.is_full:
                self.sync()
            for running in over:
                self.may_start(running.line)
            self._announce(now)
            try:
                ended, more = self._transact(now, over)
            except BaseException:
                self.agenda.asked = True     # the lines that were looked at are ready as before
                self.publisher.rolled_back()
                self._take_back()
                raise
            self._committed(ended, now)
            if not more or self.agenda.is_waiting(now.boot):
                break
        self._take_back()

    def _transact(self, now: Now, over: list[Running]) -> tuple[list[Ended], bool]:
        """What has ended, and whether something was started and more may be."""
        with self.store.write():
            self._quiet.look()
            known = [self._before_end(one) for one in over]
            more = any(decides for _, decides in known)
            if not more:
                more = self._start_next(now, over)
            self.publisher.flush()
            ended = [self._commit_end(running, said, now)
                     for running, (said, _) in zip(over, known, strict=True)]
            self._record_starts()
        return ended, more or bool(self.store.released)

    def _before_end(self, running: Running) -> tuple[Finish | None, bool]:
        """As `lifecycle.before_end`; known without a query where nobody has written since it was
        started, for then nobody said or asked anything."""
        if running.quiet == self._quiet.number:
            return None, running.needed
        return lifecycle.before_end(self.store, running.key, running.number)

    def prepare(self) -> None:
        """While nothing else is to do: make the next starts ready."""
        if not self._unrecorded:         # the rows of those say that they wait
            self.ahead.prepare(self._quiet.number)

    def catch_up(self) -> None:
        """Record starts whose transaction has failed, before anything else is asked of their rows.
        Raises CatalogueError."""
        if self._unrecorded:
            self._unrecorded = [start._replace(published=False) for start in self._unrecorded]
            self.flush()

    def _announce(self, now: Now) -> None:
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

    def _take_back(self) -> None:
        """What was announced and not started: it was not its turn."""
        start, self._announced = self._announced, None
        if start is None:
            return
        try:
            self.journal.void(start.key, start.number)
            self.journal.sync()          # else a power cut would leave it in doubt
        except OSError as error:
            self.publisher.say(f"the journal of starts cannot be written: {error.strerror}")

    @property
    def unflushed(self) -> bool:
        """True where `flush` has something to do."""
        return bool(self._unrecorded or self.publisher.followed)

    def flush(self) -> None:
        """Commit the new pids and what was followed up; not synced, it survives every kill."""
        with self.store.write():
            self._record()
        self._recorded()

    def sync(self) -> None:
        """Put on the disk whatever was committed, and begin the journal anew. Raises CatalogueError
        or OSError, and then is still due."""
        state = os.urandom(8).hex()
        with self.store.write(durable=True):
            self._record()
            self.store.set_setting(SETTING, state)
        self._recorded()
        self.journal.restart(state)
        self._announced = None
        self.sync_due = None

    def leave(self) -> None:
        """Before the supervisor goes: nothing is ahead, everything is on the disk."""
        self.ahead.drop()
        if self.sync_due is None:
            return
        try:
            self.sync()
        except (CatalogueError, OSError) as error:      # the next one has the journal
            self.publisher.say(f"what was committed last is not synced: {error}")

    def clean_up(self, now: Now) -> None:
        """What an ended attempt leaves to do, while the next one runs already."""
        ended, self._afterwards = self._afterwards, []
        for running, end, dirty in ended:
            if running.pidfd >= 0 and not alive.reap(running.pidfd):
                self.control.reap(running.pid)
            running.close()
            if running.script is not None:
                _unlink(running.script)
            if running.group:
                self._groups.append(running.group)
                self._groups = [group for group in self._groups if not cgroup.remove(group)]
            seam.reached("end.reaped")
            if dirty:
                self._publish_end(running, end, dirty, now)
            else:
                self.agenda.look = True

    def _publish_end(self, running: Running, end: End, dirty: int, now: Now) -> None:
        try:
            self.publisher.publish_end(running, end, dirty)
        except OSError as error:         # the row stays marked as changed: done again later
            what = f"the PID-file of {running.spec.reference}"
            self.agenda.in_trouble(f"cannot write {what}: {process.reason(error)}", now.boot)

    def _record(self) -> None:
        """Inside a transaction: what was followed up, and what was started."""
        self._quiet.own()
        self.publisher.flush()
        self._record_starts()

    def _record_starts(self) -> None:
        for start in self._unrecorded:
            lifecycle.record_start(self.store, start)

    def _recorded(self) -> None:
        """That is committed."""
        if self._unrecorded:
            self.agenda.look |= not all(start.published for start in self._unrecorded)
            self._unrecorded.clear()
            seam.reached("start.committed")
        self.publisher.flushed()

    def _committed(self, ended: list[Ended], now: Now) -> None:
        self._recorded()
        for one in ended:
            self.table.discard(one.running)
            self.discard(one.running)
        if ended:
            self._over = []
            self._afterwards += ended
            self._sync_soon(now)
            if any(one.running.pidfd >= 0 for one in ended):
                self.control.worked()
            seam.reached("end.committed")
            self.agenda.changed = True

    def _sync_soon(self, now: Now) -> None:
        if self.sync_due is None:
            self.sync_due = now.boot + SYNC_SECONDS

    # -- ends -------------------------------------------------------------------------------

    def _commit_end(self, running: Running, said: Finish | None, now: Now) -> Ended:
        failure = running.start_failure()
        if failure is not None and failure.passes and not running.ended_by:
            return self._postpone(running, failure, now)
        end = running.decide(said)
        retries = running.spec.retries
        chance = _draw() if retries.limit else 0.0
        delay = retry_delay(retries, running.retried, end, chance)
        became = lifecycle.end_attempt(
            self.store, running.key, running.number, end,
            now=now, boot_id=self.boot_id, retry_delay=delay, survivors=running.survivors,
        )
        self._postponed.discard(running.key)
        if became.what != "final":
            self._quiet.over()           # it may be its turn again
        if became.what == "removed":
            self.agenda.asked = True
        elif became.what != "final":
            self.times_changed = True
        return Ended(running, end, became.dirty if became.what == "final" else 0)

    def _postpone(self, running: Running, failure: process.StartFailure, now: Now) -> Ended:
        """Its user's limit on processes or the like: this task alone waits for a while."""
        again = Now(now.wall + AGAIN_SECONDS, now.boot + AGAIN_SECONDS)
        lifecycle.undo_start(
            self.store, running.key, running.number, again=again, boot_id=self.boot_id
        )
        self.journal.void(running.key, running.number)
        if running.key not in self._postponed:
            self._postponed.add(running.key)
            self.publisher.say(f"waiting: cannot start {running.spec.reference}: {failure.words}")
        self.times_changed = True
        end = End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {failure.words}")
        return Ended(running, end, 0)

    # -- starts -----------------------------------------------------------------------------

    def _start_next(self, now: Now, over: list[Running]) -> bool:
        """Inside the transaction of the turn: start the next one. True where one was started, or
        failed, so that there may be more."""
        freed = [running.line for running in over]
        running_now = len(self.table) - len(over)
        for line in self.store.released:
            self.may_start(line)
            self.agenda.look = self.agenda.changed = self.times_changed = True
            self._quiet.over()
        self.store.released.clear()
        while self._lines and running_now < self.max_running:
            line = next(iter(self._lines))
            del self._lines[line]
            task = self.ahead.known(line, self._quiet.number) or lifecycle.next_ready(
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

    def _wait(self, line: tuple[str, str], what: str, error: OSError, now: Now) -> None:
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
        self._sync_soon(now)
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
                self._take_back()
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
                self._unrecorded.append(start)
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
            group=launched.group, needed=bool(task.needed), quiet=self._quiet.number,
        )
        if running.lock is not None:
            pidfile.fill_pid(running.lock, running.pid)
        running.published = True
        self.watch(running)


def _draw() -> float:
    """A random number in [0, 1); the module `random` is a seventh of the supervisor's start."""
    return int.from_bytes(os.urandom(6), "big") / 2**48


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
