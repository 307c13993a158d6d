"""From loaded specs to accepted tasks: what `apply`, `plan` and `watch` share.

`plan` is the real thing inside a transaction that is rolled back, so it cannot say anything else
than what `apply` would do at this moment.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial

from ltspec import clock
from ltspec.catalogue import Store, details, enqueue, listing, open_store, queues
from ltspec.catalogue.enqueue import Change, QueueSettings
from ltspec.commands import session
from ltspec.decision import decide
from ltspec.model import HELD_TIME
from ltspec.output.recap import Declared, Missing, Placed
from ltspec.states import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ltspec.config import Config
    from ltspec.model import TaskSpec
    from ltspec.paths import Places
    from ltspec.spec.loading import Loaded


def store_settings(store: Store, config: Config) -> list[str]:
    """Write what the config says of queues and the supervisor; the queues that changed."""
    if not config.file:
        return []
    store.set_setting("max_running", str(config.max_running))
    for name, value in zip(config.retention._fields, config.retention, strict=True):
        store.set_setting(f"retention_{name}", "" if value is None else str(value))
    settings = {n: QueueSettings(q.slots, q.on_reboot) for n, q in config.queues.items()}
    changed = enqueue.declare_queues(store, config.manager, settings)
    for name, wanted in config.queues.items():
        if wanted.paused is not None:
            queues.set_paused(store, queues.find_queue(store, f"{config.manager}/{name}"),
                              wanted.paused)
    return changed


def declare(
    store: Store, loaded: Loaded, config: Config, *, force: bool = False,
    changes_only: bool = False, remove_missing: bool = False, explain: bool = False,
    partial_files: bool = False, texts: list[str] | None = None,
) -> Declared:
    """Take the tasks in; call it inside `Store.write`. `explain` fills `placed` (for plan), `texts`
    is for `enqueue`.

    `force`, `changes_only`: see `decision.decide`. `partial_files`: --tags chose only some tasks,
    so what is absent is not missing.
    """
    now = clock.now()
    changed = store_settings(store, config)
    before = _definitions(store, loaded) if explain else {}
    decision = partial(decide, force=force, changes_only=changes_only, now=now.wall)
    changes = enqueue.enqueue(store, loaded.tasks, decision, now=now, boot_id=clock.boot_id(),
                              texts=texts)
    missing = [] if partial_files else _missing(store, loaded, changes, remove=remove_missing)
    placed = _placed(store, changes, before) if explain else {}
    return Declared(loaded, changes, missing, changed, placed)


def _definitions(store: Store, loaded: Loaded) -> dict[tuple[str, str, str], TaskSpec]:
    found = {_identity(spec): details.definition(store, *_identity(spec)) for spec in loaded.tasks}
    return {identity: spec for identity, spec in found.items() if spec is not None}


def _identity(spec: TaskSpec) -> tuple[str, str, str]:
    return spec.manager, spec.queue, spec.id


def _missing(
    store: Store, loaded: Loaded, changes: list[Change], *, remove: bool
) -> list[Missing]:
    keep = {change.key for change in changes if change.key is not None}
    found = []
    for source in filter(None, loaded.files):
        for key, queue, task_id, status in enqueue.missing(store, source, keep):
            removed = remove and status == Status.QUE
            if removed:
                enqueue.request(store, key, "remove")
            reference = f"{queue}/{task_id}" if queue else task_id
            found.append(Missing(source, key, reference, status, removed))
    return found


def _placed(
    store: Store, changes: list[Change], before: Mapping[tuple[str, str, str], TaskSpec]
) -> dict[int, Placed]:
    keys = [change.key for change in changes if change.key is not None]
    tasks = {task.key: task for task in listing.by_keys(store, keys)}
    lines = {(task.manager, task.queue) for task in tasks.values() if task.status is Status.QUE}
    turns = {key: turn for line in lines for key, turn in listing.turns(store, *line).items()}
    paused = queues.paused(store)
    placed = {}
    for change in changes:
        task = tasks.get(change.key or 0)
        if task is None:
            continue
        waits = task.status is Status.QUE
        blocked = [
            need.task.reference for need in details.needs(store, task.key)
            if need.task.status in (Status.QUE, Status.RUN)
        ] if waits and change.spec.needs else []
        placed[task.key] = Placed(
            before=before.get(_identity(change.spec)),
            turn=turns.get(task.key) if task.queue else None,
            blocked_by=tuple(blocked),
            due=task.due if waits and task.held & HELD_TIME else None,
            paused=waits and (task.manager, task.queue) in paused,
        )
    return placed


class _RolledBack(Exception):
    """Leaves the transaction of a rehearsal."""


def rehearse(
    where: Places, loaded: Loaded, config: Config, *, force: bool = False,
    remove_missing: bool = False, partial_files: bool = False,
) -> Declared:
    """What `declare` would do now. Nothing is written, no supervisor is started."""
    with _some_store(where) as store:
        result: list[Declared] = []
        with contextlib.suppress(_RolledBack), store.write():
            result.append(declare(store, loaded, config, force=force, explain=True,
                                  remove_missing=remove_missing, partial_files=partial_files))
            raise _RolledBack
    return result[0]


@contextlib.contextmanager
def _some_store(where: Places) -> Iterator[Store]:
    """The catalogue, or an empty one in a temporary directory where there is none yet."""
    if session.has_catalogue(where):
        with contextlib.closing(open_store(where.catalogue)) as store:
            yield store
        return
    import tempfile  # with all it loads it is a tenth of an apply's start

    with tempfile.TemporaryDirectory(prefix="ltspec-plan-") as directory:
        path = os.path.join(directory, "catalogue.db")
        with contextlib.closing(open_store(path, create=True)) as store:
            yield store


def remove_of_file(where: Places, source: str) -> list[str]:
    """Take away the waiting tasks of a file that is gone; their references."""
    if not session.has_catalogue(where):
        return []
    taken = []
    with session.connect(where) as connection, contextlib.closing(session.writer(where)) as store:
        with store.write(durable=True):
            for key, queue, task_id, status in enqueue.missing(store, source, set()):
                if status == Status.QUE and enqueue.request(store, key, "remove"):
                    taken.append(f"{queue}/{task_id}" if queue else task_id)
        session.tell(where, connection)
    return taken
