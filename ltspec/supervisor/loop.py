"""The supervisor's loop: one step with the time as an argument, single-threaded, no polling.

It sleeps until a process ends (its pidfd becomes readable), a message comes, or the next timer is
due. One step: take in what has happened; carry out what was asked; a turn of ends and starts
(`turns`: hand over first); then what is left is done while the new task runs: reaping, PID-files,
reports, answers. Memory follows the catalogue: it is changed only after the commit.
"""

import select
from collections.abc import Callable
from typing import Any

from ltspec import alive, pidfile, process
from ltspec.catalogue import Store, changes, hooks, lifecycle, outbox
from ltspec.clock import Now
from ltspec.errors import CatalogueError, LtspecError
from ltspec.paths import Places
from ltspec.states import Finish
from ltspec.supervisor import furnishing, retention, seam
from ltspec.supervisor.agenda import Agenda
from ltspec.supervisor.control import Control
from ltspec.supervisor.ending import Ending
from ltspec.supervisor.errands import Errand, Kind
from ltspec.supervisor.logs import LimitedLogs
from ltspec.supervisor.publishing import CHUNK, Publisher
from ltspec.supervisor.running import Running, Table
from ltspec.supervisor.starts import Starts
from ltspec.supervisor.talk import Talk
from ltspec.supervisor.turns import Turns
from ltspec.supervisor.watching import Watcher

POLITE_SECONDS = 0.5       # how long PID-files of many tasks give way to hand-overs
FLUSH_SECONDS = 0.02       # how long a commit of its own may wait for the next turn's
WALL_LOOK_SECONDS = 60.0   # instants are looked at again this often: the wall clock may jump

ERRANDS = (
    Kind("report", "ltspec.report.sender", outbox.next_due),
    Kind("hook", "ltspec.supervisor.hooks", hooks.next_due),
    Kind("retention", "ltspec.supervisor.retention", retention.next_due),
)


