"""The hook runner: a short-lived process that runs the `on_finish` commands that are due.

    python -m ltspec.supervisor.hooks --state-dir DIR --run-dir DIR

The supervisor starts it, one at a time (a lock file guards that). A command runs as the task's
user, in its working directory, with its environment but for the secrets, and with the facts of the
end. Its failure changes nothing of the task: it is kept, shown by `show`, and said in
supervisor.log. It has ten minutes; then what is left of its process group is killed.
"""

import argparse
import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

from ltspec import alive, clock, process
from ltspec.catalogue import Store, hooks, open_store
from ltspec.catalogue.hooks import Pending
from ltspec.errors import CatalogueError
from ltspec.model import TaskSpec
from ltspec.paths import HOOK_SUFFIX, Places
from ltspec.spec import environment
from ltspec.states import Seen
from ltspec.supervisor import identity, logs
from ltspec.supervisor.errands import NUDGE

TIME_LIMIT = 600.0
AT_ONCE = 4
_AGAIN_SECONDS = 5.0           # between two kills of one that does not go
_NOT_FOR_HOOKS = ("LTSPEC_TOKEN", "LTSPEC_PROGRESS")   # they speak for a running attempt


class _Running(NamedTuple):
    hook: Pending
    spec: TaskSpec
    pid: int
    pidfd: int
    error_fd: int                  # tells why the command never came to be
    deadline: float                # boot clock
    late: bool = False             # it was over its time and has been killed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is due and return 0; 5 where the catalogue cannot be used, BUSY beside another."""
    parser = argparse.ArgumentParser(prog="python -m ltspec.supervisor.hooks")
    parser.add_argument("--state-dir", required=True)
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT, help="seconds for one")
    options = parser.parse_args(arguments)
    places = Places(options.state_dir, options.run_dir)
    try:
        with process.only_one(places.state_dir + "/hooks.lock") as alone:
            if not alone:
                return process.BUSY
            store = open_store(places.catalogue)
            try:
                Runner(store, places, options.time_limit).run()
            finally:
                store.close()
    except CatalogueError as error:
        _say(str(error))
        return error.exit_code
    return 0


