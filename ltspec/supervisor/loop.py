"""The supervisor's loop: one step with the time as an argument, single-threaded, no polling.

It sleeps until a process ends (its pidfd becomes readable), a message comes, or the next timer is
due. One step: take in what has happened; a `turn` commits ends together with the next start and
spawns (hand over first); then what is left is done while the new task runs: reaping, PID-files,
reports, answers. Memory follows the catalogue: it is changed only after the commit.
"""

import heapq
import os
import random
import select
from collections.abc import Callable
from typing import Any, NamedTuple

from ltspec import pidfile, process
from ltspec.catalogue import Store, lifecycle
from ltspec.clock import Now
from ltspec.errors import CatalogueError
from ltspec.paths import Places
from ltspec.states import End, Finish, Outcome, Status, decide_end
from ltspec.supervisor import furnishing, logs, starting, stopping
from ltspec.supervisor.publishing import CHUNK, Publisher
from ltspec.supervisor.reporting import Reporting
from ltspec.supervisor.running import Running, Table
from ltspec.supervisor.scheduling import TROUBLE_SECONDS, compact_duration, retry_delay
from ltspec.supervisor.seam import reached
from ltspec.supervisor.talk import Talk
from ltspec.supervisor.watching import Watcher

STARTS_A_TURN = 16
WALL_LOOK_SECONDS = 60.0   # instants are looked at again this often: the wall clock may jump


