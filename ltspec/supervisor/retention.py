"""Keeps history within the config's `retention`: age, number of ended tasks, bytes of logs.

`prune` does it on demand, the supervisor from time to time with the limits that the last `apply`
stored. Logs of running attempts are never touched; a log goes before its row, so that a kill in
between leaves a row without a log, not a log that nobody knows.
"""

import contextlib
import os
from typing import NamedTuple

from ltspec.catalogue import Store, enqueue, history
from ltspec.catalogue.history import Forgettable, Old
from ltspec.paths import Places


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
        path = places.log(one.manager, one.queue, one.id, one.number)
        for name in (path, path + ".progress"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    with store.write():
        history.forget_attempts(store, chosen.attempts)
        for task in chosen.tasks:
            enqueue.remove_ended(store, task.key)


def _log_size(places: Places, one: Old) -> int:
    try:
        return os.lstat(places.log(one.manager, one.queue, one.id, one.number)).st_size
    except FileNotFoundError:
        return 0
