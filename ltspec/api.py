"""The Python API, `ltspec.load`, `ltspec.apply`, `ltspec.tasks` (docs/python.md): what the commands
`validate`, `apply` and `list` do, with values instead of words.

`ltspec/__init__.py` loads it at the first use of a name. It prints nothing and ends no process;
what goes wrong is an exception of `ltspec.errors`. The fields of its types are promised as the keys
of `--json` are: none goes, new ones may come, so read them by name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ltspec import model, spec
from ltspec.catalogue import finding, listing
from ltspec.commands import declaring, reading, session
from ltspec.commands.waiting import Watched, until_ended
from ltspec.config import load as load_config
from ltspec.config import load_given
from ltspec.errors import InvalidSpec, LtspecError
from ltspec.model import TaskSpec
from ltspec.output.waitview import View
from ltspec.spec.problems import ERROR, Problem
from ltspec.states import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ltspec.catalogue import Store
    from ltspec.catalogue.enqueue import Change
    from ltspec.paths import Places

__all__ = [
    "Applied", "InvalidSpec", "LtspecError", "Outcome", "Problem", "Specs", "Status", "Task",
    "TaskSpec", "apply", "load", "tasks",
]

Path = str | os.PathLike[str]
_ALL = 10**9


class Specs(NamedTuple):
    """What some spec files say. `tasks` are complete only where `valid`."""

    tasks: tuple[TaskSpec, ...]
    problems: tuple[Problem, ...]
    files: tuple[str, ...]              # absolute; "" for standard input

    @property
    def valid(self) -> bool:
        """True where no problem is an error."""
        return all(problem.severity != ERROR for problem in self.problems)


class Task(NamedTuple):
    """A task as the catalogue had it. Times are seconds since 1970, None where not yet."""

    reference: str                      # QUEUE/ID, or ID for a task without a queue
    manager: str
    queue: str                          # "" for a task without one
    id: str
    name: str
    status: Status                      # QUE, RUN, OK or ERR; a str as well
    outcome: Outcome | None             # how the last attempt ended
    detail: str                         # what follows the status: "exit code 3", …
    exit_code: int | None
    signal: int | None
    pid: int | None                     # while it runs
    attempts: int                       # how many there were
    priority: int
    accepted: float
    started: float | None
    ended: float | None
    pidfile: str
    log: str | None                     # of the last attempt
    source: str                         # the spec file; "" for `ltspec run`


class Applied(NamedTuple):
    """What `apply` did with one task, or would do."""

    spec: TaskSpec
    action: str                         # created, changed, rerun, replaced, unchanged, refused
    reason: str
    task: Task | None                   # as it was in the end; None where there is none


def load(
    *paths: Path, extra_vars: Mapping[str, Any] | None = None, config: Path | None = None,
    tags: Sequence[str] = (), skip_tags: Sequence[str] = (),
) -> Specs:
    """What spec files, directories of them and globs say, with all their problems.

    As `ltspec validate` it depends only on the files and on what is given: inputs without a value
    are taken from their examples. Raises NotFound or CannotDo for a `config` that cannot be read,
    InvalidSpec for one that is wrong; problems of the specs are not raised.
    """
    loaded = spec.load(
        _strings(paths), config=load_given(_text(config)),
        extra_vars=extra_vars, for_host=False, tags=tags, skip_tags=skip_tags,
    )
    return Specs(loaded.tasks, loaded.problems, loaded.files)


def apply(
    *paths: Path, extra_vars: Mapping[str, Any] | None = None, config: Path | None = None,
    tags: Sequence[str] = (), skip_tags: Sequence[str] = (), rerun: bool = False,
    remove_missing: bool = False, check: bool = False, wait: bool = False,
    timeout: float | None = None,
) -> list[Applied]:
    """Make the tasks of spec files happen, as `ltspec apply` does; in the order of the files.

    `check` only says what would be done. `wait` blocks until all that were accepted have ended,
    for at most `timeout` seconds. A refused task is in the result, with the reason.
    Raises InvalidSpec with all problems (then nothing was applied), Refused where the catalogue
    takes none of it, CannotDo for what the machine does not allow, and at the time limit.
    """
    settings = load_config(_text(config))
    where = session.places_from(settings)
    loaded, problems = reading.read(
        _strings(paths), settings, extra_vars=extra_vars or {}, tags=tags, skip_tags=skip_tags
    )
    reading.raise_errors(problems)
    chosen = bool(tags or skip_tags)
    if check:
        declared = declaring.rehearse(where, loaded, settings, force=rerun,
                                      remove_missing=remove_missing, partial_files=chosen)
    else:
        with session.connect(where, idle_exit=settings.idle_exit) as connection:
            with contextlib.closing(session.writer(where)) as writing, writing.write(durable=True):
                declared = declaring.declare(writing, loaded, settings, force=rerun,
                                             remove_missing=remove_missing, partial_files=chosen)
            session.tell(where, connection)
    with _reading(where) as store:
        if store is not None and wait and not check:
            watched = Watched(store, declared.keys())
            until_ended(where, watched, View(where, store), timeout=timeout)
        return _applied(where, store, declared.changes)


def _applied(where: Places, store: Store | None, changes: Sequence[Change]) -> list[Applied]:
    keys = [change.key for change in changes if change.key is not None]
    known = listing.by_keys(store, keys) if store is not None else []
    found = {task.key: _task(task, where) for task in known}
    return [Applied(one.spec, *one.verdict, found.get(one.key or 0)) for one in changes]


def tasks(
    *names: str, config: Path | None = None, manager: str | None = None, queue: str | None = None,
    statuses: Sequence[str] = (), tag: str | None = None, since: float | None = None,
) -> list[Task]:
    """The named tasks, or all that fit: running ones, waiting ones in their order, ended ones.

    `names` are QUEUE/ID, an ID that only one task has, or a PID-file's path. `queue` "" are the
    tasks without one; `since` leaves out what ended before (seconds since 1970). Starts nothing;
    an empty list where nothing was ever applied. Raises NotFound or Refused for a name that no
    task or more than one has.
    """
    where = session.places_from(load_config(_text(config)))
    with _reading(where) as store:
        if names:
            found = finding.named(store or session.existing(where), names, where.run_dir)
        elif store is None:
            found = []
        else:
            found = _all(store, listing.Filter(manager, queue, tuple(statuses), since, tag))
    return [_task(one, where) for one in found]


def _all(store: Store, wanted: listing.Filter) -> list[model.Task]:
    some = wanted.statuses or tuple(Status)
    running = listing.running(store, wanted, _ALL) if "RUN" in some else []
    waiting = listing.waiting(store, wanted, _ALL) if "QUE" in some else []
    return [*running, *(one for one, _ in waiting), *listing.ended(store, wanted, _ALL)]


@contextlib.contextmanager
def _reading(where: Places) -> Iterator[Store | None]:
    store = session.reader(where)
    try:
        yield store
    finally:
        if store is not None:
            store.close()


def _task(one: model.Task, where: Places) -> Task:
    log = where.log(one.manager, one.queue, one.id, one.attempts) if one.attempts else None
    return Task(
        one.reference, one.manager, one.queue, one.id, one.name or one.id, one.status, one.outcome,
        one.detail, one.code, one.signal, one.pid if one.status is Status.RUN else None,
        one.attempts, one.priority, one.accepted, one.started, one.ended,
        one.pidfile(where.run_dir), log, one.source,
    )


def _strings(paths: Sequence[Path]) -> list[str]:
    return [os.fspath(path) for path in paths]


def _text(path: Path | None) -> str | None:
    return None if path is None else os.fspath(path)