class Failed(NamedTuple):
    """A start that was committed and then could not be done."""

    key: int
    number: int
    end: End | None               # None: try again, it certainly did not start


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
        guardian: "Guardian",
        idle_exit: float | None,
        clock: Callable[[], Now],
        say: Callable[[str], None],
    ) -> None:
        self.store = store
        self.places = places
        self.epoll = epoll
        self.boot_id = boot_id
        self.guardian = guardian
        self.idle_exit = idle_exit
        self.clock = clock
        self.say = say
        self.table = Table()
        self.publisher = Publisher(store, run, places, self.table, say)
        self.reporting = Reporting(store, places, epoll, say)
        self.watcher = Watcher(store, run, self.table, say)
        self.talk: Talk | None = None
        self.lines: dict[tuple[str, str], None] = {}     # to be looked at for a start, in order
        self.over: list[Running] = []                    # ended, not committed
        self.failed: list[Failed] = []
        self.unrecorded: list[Running] = []              # started, pid not committed
        self.afterwards: list[Running] = []              # committed, to be reaped and closed
        self.stopping: set[Running] = set()
        self.deadlines: list[tuple[float, int, int]] = []
        self.asked = True                                # somebody wrote into the catalogue
        self.look = True                                 # rows may be waiting to be followed up
        self.changed = False
        self.idle_since: float | None = None
        self.must_stay = False
        self.trouble = ""
        self.trouble_until = 0.0
        self.next_wall_look = 0.0
        self.due: tuple[float | None, float | None] = (None, None)
        self.max_running = 500
        self.limited_logs: set[Running] = set()
        self.next_log_look: float | None = None
        self.leaving = False

    # -- one step ---------------------------------------------------------------------------

    def step(self, now: Now) -> None:
        """Sleep until something is to be done, and do it."""
        events = self.epoll.poll(self._timeout(now))
        now = self.clock()
        for number, _ in events:
            self._event(number)
        if self.talk is not None:
            self.talk.listen_again(now.boot)
        try:
            self._timers(now)
            self._work(now)
            self._consider_leaving(now)
        except (CatalogueError, OSError) as error:
            if not isinstance(error, OSError) and not error.transient:
                raise
            self._in_trouble(str(error), now)

    def _work(self, now: Now) -> None:
        if now.boot < self.trouble_until:
            return
        if self.asked:
            self._take_requests(now)
        self._turn(now)
        self._clean_up()
        if self.look:
            rows = self.publisher.rows()
            self.publisher.publish(rows)
            reached("end.published")
            self._flush()
            self.look = len(rows) >= CHUNK
        self._healed()
        if self.changed and self.talk:
            self.talk.changed()
            self.changed = False
        if self.talk and not (self.look or self.asked):
            self.talk.synced()
        self.reporting.step(now)

    def _event(self, number: int) -> None:
        running = self.table.by_pidfd.get(number)
        if running is not None:
            self._ended(running)
        elif self.talk is not None and self.talk.owns(number):
            if self.talk.handle(number, self.clock().boot):
                self.asked = self.look = True
        elif self.reporting.owns(number):
            self.reporting.ended()
        elif number == self.watcher.file:
            self.watcher.handle(self.clock().boot)
        else:
            self.guardian.event(number)

    # -- ends -------------------------------------------------------------------------------

    def _ended(self, running: Running) -> None:
        seen = process.look(running.pidfd, running.pid)
        if seen is None:
            return
        self.epoll.unregister(running.pidfd)
        running.seen = seen
        reached("end.seen")
        if running.ladder is None:
            self.over.append(running)
        else:
            running.ladder.step_due = min(running.ladder.step_due, self.clock().boot)

    def _decide(self, running: Running) -> End:
        failure = running.start_failure()
        if failure and not running.ended_by:
            return End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {failure}")
        spec = running.spec
        return decide_end(
            running.seen,
            success_codes=spec.success_codes,
            ended_by=running.ended_by,
            finish=lifecycle.said(self.store, running.key, running.number),
            must_report=spec.report == "self",
        )

    def _commit_end(self, running: Running, now: Now) -> None:
        end = self._decide(running)
        delay = retry_delay(running.spec.retries, running.retried, end, random.random())  # noqa: S311 - jitter
        became = lifecycle.end_attempt(
            self.store, running.key, running.number, end,
            now=now, boot_id=self.boot_id, retry_delay=delay, survivors=running.survivors,
        )
        self.asked = self.asked or became.what == "removed"

    # -- a turn: ends and starts ------------------------------------------------------------

    def _turn(self, now: Now) -> None:
        """Commit what has ended, and start what may start; one commit serves an end and a start."""
        for _ in range(STARTS_A_TURN):
            over, failed = self.over, self.failed
            if not (over or failed or self.lines):
                break
            prepared = None
            number = 0
            try:
                with self.store.write(durable=bool(self.lines or over)):
                    self._record_pids()
                    self.publisher.flush()
                    self._commit_failed(now)
                    for running in over:
                        self._commit_end(running, now)
                        self.lines.setdefault(running.line)
                    prepared, number = self._choose(now, over)
            except BaseException:
                if prepared is not None:
                    prepared.close()
                raise
            self._committed(over, failed)
            if prepared is None:
                break
            self._start(prepared, number, now)
            if now.boot < self.trouble_until:
                break
        if self.unrecorded or self.failed:
            failed = self.failed
            with self.store.write():
                self._record_pids()
                self._commit_failed(now)
                self.publisher.flush()
            self._committed([], failed)

    def _committed(self, over: list[Running], failed: list[Failed]) -> None:
        if self.unrecorded:
            reached("start.recorded")
        self.unrecorded.clear()
        self.publisher.flushed()
        for running in over:
            self.table.discard(running)
            self.stopping.discard(running)
            self.afterwards.append(running)
        if over or failed:
            self.look = self.changed = True
            self.reporting.wake()
            self._refresh_due()
        if over:
            reached("end.committed")
            self.over = []
        if failed:
            self.asked = True    # what was asked of it while it was about to start
            self.failed = []

    def _record_pids(self) -> None:
        for running in self.unrecorded:
            lifecycle.record_pid(
                self.store, running.key, running.number, running.pid, running.ticks
            )

    def _commit_failed(self, now: Now) -> None:
        for failed in self.failed:
            if failed.end is None:
                lifecycle.undo_start(self.store, failed.key, failed.number)
            else:
                lifecycle.end_attempt(
                    self.store, failed.key, failed.number, failed.end,
                    now=now, boot_id=self.boot_id,
                )

    def _choose(self, now: Now, over: list[Running]) -> tuple[starting.Prepared | None, int]:
        """The next start, made ready and written as RUN; inside the transaction of the turn."""
        freed = [running.line for running in over]
        running_now = len(self.table) - len(over)
        for line in self.store.released:
            self.lines.setdefault(line)
        self.store.released.clear()
        while self.lines and running_now < self.max_running:
            line = next(iter(self.lines))
            del self.lines[line]
            taken = self.table.taken[line] - freed.count(line)
            if lifecycle.slots(self.store, *line) <= taken:
                continue
            task = lifecycle.next_ready(self.store, *line)
            if task is None:
                continue
            self.lines[line] = None  # at the end: the other lines have their turn first
            try:
                prepared = starting.prepare(task, self.places, self.publisher.run)
            except OSError as error:     # the ends of this turn are committed all the same
                self._in_trouble(f"cannot start {task.id}: {process.reason(error)}", now)
                return None, 0
            reached("start.prepared")
            try:
                number = lifecycle.start_attempt(
                    self.store, task, prepared.token, now=now, boot_id=self.boot_id
                )
            except BaseException:
                prepared.discard(self.places, self.publisher.run)
                raise
            if number is None:
                prepared.discard(self.places, self.publisher.run)
                continue
            if not prepared.problem:
                return prepared, number
            prepared.close()
            self._end_unstarted(task.key, number, prepared.problem, now)
        return None, 0

    def _end_unstarted(self, key: int, number: int, problem: str, now: Now) -> None:
        end = End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {problem}")
        lifecycle.end_attempt(self.store, key, number, end, now=now, boot_id=self.boot_id)
        self.look = self.changed = True

    def _start(self, prepared: starting.Prepared, number: int, now: Now) -> None:
        reached("start.committed")
        self.look = self.changed = True
        key = prepared.task.key
        lock = None
        try:
            lock = self._publish_running(prepared)
            reached("start.published")
            launched = starting.launch(prepared, self.places, lock)
        except process.CannotStart as error:
            end = End(Status.ERR, Outcome.NOT_STARTED, f"cannot start: {error}")
            self.failed.append(Failed(key, number, end))
            _close(lock)
            prepared.close()
        except OSError as error:
            self.failed.append(Failed(key, number, None))
            _close(lock)
            prepared.close()
            reason = process.reason(error)
            self._in_trouble(f"cannot start {prepared.spec.reference}: {reason}", now)
        else:
            reached("start.spawned")
            prepared.close()     # first, so that the process's descriptor can be had
            try:
                self._watch_started(prepared, number, launched, now)
            except OSError as error:
                message = f"process {launched.pid} cannot be watched: {error}"
                raise RuntimeError(message) from error    # the next supervisor finds it by its mark

    def _publish_running(self, prepared: starting.Prepared) -> int | None:
        try:
            return starting.publish_running(self.publisher.run, prepared)
        except pidfile.NameTaken as error:
            message = f"the PID-file's name {error} is taken by a file that is not ltspec's"
            raise process.CannotStart(message) from error
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            self.say(f"the PID-file of {prepared.spec.reference} is blocked: {error}")
            return None

    def _watch_started(
        self, prepared: starting.Prepared, number: int, launched: starting.Launched, now: Now
    ) -> None:
        pidfd = os.pidfd_open(launched.pid)
        running = Running(
            key=prepared.task.key, number=number, token=prepared.token, spec=prepared.spec,
            file=prepared.task.file, pid=launched.pid,
            ticks=process.start_ticks(launched.pid) or 0, pidfd=pidfd, started_boot=now.boot,
            retried=prepared.task.retried,
            uid=prepared.user.uid if prepared.user else os.geteuid(),
            lock=launched.lock, error_fd=launched.error_fd, script=launched.script,
        )
        if running.lock is not None:
            pidfile.fill_pid(running.lock, running.pid)
        running.published = True
        self.unrecorded.append(running)
        self.watch(running)

    def watch(self, running: Running) -> None:
        """From here on its end is seen (also that of an adopted one)."""
        self.table.add(running)
        self.epoll.register(running.pidfd, select.EPOLLIN)
        if running.deadline is not None:
            heapq.heappush(self.deadlines, (running.deadline, running.key, running.number))
        if running.spec.log_max_size is not None:
            logs.watch(self, running)

    # -- afterwards -------------------------------------------------------------------------

    def _clean_up(self) -> None:
        """What an ended attempt leaves to do, while the next one runs already."""
        for running in self.afterwards:
            if running.pidfd >= 0 and not process.reap(running.pidfd):
                self.guardian.reap(running.pid)
            running.close()
            if running.script is not None:
                _unlink(running.script)
            reached("end.reaped")
        self.afterwards.clear()

    def _flush(self) -> None:
        if self.publisher.followed:
            with self.store.write():
                self.publisher.flush()
            self.publisher.flushed()

    def _take_requests(self, now: Now) -> None:
        rows = self.publisher.rows()
        with self.store.write():
            to_end = self.publisher.obey(rows, now)
            for running in to_end:
                lifecycle.record_ended_by(self.store, running.key, running.number, "stopped")
        for running in to_end:
            self._end(running, "stopped", now)
        for line in lifecycle.ready_lines(self.store):
            self.lines.setdefault(line)
        self.max_running = int(self.store.setting("max_running", "500"))
        self._refresh_due()
        self.asked = len(rows) >= CHUNK
        self.changed = self.look = True
        self.reporting.wake()

    # -- timers -----------------------------------------------------------------------------

    def _timers(self, now: Now) -> None:
        while self.deadlines and self.deadlines[0][0] <= now.boot:
            _, key, number = self.deadlines[0]
            running = self.table.by_key.get(key)
            if running is not None and running.number == number and running.ladder is None:
                self._timeout_of(running, now)
            heapq.heappop(self.deadlines)      # not before its reason is committed
        for running in list(self.stopping):
            self._climb(running, now)
        boot_due, wall_due = self.due
        if (boot_due is not None and boot_due <= now.boot) or (
            wall_due is not None and wall_due <= now.wall
        ):
            with self.store.write():
                for line in lifecycle.release_due(self.store, now=now):
                    self.lines.setdefault(line)
            self._refresh_due()
        logs.look(self, now)
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
        if self.watcher.step(now.boot):
            self.look = True
        if self.watcher.root_lost and self.talk is not None:
            furnishing.furnish(self.places)
            self.talk.renew_finishing(furnishing.second_socket(self.places, None))
            self.watcher.watch_root()

    def _timeout_of(self, running: Running, now: Now) -> None:
        reason = f"timeout after {compact_duration(running.spec.timeout or 0)}"
        with self.store.write():
            lifecycle.record_ended_by(self.store, running.key, running.number, reason)
        self._end(running, reason, now)

    def end(self, running: Running, reason: str, now: Now) -> None:
        """End an attempt for a reason of ltspec's own; the reason is committed first."""
        with self.store.write():
            lifecycle.record_ended_by(self.store, running.key, running.number, reason)
        self._end(running, reason, now)

    def _end(self, running: Running, reason: str, now: Now) -> None:
        if running.seen is not None:
            return  # it ended by itself in the same moment
        running.ended_by = reason
        running.ladder = stopping.Ladder(running.spec.kill)
        running.ladder.step_due = now.boot
        self.stopping.add(running)
        self._climb(running, now)

    def resume_ending(self, running: Running) -> None:
        """An earlier supervisor had begun to end it: begin again at the top of the ladder."""
        self._end(running, running.ended_by, self.clock())

    def _climb(self, running: Running, now: Now) -> None:
        if running in self.over:
            return
        named = running.survivors
        stopping.climb(running, now.boot)
        if stopping.is_over(running):
            self.over.append(running)
        if running.survivors != named:
            self.say(f"{running.spec.reference} cannot be ended: {running.survivors}")

    def _refresh_due(self) -> None:
        self.due = lifecycle.next_due(self.store)

    def _timeout(self, now: Now) -> float | None:
        """Seconds until the next timer, None to sleep until an event."""
        if now.boot < self.trouble_until:
            return self.trouble_until - now.boot
        if self.look or self.asked or self.over or self.failed or self.afterwards:
            return 0
        if self.lines and len(self.table) < self.max_running:
            return 0
        times = [self.idle_due(), logs.due(self), self.reporting.due(now), self.watcher.due]
        if self.talk is not None:
            times.append(self.talk.deaf_until)
        if self.deadlines:
            times.append(self.deadlines[0][0])
        for running in self.stopping:
            times.append(
                now.boot + stopping.SCAN_SECONDS if running.seen else running.ladder.due()
            )
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
        busy = self.table.by_key or self.look or self.over or self.reporting.active
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
        reached("exit.decided")
        self.leaving = True

    # -- trouble ----------------------------------------------------------------------------

    def _in_trouble(self, message: str, now: Now) -> None:
        """The disk is full or the like: nothing is lost, wait and try again."""
        if message != self.trouble:
            self.say(f"waiting: {message}")
            self.trouble = message
        self.trouble_until = now.boot + TROUBLE_SECONDS
        self.look = True
        if self.talk:
            self.talk.synced(f"accepted, but the supervisor has to wait: {message}")

    def _healed(self) -> None:
        if self.trouble and self.clock().boot >= self.trouble_until:
            self.say("going on")
            self.trouble = ""

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


class Guardian:
    """What the supervisor says to its guardian, and that it is alive."""

    def __init__(self, control: int) -> None:
        self.control = control
        self.lost = False

    def ready(self, pids: list[int]) -> None:
        """The attempts of an earlier supervisor that are watched; all other orphans are free."""
        for start in range(0, len(pids), 100):
            self._say("keep " + " ".join(map(str, pids[start : start + 100])))
        self._say("ready")

    def reap(self, pid: int) -> None:
        """The end of this orphan is committed."""
        self._say(f"reap {pid}")

    def event(self, number: int) -> None:
        """The control socket became readable: the guardian never writes, so it is gone."""
        if number == self.control:
            self.lost = True

    def _say(self, text: str) -> None:
        try:
            os.write(self.control, text.encode() + b"\n")
        except OSError:
            self.lost = True


def _close(number: int | None) -> None:
    if number is not None:
        os.close(number)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


