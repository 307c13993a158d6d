"""Ends and starts: one commit serves the end of an attempt and the start of the next one.

A turn commits what has ended together with the next start and spawns it (hand over first); the new
process goes on the slate. What is left - reaping, PID-files - is done while it runs. Its pid, and
that these were followed up, is part of the next turn's commit, or of one more before the supervisor
sleeps. So at most one started attempt's pid is not in the catalogue (DESIGN 5), and a task costs
one synced commit. Memory is changed only after a commit.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from ltspec import alive, cgroup, pidfile, process
from ltspec.catalogue import Store, lifecycle
from ltspec.clock import Now
from ltspec.paths import Places
from ltspec.states import End, Outcome, Status, decide_end
from ltspec.supervisor import seam, starting
from ltspec.supervisor.agenda import Agenda
from ltspec.supervisor.control import Control
from ltspec.supervisor.publishing import Publisher
from ltspec.supervisor.running import Running, Table
from ltspec.supervisor.scheduling import retry_delay
from ltspec.supervisor.slate import Slate

STARTS_A_TURN = 16
AGAIN_SECONDS = 1.0     # after a start that its user's limits did not allow
AHEAD = 8            # lines whose next start is made ready while the one before runs


class Failed(NamedTuple):
    """A start that was committed and then could not be done."""

    key: int
    number: int
    end: End | None               # None: try again, it certainly did not start


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
        self.slate = Slate(places)
        self.max_running = 500
        self.times_changed = False                       # a retry may wait for its time
        self._lines: dict[tuple[str, str], None] = {}    # to be looked at for a start, in order
        self._full: dict[tuple[str, str], None] = {}     # the next in them may be made ready
        self._ahead: dict[tuple[str, str], starting.Prepared] = {}
        self._over: list[Running] = []                   # ended, not committed
        self._failed: list[Failed] = []
        self._postponed: set[int] = set()                # told of in the log
        self._unrecorded: list[Running] = []             # started, pid not committed
        self._afterwards: list[Ended] = []               # committed, to be reaped and published
        self._groups: list[str] = []                     # whose task has left processes in them

    # -- what the loop tells ------------------------------------------------------------------

    def over(self, running: Running) -> None:
        """This attempt has ended, and nobody is left of it where ltspec ended it."""
        running.is_over = True
        self._over.append(running)

    def may_start(self, line: tuple[str, str]) -> None:
        """In this line (manager, queue) something may be ready."""
        self._lines.setdefault(line)

    def unrecorded(self, running: Running) -> None:
        """It runs, and its pid has yet to be written down."""
        self._unrecorded.append(running)

    @property
    def pending(self) -> bool:
        """True where there is something to do at once."""
        return bool(self._over or self._failed or self._afterwards or self._may_start_now)

    @property
    def _may_start_now(self) -> bool:
        return bool(self._lines) and len(self.table) < self.max_running

    # -- a turn -----------------------------------------------------------------------------

    def turn(self, now: Now) -> None:
        """Commit what has ended, and start what may start."""
        for _ in range(STARTS_A_TURN):
            over, failed = self._over, self._failed
            if not (over or failed or self._may_start_now):
                break
            ended: list[Ended] = []
            prepared, number = None, 0
            try:
                with self.store.write(durable=True):
                    self._record()
                    self._commit_failed(now)
                    ended += [self._commit_end(running, now) for running in over]
                    prepared, number = self._choose(now, over)
            except BaseException:
                if prepared is not None:
                    prepared.discard(self.places, self.publisher.run)
                self.agenda.asked = True     # the lines that were looked at are ready as before
                raise
            self._committed(ended, failed)
            if prepared is None:
                break
            self._start(prepared, number, now)
            if self.agenda.is_waiting(now.boot):
                break

    @property
    def unflushed(self) -> bool:
        """True where `flush` has something to do."""
        return bool(self._unrecorded or self.publisher.followed)

    def flush(self) -> None:
        """Commit the new pids and what was followed up; not synced, it survives every kill."""
        with self.store.write():
            self._record()
        self._committed([], [])

    def prepare_ahead(self) -> None:
        """While nothing else is to do: open what the next start of a busy line needs, so that at
        the end before it only the commit and the spawn are left."""
        while self._full and len(self._ahead) < AHEAD:
            line, _ = self._full.popitem()
            task = None if line in self._ahead else lifecycle.next_ready(self.store, *line)
            if task is None:
                continue
            try:
                prepared = starting.prepare(task, self.places, self.publisher.run)
            except OSError:
                return           # no hurry: the start itself tries again, waits and tells
            if prepared.problem:
                prepared.close()
            else:
                self._ahead[line] = prepared

    def drop_ahead(self) -> None:
        """What was made ready may be out of date."""
        while self._ahead:
            line, prepared = self._ahead.popitem()
            prepared.discard(self.places, self.publisher.run)
            self._full[line] = None

    def _prepare(self, task: lifecycle.Ready) -> starting.Prepared:
        ahead = self._ahead.pop((task.manager, task.queue), None)
        if ahead is not None:
            if ahead.task == task:
                return ahead
            ahead.discard(self.places, self.publisher.run)
        return starting.prepare(task, self.places, self.publisher.run)

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
        """Inside a transaction: the pids of what was started, and what was followed up."""
        for running in self._unrecorded:
            lifecycle.record_pid(
                self.store, running.key, running.number, running.pid, running.ticks
            )
        self.publisher.flush()

    def _committed(self, ended: list[Ended], failed: list[Failed]) -> None:
        if self._unrecorded:
            self._unrecorded.clear()
            seam.reached("start.recorded")
        self.publisher.flushed()
        for one in ended:
            self.table.discard(one.running)
            self.discard(one.running)
        if ended:
            self._over = []
            self._afterwards += ended
            if any(one.running.pidfd >= 0 for one in ended):
                self.control.worked()
            seam.reached("end.committed")
        if failed:
            self._failed = []
            # Its row has changed, and what was asked of it while it was about to start waits.
            self.agenda.look = self.agenda.asked = True
        if ended or failed:
            self.agenda.changed = True

    # -- ends -------------------------------------------------------------------------------

    def _commit_end(self, running: Running, now: Now) -> Ended:
        failure = running.start_failure()
        if failure is not None and failure.passes and not running.ended_by:
            return self._postpone(running, failure, now)
        end = self._decide(running)
        retries = running.spec.retries
        chance = _draw() if retries.limit else 0.0
        delay = retry_delay(retries, running.retried, end, chance)
        became = lifecycle.end_attempt(
            self.store, running.key, running.number, end,
            now=now, boot_id=self.boot_id, retry_delay=delay, survivors=running.survivors,
        )
        self._postponed.discard(running.key)
        self.may_start(running.line)
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
        if running.key not in self._postponed:
            self._postponed.add(running.key)
            self.publisher.say(f"waiting: cannot start {running.spec.reference}: {failure.words}")
        self.times_changed = True
        end = End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {failure.words}")
        return Ended(running, end, 0)

    def _decide(self, running: Running) -> End:
        failure = running.start_failure()
        if failure and not running.ended_by:
            return End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {failure.words}")
        spec = running.spec
        return decide_end(
            running.seen,
            success_codes=spec.success_codes,
            ended_by=running.ended_by,
            finish=lifecycle.said(self.store, running.key, running.number),
            must_report=spec.report == "self",
        )

    def _commit_failed(self, now: Now) -> None:
        for failed in self._failed:
            if failed.end is None:
                lifecycle.undo_start(self.store, failed.key, failed.number)
            else:
                lifecycle.end_attempt(
                    self.store, failed.key, failed.number, failed.end,
                    now=now, boot_id=self.boot_id,
                )

    # -- starts -----------------------------------------------------------------------------

    def _choose(self, now: Now, over: list[Running]) -> tuple[starting.Prepared | None, int]:
        """The next start, made ready and written as RUN; inside the transaction of the turn."""
        freed = [running.line for running in over]
        running_now = len(self.table) - len(over)
        for line in self.store.released:
            self.may_start(line)
            self.agenda.look = self.agenda.changed = self.times_changed = True
        self.store.released.clear()
        while self._lines and running_now < self.max_running:
            line = next(iter(self._lines))
            del self._lines[line]
            task = lifecycle.next_ready(self.store, *line)
            if task is None:
                continue
            free = task.slots - self.table.taken[line] + freed.count(line)
            if free <= 0:
                continue
            if free > 1:
                self._lines[line] = None  # at the end: the other lines have their turn first
            else:
                self._full[line] = None
            try:
                prepared = self._prepare(task)
            except OSError as error:     # the ends of this turn are committed all the same
                self.may_start(line)
                reason = process.reason(error)
                self.agenda.in_trouble(f"cannot start {task.id}: {reason}", now.boot)
                return None, 0
            seam.reached("start.prepared")
            try:
                number = lifecycle.start_attempt(
                    self.store, task, prepared.token, now=now, boot_id=self.boot_id
                )
            except BaseException:
                prepared.discard(self.places, self.publisher.run)
                raise
            if number is None:
                prepared.discard(self.places, self.publisher.run)
                self.may_start(line)
                continue
            if not prepared.problem:
                return prepared, number
            prepared.close()
            self.may_start(line)
            self._end_unstarted(task.key, number, prepared.problem, now)
        return None, 0

    def _end_unstarted(self, key: int, number: int, problem: str, now: Now) -> None:
        end = End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {problem}")
        lifecycle.end_attempt(self.store, key, number, end, now=now, boot_id=self.boot_id)
        self.agenda.look = self.agenda.changed = True

    def _start(self, prepared: starting.Prepared, number: int, now: Now) -> None:
        seam.reached("start.committed")
        self.agenda.changed = True
        task = prepared.task
        lock = None
        try:
            lock = self._publish_running(prepared)
            seam.reached("start.published")
            self.slate.starting(prepared.token)
            seam.reached("start.begun")
            launched = starting.launch(prepared, self.places, lock)
        except process.CannotStart as error:
            end = End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {error}")
            self._not_started(Failed(task.key, number, end), prepared, lock)
        except OSError as error:
            self._not_started(Failed(task.key, number, None), prepared, lock)
            reason = process.reason(error)
            self.agenda.in_trouble(f"cannot start {prepared.spec.reference}: {reason}", now.boot)
        else:
            seam.reached("start.spawned")
            prepared.close()     # first, so that the process's descriptor can be had
            try:
                started = alive.Identity(launched.pid, alive.start_ticks(launched.pid) or 0)
                self.slate.started(prepared.token, started)
                seam.reached("start.noted")
                self._watch_started(prepared, number, launched, started, now)
            except OSError as error:
                message = f"process {launched.pid} cannot be watched: {error}"
                raise RuntimeError(message) from error    # the next supervisor finds it by its mark

    def _not_started(
        self, failed: Failed, prepared: starting.Prepared, lock: int | None
    ) -> None:
        self._failed.append(failed)
        self.may_start((prepared.task.manager, prepared.task.queue))
        if lock is not None:
            os.close(lock)
        prepared.close()

    def _publish_running(self, prepared: starting.Prepared) -> int | None:
        try:
            return starting.publish_running(self.publisher.run, prepared)
        except pidfile.NameTaken as error:
            message = f"the PID-file's name {error} is taken by a file that is not ltspec's"
            raise process.CannotStart(message) from error
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            self.publisher.say(f"the PID-file of {prepared.spec.reference} is blocked: {error}")
            return None

    def _watch_started(
        self,
        prepared: starting.Prepared,
        number: int,
        launched: starting.Launched,
        started: alive.Identity,
        now: Now,
    ) -> None:
        pidfd = os.pidfd_open(launched.pid)
        task = prepared.task
        running = Running(
            key=task.key, number=number, token=prepared.token, spec=prepared.spec,
            file=task.file, pid=started.pid, ticks=started.start_ticks, pidfd=pidfd,
            started_boot=now.boot, retried=task.retried,
            uid=prepared.user.uid if prepared.user else os.geteuid(),
            lock=launched.lock, error_fd=launched.error_fd, script=launched.script,
            group=launched.group,
        )
        if running.lock is not None:
            pidfile.fill_pid(running.lock, running.pid)
            self.publisher.followed.append((1, task.key, task.dirty + 1))
        else:
            self.agenda.look = True
        running.published = True
        self._unrecorded.append(running)
        self.watch(running)


def _draw() -> float:
    """A random number in [0, 1); the module `random` is a seventh of the supervisor's start."""
    return int.from_bytes(os.urandom(6), "big") / 2**48


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
