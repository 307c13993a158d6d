"""After a crash or a reboot: who still runs, and what became of the others (DESIGN 5).

For each attempt without an end: another boot -> it is gone; a recorded process that exists (running
or unreaped) -> adopted by identity; one that does not -> what it said of itself, else `lost`.
For an attempt without a recorded pid the slate knows its process, or that it was not started: then
its task waits again. Killed within the spawn itself, it is looked for by its mark; where nobody
carries it, it is `lost`: whether it started cannot be known, and it must not run twice.
"""

import os
from typing import Any, NamedTuple

from ltspec import alive, cgroup, pidfile, process
from ltspec.catalogue import Store, lifecycle
from ltspec.model import TaskSpec
from ltspec.paths import Places
from ltspec.states import Seen
from ltspec.supervisor import identity, slate
from ltspec.supervisor.running import Running
from ltspec.supervisor.starting import SCRIPTS, script_name, script_path


class Found(NamedTuple):
    """What recovery found: attempts that are watched from here on (`pidfd` open), attempts that
    are over (their `seen` is set, no descriptor), and (key, number) of those that never began."""

    adopted: list[Running]
    over: list[Running]
    unrecorded: list[Running]      # adopted ones whose pid has yet to be written down
    unstarted: list[tuple[int, int]]


class _Row(NamedTuple):
    key: int
    number: int
    token: str
    pid: int | None
    boot_id: str
    ticks: int | None
    started_boot: float
    ended_by: str
    spec: str
    manager: str
    queue: str
    file: str
    id: str
    request: str
    retried: int


def recover(store: Store, places: Places, boot_id: str) -> Found:
    """Look at every attempt without an end; nothing is written."""
    found = Found([], [], [], [])
    for values in lifecycle.unfinished(store):
        row = _Row(*values)
        entry = slate.read(places) if row.pid is None and row.boot_id == boot_id else None
        if entry is not None and entry.token != row.token:
            found.unstarted.append((row.key, row.number))
            continue
        who = _identify(row, entry, boot_id)
        pidfd = alive.adopt(who) if who is not None else None
        running = _running(places, row, who, pidfd)
        if pidfd is None:
            running.seen = Seen()
            found.over.append(running)
            continue
        found.adopted.append(running)
        if row.pid is None:
            found.unrecorded.append(running)
    return found


def _identify(row: _Row, entry: slate.Entry | None, boot_id: str) -> alive.Identity | None:
    if row.boot_id != boot_id:
        return None
    if row.pid is None:
        if entry is not None and entry.started is not None:
            return entry.started
        return alive.find_marked(row.token)
    return alive.Identity(row.pid, row.ticks or 0)


def _running(
    places: Places, row: _Row, who: alive.Identity | None, pidfd: int | None
) -> Running:
    spec: Any = TaskSpec.from_json(row.spec)
    try:
        user = identity.resolve(spec.user, spec.group)
    except process.CannotStart:
        user = None  # the account was removed while it ran
    running = Running(
        key=row.key,
        number=row.number,
        token=row.token,
        spec=spec,
        file=row.file,
        pid=who.pid if who else 0,
        ticks=who.start_ticks if who else 0,
        pidfd=-1 if pidfd is None else pidfd,
        started_boot=row.started_boot,
        retried=row.retried,
        uid=user.uid if user else os.geteuid(),
        ended_by=row.ended_by,
        script=script_path(places, spec, row.key, row.number),
        group=_group(spec, row.token, who),
    )
    running.published = row.pid is not None
    return running


def _group(spec: TaskSpec, token: str, who: alive.Identity | None) -> str:
    if not cgroup.controllers(spec.limits):
        return ""
    return cgroup.find(spec.cgroup, token, who.pid if who else 0)


def clear_scripts(places: Places, adopted: list[Running]) -> None:
    """Remove the script files of attempts that are over."""
    keep = {script_name(running.key, running.number) for running in adopted}
    folder = pidfile.own_directory(places.run_dir, SCRIPTS)
    try:
        for name in os.listdir(folder):
            if name not in keep:
                _unlink(folder, name)
    finally:
        os.close(folder)


def _unlink(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return      # not ours, and in nobody's way