class Runner:
    """All commands of one life; `run` returns when none is left."""

    def __init__(self, store: Store, places: Places, time_limit: float) -> None:
        self.store = store
        self.places = places
        self.time_limit = time_limit
        self._running: dict[int, _Running] = {}          # by pidfd
        self._nudged, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(NUDGE, lambda *_: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def run(self) -> None:
        """Start what waits, at most AT_ONCE at the same time, and record each end."""
        with self.store.write():
            unseen = hooks.give_up_unseen(self.store, now=clock.now())
        if unseen:
            _say(f"{len(unseen)} on_finish commands were left behind: {hooks.UNSEEN}")
        self._fill()
        while self._running:
            for number in self._wait():
                self._ended(self._running.pop(number))
            self._end_late()
            self._fill()

    def _wait(self) -> list[int]:
        """The pidfds of those that have ended; returns early when there is more to start."""
        poller = select.poll()
        poller.register(self._nudged, select.POLLIN)
        for number in self._running:
            poller.register(number, select.POLLIN)
        first = min(one.deadline for one in self._running.values())
        found = poller.poll(max(0.0, first - clock.now().boot) * 1000 + 1)
        ready = [number for number, _ in found]
        if self._nudged in ready:
            os.read(self._nudged, 4096)
            ready.remove(self._nudged)
        return ready

    def _fill(self) -> None:
        free = AT_ONCE - len(self._running)
        busy = [one.hook.key for one in self._running.values()]
        for hook in hooks.pending(self.store, free, busy) if free else ():
            now = clock.now()
            with self.store.write(durable=True):
                hooks.start(self.store, hook.key, now=now)
            self._start(hook, now.boot)

    def _start(self, hook: Pending, boot: float) -> None:
        spec = TaskSpec.from_json(hook.spec)
        try:
            user = identity.resolve(spec.user, spec.group)
            log = logs.open_log(self._log(spec, hook), user)
        except process.CannotStart as error:
            self._record(hook, spec, f"cannot start: {error}")
            return
        except OSError as error:
            self._record(hook, spec, f"cannot start: {process.reason(error)}")
            return
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            pid, error_fd = process.fork_and_prepare(
                [(null, 0), (log, 1), (log, 2)], None, lambda: self._become(hook, spec, user)
            )
            pidfd = os.pidfd_open(pid)
            self._running[pidfd] = _Running(
                hook, spec, pid, pidfd, error_fd, boot + self.time_limit
            )
        except OSError as error:
            self._record(hook, spec, f"cannot start: {process.reason(error)}")
        finally:
            os.close(null)
            os.close(log)

    def _log(self, spec: TaskSpec, hook: Pending) -> str:
        return self.places.log(spec.manager, spec.queue, spec.id, hook.attempt) + HOOK_SUFFIX

    def _become(
        self, hook: Pending, spec: TaskSpec, user: identity.User | None
    ) -> tuple[str, list[str], dict[str, str]]:
        """In the child: the user, the directory and the environment of the command."""
        if user is not None:
            identity.become(user)
        os.umask(0o077 if spec.umask is None else spec.umask)
        os.chdir(spec.cwd)
        files: dict[str, str] = {}
        for path in spec.env_files:
            files.update(environment.read_file(path))
        env = self._environment(hook, spec, user or identity.own(), files)
        base = spec.base_dir or spec.cwd
        program = process.find_program(hook.command[0], env["PATH"], base)
        return program, list(hook.command), env

    def _environment(
        self, hook: Pending, spec: TaskSpec, user: identity.User, files: dict[str, str]
    ) -> dict[str, str]:
        places = self.places
        directory = "/".join(part for part in (places.run_dir, spec.manager, spec.queue) if part)
        env = environment.build(
            spec,
            pidfile=f"{directory}/{hook.file}",
            token="",
            attempt=hook.attempt,
            user=environment.UserFacts(user.name, user.home, user.shell),
            state_dir=places.state_dir,
            run_dir=places.run_dir,
            tools=places.tools,
            progress="",
            files=files,
            secrets={},
        )
        for name in _NOT_FOR_HOOKS:
            del env[name]
        log = places.log(spec.manager, spec.queue, spec.id, hook.attempt) if hook.attempt else ""
        return {
            **env, **hook.facts,
            "LTSPEC_NAME": spec.name or spec.id, "LTSPEC_REFERENCE": spec.reference,
            "LTSPEC_WHEN": hook.moment, "LTSPEC_LOG": log,
        }

    def _ended(self, one: _Running) -> None:
        seen = alive.look(one.pidfd, one.pid) or Seen()
        failure = process.read_failure(one.error_fd)
        os.close(one.error_fd)
        alive.reap(one.pidfd)
        os.close(one.pidfd)
        if failure:
            problem = f"cannot start: {failure.words}"
        elif one.late:
            problem = f"it was killed after {self.time_limit:g} s"
        elif seen.signal is not None:
            problem = f"signal {seen.signal}"
        else:
            problem = f"exit code {seen.code}" if seen.code else ""
        self._record(one.hook, one.spec, problem)

    def _end_late(self) -> None:
        now = clock.now().boot
        for number, one in self._running.items():
            if now >= one.deadline:
                alive.signal_group(one.pid, signal.SIGKILL)
                self._running[number] = one._replace(deadline=now + _AGAIN_SECONDS, late=True)

    def _record(self, hook: Pending, spec: TaskSpec, problem: str) -> None:
        with self.store.write():
            hooks.end(self.store, hook.key, problem, now=clock.now())
        if problem:
            _say(f"on_finish ({hook.moment}) of {spec.reference} failed: {problem}")


def _say(text: str) -> None:
    sys.stderr.write(f"hooks: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
