"""PID-files: whether what waits and runs is published, and nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from ltspec import pidfile
from ltspec.catalogue import republish
from ltspec.commands import session
from ltspec.commands.health import proc
from ltspec.commands.health.finding import NAMED, Finding
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ltspec.catalogue import Store
    from ltspec.catalogue.republish import Line
    from ltspec.paths import Places


def lost(store: Store, run_dir: str) -> Iterator[tuple[Line, list[str]]]:
    """The names of live tasks whose PID-file is not there, by their line."""
    for line in republish.live_lines(store):
        folder = os.path.join(run_dir, line.manager, line.queue)
        names = [name for name in republish.published_names(store, line)
                 if not _is_file(os.path.join(folder, name))]
        if names:
            yield line, names


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def published(where: Places) -> Finding:
    """Whether what waits and runs is published."""
    what = f"PID-files in {where.run_dir}"
    try:
        with closing(session.existing(where)) as store:
            missing = sorted(os.path.join(line.manager, line.queue, name)
                             for line, names in lost(store, where.run_dir) for name in names)
    except OSError as error:
        return Finding("pid-files", what, f"they cannot be looked at: {error}")
    if not missing:
        return Finding("pid-files", what)
    named = ", ".join(missing[:NAMED]) + (" …" if len(missing) > NAMED else "")
    problem = f"{plain.plural(len(missing), 'task')} without one: {named}"
    return Finding("pid-files", what, problem, "they are published again", True)


class Stranger(NamedTuple):
    """A PID-file of no task; `locked` where its process still runs."""

    path: str
    locked: bool


def strangers(store: Store, run_dir: str) -> Iterator[Stranger]:
    """PID-files that no task has: of a catalogue that was put aside, or of a killed supervisor.

    In a panel's directory (without our mark) they are somebody else's. Raises OSError.
    """
    if not os.path.exists(os.path.join(run_dir, pidfile.MARKER)):
        return
    known = republish.every_file(store)
    locks = proc.Locks()
    for folder, names, files in os.walk(run_dir):
        names[:] = [name for name in names if not name.startswith(".")]
        manager, _, queue = os.path.relpath(folder, run_dir).partition("/")
        for name in files:
            own = name[1:-4] if name.startswith(".") and name.endswith(".new") else name
            # That of a task may be its next one: the supervisor makes it ready, or takes it over.
            if folder != run_dir and (manager, queue, own) not in known:
                path = os.path.join(folder, name)
                yield Stranger(path, locks.is_locked(path))


def stale(where: Places) -> Finding:
    """PID-files that say something of nobody."""
    what = "PID-files of no task"
    try:
        with closing(session.existing(where)) as store:
            found = list(strangers(store, where.run_dir))
    except OSError as error:
        return Finding("stale", what, f"they cannot be looked at: {error}")
    if not found:
        return Finding("stale", what)
    named = ", ".join(one.path for one in found[:NAMED]) + (" …" if len(found) > NAMED else "")
    problem = f"{plain.plural(len(found), 'file')}: {named}"
    if all(one.locked for one in found):
        return Finding("stale", what, problem, "their processes still run, unknown to ltspec")
    return Finding("stale", what, problem, "those whose process has ended are removed", True)