class Supervisor:
    """Everything that one supervisor knows. See the package's docstring for the parts."""

    def __init__(
        self,
        *,
        store: Store,
        places: Places,
        run: pidfile.RunDirectory,
        epoll: select.epoll,
        boot_id: str,
        control: Control,
        idle_exit: float | None,
        clock: Callable[[], Now],
        say: Callable[[str], None],
    ) -> None:
        self.store = store
        self.places = places
        self.epoll = epoll
        self.control = control
        self.idle_exit = idle_exit
        self.clock = clock
        self.say = say
        self.agenda = Agenda(say)
        self.table = Table()
        self.publisher = Publisher(store, run, places, self.table, say)
        self.starts = Starts(
            store=store, places=places, publisher=self.publisher, table=self.table,
            agenda=self.agenda, boot_id=boot_id, watch=self.watch,
        )
        self.turns = Turns(
            store=store, starts=self.starts, publisher=self.publisher, table=self.table,
            agenda=self.agenda, control=control, boot_id=boot_id, discard=self._forget,
        )
        self.ending = Ending(store, self.table, self.turns.over, say)
        self.limited_logs = LimitedLogs(places, self.table, self.ending.end)
        self.errands = [Errand(kind, store, places, epoll, say) for kind in ERRANDS]
        self.watcher = Watcher(store, run, self.table, say)
        self.talk: Talk | None = None
        self.due: tuple[float | None, float | None] = (None, None)
        self.idle_since: float | None = None
        self.must_stay = False
        self.polite_until: float | None = None       # boot clock; while PID-files are behind
        self.heard = -1            # Store.version: what was committed up to it was taken in
        self.leaving = False

    # -- one step ---------------------------------------------------------------------------

    def step(self, now: Now) -> None:
        """Sleep until something is to be done, and do it."""
        events = self._sleep(now)
        now = self.clock()
        for number, _ in events:
            self._event(number, now)
        if self.talk is not None:
            self.talk.listen_again(now.boot)
        try:
            self._timers(now)
            self._work(now)
            self._consider_leaving(now)
        except (LtspecError, OSError) as error:
            if isinstance(error, CatalogueError) and not error.transient:
                raise
            reason = process.reason(error) if isinstance(error, OSError) else str(error)
            self.agenda.in_trouble(reason, now.boot)
        if self.agenda.is_waiting(now.boot) and self.talk is not None:
            self.talk.synced(
                f"accepted, but the supervisor has to wait: {self.agenda.trouble}"
            )

    def _sleep(self, now: Now) -> list[tuple[int, int]]:
        """The next events; before it sleeps long for them, what is only in memory is committed.

        A task that ends at once makes a turn, whose commit takes that along: it is waited for. One
        that does not has nobody waiting for its successor in a hurry.
        """
        timeout = self._timeout(now)
        turns, starts = self.turns, self.starts
        hurry = turns.unflushed or starts.ahead.is_busy
        if hurry and timeout != 0 and not self.agenda.is_waiting(now.boot):
            soon = FLUSH_SECONDS if timeout is None else min(timeout, FLUSH_SECONDS)
            try:
                starts.prepare()
                events = self.epoll.poll(soon)
                if events:
                    return events
                starts.ahead.give_up()
                if turns.unflushed:
                    turns.flush()
            except CatalogueError as error:
                if not error.transient:
                    raise
                self.agenda.in_trouble(str(error), now.boot)
            timeout = self._timeout(self.clock())
        return self.epoll.poll(timeout)

    def _event(self, number: int, now: Now) -> None:
        running = self.table.by_pidfd.get(number)
        if running is not None:
            self._ended(running, now)
        elif self.talk is not None and self.talk.owns(number):
            if self.talk.handle(number, now.boot):
                self.agenda.asked = self.agenda.look = True
        elif number == self.watcher.file:
            self.watcher.handle(now.boot)
        elif number == self.control.file:
            self.control.event()
        else:
            for errand in self.errands:
                if errand.owns(number):
                    errand.ended()
                    self.agenda.asked = True     # it may have written what is to be followed up

    def _ended(self, running: Running, now: Now) -> None:
        seen = alive.look(running.pidfd, running.pid)
        if seen is None:
            return
        self.epoll.unregister(running.pidfd)
        running.seen = seen
        seam.reached("end.seen")
        if running.ladder is None:
            self.turns.over(running)
        else:
            running.ladder.step_due = min(running.ladder.step_due, now.boot)

    def _work(self, now: Now) -> None:
        agenda = self.agenda
        if agenda.is_waiting(now.boot):
            return
        self.turns.catch_up()
        if agenda.asked:
            self._take_requests(now)
        self.turns.turn(now)
        self.turns.clean_up(now)
        if self._is_behind:
            self._follow_up(now)
        seam.reached("end.published")
        if self.store.errands_written:
            self.store.errands_written = False
            self._wake_errands()
        if self.agenda.times_changed:
            self.agenda.times_changed = False
            self._refresh_due()
        agenda.healed(now.boot)
        if agenda.changed and self.talk:
            self.talk.changed()
            agenda.changed = False
        if self.talk and not (self._is_behind or agenda.asked or agenda.is_waiting(now.boot)):
            self.talk.synced()
        for errand in self.errands:
            errand.step(now)

    @property
    def _is_behind(self) -> bool:
        """True where PID-files are, or may be, to be written."""
        return self.agenda.look or bool(self.publisher.backlog)

    def _follow_up(self, now: Now) -> None:
        """Write PID-files until something happens: of many at once, hand-overs come between. Who
        waits for them waits a little longer, but not for all the tasks that end meanwhile.
        """
        self.starts.prepare()
        if self.polite_until is None:
            self.polite_until = now.boot + POLITE_SECONDS
        if not self.publisher.backlog:
            self.agenda.look = self.publisher.read()
            if self.store.version() != self.heard:
                # Somebody has committed and not told, or not yet: what is asked comes first, and
                # needs are settled, for what was followed up no longer counts as changed.
                self.publisher.backlog.clear()
                self.agenda.asked = self.agenda.look = True
                return
        is_polite = now.boot < self.polite_until
        self.publisher.publish(self._is_called if is_polite else _nobody_calls)
        if self.agenda.look and not self.publisher.backlog:
            self.turns.flush()           # the next chunk is looked for behind them
        if not self._is_behind:
            self.polite_until = None

    def _is_called(self) -> bool:
        return bool(self.epoll.poll(0, 1))

    def _wake_errands(self) -> None:
        for errand in self.errands:
            errand.wake()

    def _take_requests(self, now: Now) -> None:
        self.starts.ahead.drop()
        names = self.starts.journal.names
        with self.store.write():
            self.heard = self.store.version()
            requests = changes.requests(self.store, CHUNK)
            named = {one.key for one in requests if one.what == "remove" and names(one.key)}
            to_end = self.publisher.obey([one for one in requests if one.key not in named], now)
            for running in to_end:
                lifecycle.record_ended_by(self.store, running.key, running.number, "stopped")
        for running in to_end:
            self.ending.begin(running, "stopped", now)
        for line in lifecycle.ready_lines(self.store):
            self.starts.may_start(line)
        self.starts.max_running = int(self.store.setting("max_running", "500"))
        self._refresh_due()
        self.agenda.asked = len(requests) >= CHUNK or bool(named)
        if named:
            self.turns.sync()            # then no slot names them
        self.agenda.changed = self.agenda.look = True
        self._wake_errands()

    # -- attempts ---------------------------------------------------------------------------

    def watch(self, running: Running) -> None:
        """From here on its end is seen (also that of an adopted one)."""
        self.table.add(running)
        self.epoll.register(running.pidfd, select.EPOLLIN)
        self.ending.watch(running)
        self.limited_logs.watch(running, self.clock().boot)

    def adopt(self, running: Running) -> None:
        """An attempt of an earlier supervisor runs on; one that it had begun to end is ended."""
        self.watch(running)
        if running.ended_by:
            self.ending.begin(running, running.ended_by, self.clock())

    def adopt_over(self, running: Running) -> None:
        """An attempt of an earlier supervisor is over; its end is to be committed."""
        self.table.add_over(running)
        self.turns.over(running)

    def _forget(self, running: Running) -> None:
        self.ending.discard(running)

    def finish(self, uid: int, message: dict[str, Any]) -> dict[str, Any]:
        """A task's word about itself through the second socket: its own user, its own token."""
        token = str(message.get("token", ""))
        for running in self.table.by_key.values():
            if running.token == token and running.seen is None and uid in (running.uid, 0):
                said = Finish(bool(message.get("ok")), str(message.get("errmsg", "")))
                try:
                    with self.store.write():
                        lifecycle.finish(self.store, running.key, said)
                except CatalogueError as error:
                    return {"error": str(error)}
                return {"ok": True}
        return {"error": "no running task of yours has this token"}

    # -- timers -----------------------------------------------------------------------------

    def _timers(self, now: Now) -> None:
        self.ending.step(now)
        boot_due, wall_due = self.due
        if (boot_due is not None and boot_due <= now.boot) or (
            wall_due is not None and wall_due <= now.wall
        ):
            with self.store.write():
                for line in lifecycle.release_due(self.store, now=now):
                    self.starts.may_start(line)
            self._refresh_due()
        if self.agenda.sync_due is not None and self.agenda.sync_due <= now.boot:
            self.turns.sync()
        self.limited_logs.step(now)
        self._look_after_directories(now)

    def start_watching(self) -> None:
        """From here on lost PID-files are noticed; what is lost already is published again."""
        if self.watcher.file >= 0:
            self.epoll.register(self.watcher.file, select.EPOLLIN)
        self.watcher.watch_state(self.places)
        self.watcher.watch_root()
        with self.store.write():
            self.watcher.look_at_all()

    def _look_after_directories(self, now: Now) -> None:
        if self.watcher.state_lost:
            self.say("the state directory was taken away: leaving, tasks run on")
            self.leaving = True
        if self.watcher.door_lost:
            self.say("supervisor.sock was taken away: starting anew, tasks run on")
            self.leaving = True
        if self.watcher.step(now.boot):
            self.agenda.look = True
        if self.watcher.root_lost and self.talk is not None:
            furnishing.furnish(self.places)
            self.talk.renew_finishing(furnishing.second_socket(self.places))
            self.watcher.watch_root()

    def _refresh_due(self) -> None:
        self.due = lifecycle.next_due(self.store)

    def _timeout(self, now: Now) -> float | None:
        """Seconds until the next timer, None to sleep until an event."""
        agenda = self.agenda
        if agenda.is_waiting(now.boot):
            return agenda.trouble_until - now.boot
        if self._is_behind or agenda.asked or self.turns.pending:
            return 0
        times = [
            self.idle_due(), self.agenda.sync_due, self.limited_logs.due, self.watcher.due,
            *(errand.due(now) for errand in self.errands), *self.ending.times(now),
        ]
        if self.talk is not None:
            times.append(self.talk.deaf_until)
        boot_due, wall_due = self.due
        times.append(boot_due)
        if wall_due is not None:
            times.append(now.boot + min(max(0.0, wall_due - now.wall), WALL_LOOK_SECONDS))
        known = [time for time in times if time is not None]
        return max(0.0, min(known) - now.boot) + 0.0005 if known else None

    # -- leaving ----------------------------------------------------------------------------

    def idle_due(self) -> float | None:
        """When to leave if nothing happens until then (boot clock)."""
        if self.idle_exit is None or self.idle_since is None:
            return None
        return self.idle_since + self.idle_exit

    def _consider_leaving(self, now: Now) -> None:
        """Leave after `idle_exit` seconds without a task, a report or a connection.

        What waits for a time or in a paused queue keeps the supervisor, at no cost: it is asked
        once, and again only after something has happened.
        """
        busy = self.table.by_key or self._is_behind or self.turns.pending or any(
            errand.active for errand in self.errands
        )
        if busy or (self.talk and self.talk.trusted_count):
            self.idle_since = None
            self.must_stay = False
            return
        if self.must_stay:
            return
        if self.idle_since is None:
            self.idle_since = now.boot
        due = self.idle_due()
        if due is None or now.boot < due:
            return
        if lifecycle.has_work(self.store):
            self.must_stay = True
            self.idle_since = None
            return
        seam.reached("exit.decided")
        self.leaving = True


def _nobody_calls() -> bool:
    return False
