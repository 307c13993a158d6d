"""Keeps history within the config's `retention`: age, number of ended tasks, bytes of logs.

    python -m ltspec.supervisor.retention --state-dir DIR --run-dir DIR

`prune` does it on demand. The supervisor starts this program, a short-lived process of its own as
it may have many files to look at: once an hour, with the limits that the last `apply` stored. Logs
of running attempts are never touched; a log goes before its row, so that a kill in between leaves a
row without a log, not a log that nobody knows.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from ltspec import process
from ltspec.catalogue import Store, enqueue, history, open_store
from ltspec.catalogue.history import Forgettable, Old
from ltspec.clock import now as clock_now
from ltspec.errors import CatalogueError
from ltspec.paths import Places

EVERY_SECONDS = 3600.0
_DONE = "retention_done"     # the setting that holds when it was last applied (wall clock)


class Limits(NamedTuple):
    """What is kept; None is without bound. Seconds, tasks, bytes."""

    age: float | None = None
    tasks: int | None = None
    size: int | None = None


class Chosen(NamedTuple):
    """What is over the limits."""

    attempts: list[Old]
    tasks: list[Forgettable]
    bytes: int


def stored_limits(store: Store) -> Limits:
    """The limits of the configuration that was last applied."""
    age, tasks, size = (store.setting(f"retention_{name}") for name in ("age", "tasks", "size"))
    return Limits(
        float(age) if age else None, int(tasks) if tasks else None, int(size) if size else None
    )


def choose(
    store: Store, places: Places, limits: Limits, now: float, queue: str | None = None
) -> Chosen:
    """What would have to go. Reads only."""
    before = None if limits.age is None else now - limits.age
    attempts = history.ended_attempts(store, before, queue) if before is not None else []
    tasks = _tasks(store, limits, before, queue)
    gone = {(one.key, one.number) for one in attempts}
    size = sum(_log_size(places, one) for one in attempts)
    if limits.size is not None:
        kept = [a for a in history.ended_attempts(store, queue=queue)
                if (a.key, a.number) not in gone]
        sizes = [_log_size(places, one) for one in kept]
        over = sum(sizes) - limits.size
        for one, of_one in zip(kept, sizes, strict=True):
            if over <= 0:
                break
            if of_one:
                attempts.append(one)
                over -= of_one
                size += of_one
    with_logs = [one for one in attempts if not one.last or _log_size(places, one)]
    return Chosen(with_logs, tasks, size)


def _tasks(
    store: Store, limits: Limits, before: float | None, queue: str | None
) -> list[Forgettable]:
    found = [t for t in history.ended_tasks(store, queue)
             if not t.source or not os.path.lexists(t.source)]
    over = set() if limits.tasks is None else {task.key for task in found[limits.tasks :]}
    return [t for t in found if t.key in over or (before is not None and t.ended < before)]


def forget(store: Store, places: Places, chosen: Chosen) -> None:
    """Remove the logs, then the rows; the tasks are marked, the supervisor takes them away."""
    for one in chosen.attempts:
        for name in places.log_files(one.manager, one.queue, one.id, one.number):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    with store.write():
        history.forget_attempts(store, chosen.attempts)
        for task in chosen.tasks:
            enqueue.remove_ended(store, task.key)


def next_due(store: Store) -> float | None:
    """When the supervisor wants it applied next (wall clock); None without any limit."""
    if stored_limits(store) == Limits():
        return None
    return float(store.setting(_DONE, "0")) + EVERY_SECONDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Apply the stored limits once and return 0; 5 where the catalogue cannot be used."""
    import argparse  # the supervisor imports this module and has no use for it

    parser = argparse.ArgumentParser(prog="python -m ltspec.supervisor.retention")
    parser.add_argument("--state-dir", required=True)
    parser.add_argument("--run-dir", required=True)
    options = parser.parse_args(arguments)
    places = Places(options.state_dir, options.run_dir)
    try:
        with process.only_one(places.state_dir + "/retention.lock") as alone:
            if not alone:
                return process.BUSY
            store = open_store(places.catalogue)
            try:
                _apply(store, places)
            finally:
                store.close()
    except CatalogueError as error:
        sys.stderr.write(f"retention: {error}\n")
        return error.exit_code
    return 0


def _apply(store: Store, places: Places) -> None:
    now = clock_now().wall
    chosen = choose(store, places, stored_limits(store), now)
    forget(store, places, chosen)
    with store.write():
        store.set_setting(_DONE, str(now))
    if chosen.attempts or chosen.tasks:
        sys.stderr.write(
            f"retention: forgot {len(chosen.attempts)} attempts, {len(chosen.tasks)} tasks and"
            f" {chosen.bytes} bytes of logs\n"
        )


def _log_size(places: Places, one: Old) -> int:
    try:
        return os.lstat(places.log(one.manager, one.queue, one.id, one.number)).st_size
    except FileNotFoundError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
