"""Ends and starts: one transaction serves the end of an attempt and the start of the next one.

A turn takes the catalogue's write lock, and the next one is started (`starts`): hand over first.
The ends, the start and its pid are written and committed while the new process runs; until then the
journal tells of it. So at most one started attempt is not in the catalogue (DESIGN 5). Nobody who
writes sees a state between, the task itself included. Where an end decides what comes next (others
need it, or something was asked of it) it has a transaction of its own before that. Reaping and
PID-files follow the commit; that they were followed up is part of the next one, or of one more
before the supervisor sleeps. An end is on the disk within a second: `sync`, which also lets the
journal begin anew.

Memory is changed only after a commit, but for the start: it is a fact, and is recorded in the next
transaction that succeeds.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from ltspec import alive, cgroup, process
from ltspec.catalogue import Store, lifecycle
from ltspec.clock import Now
from ltspec.errors import CatalogueError
from ltspec.states import End, Finish, Outcome, Status
from ltspec.supervisor import seam
from ltspec.supervisor.agenda import Agenda
from ltspec.supervisor.control import Control
from ltspec.supervisor.journal import SETTING
from ltspec.supervisor.publishing import Publisher
from ltspec.supervisor.running import Running, Table
from ltspec.supervisor.scheduling import retry_delay
from ltspec.supervisor.starts import Starts

STARTS_A_TURN = 16
AGAIN_SECONDS = 1.0     # after a start that its user's limits did not allow


class Ended(NamedTuple):
    """An attempt whose end is committed."""

    running: Running
    end: End
    dirty: int                    # the row's count where the end is final, else 0


class Turns:
    """The attempts between their end and its commit."""

    def __init__(
        self,
        *,
        store: Store,
        starts: Starts,
        publisher: Publisher,
        table: Table,
        agenda: Agenda,
        control: Control,
        boot_id: str,
        discard: Callable[[Running], None],
    ) -> None:
        self.store = store
        self.starts = starts
        self.publisher = publisher
        self.table = table
        self.agenda = agenda
        self.control = control
        self.boot_id = boot_id
        self.discard = discard
        self._over: list[Running] = []           # ended, not committed
        self._postponed: set[int] = set()        # told of in the log
        self._afterwards: list[Ended] = []       # committed, to be reaped and published
        self._groups: list[str] = []             # whose task has left processes in them

    # -- what the loop tells ------------------------------------------------------------------

    def over(self, running: Running) -> None:
        """This attempt has ended, and nobody is left of it where ltspec ended it."""
        running.is_over = True
        self._over.append(running)

    @property
    def pending(self) -> bool:
        """True where there is something to do at once."""
        return bool(self._over or self._afterwards or self.starts.are_possible)

    # -- a turn -----------------------------------------------------------------------------

    def turn(self, now: Now) -> None:
        """Start what may start, and commit it with what has ended."""
        for _ in range(STARTS_A_TURN):
            over = self._over
            if not (over or self.starts.are_possible):
                break
            if self.starts.journal.is_full:
                self.sync()
            for running in over:
                self.starts.may_start(running.line)
            self.starts.announce(now)
            try:
                ended, more = self._transact(now, over)
            except BaseException:
                self.agenda.asked = True     # the lines that were looked at are ready as before
                self.publisher.rolled_back()
                self.starts.rolled_back()
                raise
            self._committed(ended, now)
            if not more or self.agenda.is_waiting(now.boot):
                break
        self.starts.take_back()

    def _transact(self, now: Now, over: list[Running]) -> tuple[list[Ended], bool]:
        """What has ended, and whether something was started and more may be."""
        with self.store.write():
            self.starts.quiet.look()
            known = [self._before_end(one) for one in over]
            more = any(decides for _, decides in known)
            if not more:
                more = self.starts.start_next(now, over)
            self.publisher.flush()
            ended = [self._commit_end(running, said, now)
                     for running, (said, _) in zip(over, known, strict=True)]
            self.starts.record()
        return ended, more or bool(self.store.released)

    def _before_end(self, running: Running) -> tuple[Finish | None, bool]:
        """As `lifecycle.before_end`; known without a query where nobody has written since it was
        started, for then nobody said or asked anything."""
        if running.quiet == self.starts.quiet.number:
            return None, running.needed
        return lifecycle.before_end(self.store, running.key, running.number)

    def catch_up(self) -> None:
        """Record starts whose transaction has failed, before anything else is asked of their rows.
        Raises CatalogueError."""
        if self.starts.unrecorded:
            self.flush()

    @property
    def unflushed(self) -> bool:
        """True where `flush` has something to do."""
        return bool(self.starts.unrecorded or self.publisher.followed)

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
        self.starts.restart_journal(state)
        self.agenda.sync_due = None

    def leave(self) -> None:
        """Before the supervisor goes: nothing is ahead, everything is on the disk."""
        self.starts.ahead.drop()
        if self.agenda.sync_due is None:
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
        self.starts.quiet.own()
        self.publisher.flush()
        self.starts.record()

    def _recorded(self) -> None:
        """That is committed."""
        self.starts.recorded()
        self.publisher.flushed()

    def _committed(self, ended: list[Ended], now: Now) -> None:
        self._recorded()
        for one in ended:
            self.table.discard(one.running)
            self.discard(one.running)
        if ended:
            self._over = []
            self._afterwards += ended
            self.agenda.sync_soon(now.boot)
            if any(one.running.pidfd >= 0 for one in ended):
                self.control.worked()
            seam.reached("end.committed")
            self.agenda.changed = True

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
            self.starts.quiet.over()           # it may be its turn again
        if became.what == "removed":
            self.agenda.asked = True
        elif became.what != "final":
            self.agenda.times_changed = True
        return Ended(running, end, became.dirty if became.what == "final" else 0)

    def _postpone(self, running: Running, failure: process.StartFailure, now: Now) -> Ended:
        """Its user's limit on processes or the like: this task alone waits for a while."""
        again = Now(now.wall + AGAIN_SECONDS, now.boot + AGAIN_SECONDS)
        lifecycle.undo_start(
            self.store, running.key, running.number, again=again, boot_id=self.boot_id
        )
        self.starts.journal.void(running.key, running.number)
        if running.key not in self._postponed:
            self._postponed.add(running.key)
            self.publisher.say(f"waiting: cannot start {running.spec.reference}: {failure.words}")
        self.agenda.times_changed = True
        end = End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {failure.words}")
        return Ended(running, end, 0)


def _draw() -> float:
    """A random number in [0, 1); the module `random` is a seventh of the supervisor's start."""
    return int.from_bytes(os.urandom(6), "big") / 2**48


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
