"""After a crash or a reboot: who still runs, and what became of the others (DESIGN 5).

First what the journal has and the catalogue has not is replayed: a start whose process is known;
one that was killed within the spawn itself, whose process is looked for by its mark (where nobody
carries it, it is `lost`: whether it started cannot be known, and it must not run twice); one that
had certainly not begun, so its task still waits.

Then for each attempt without an end: another boot -> it is gone; a recorded process that exists
(running or unreaped) -> adopted by identity; one that does not -> what it said of itself, else
`lost`.
"""

import os
from collections.abc import Container
from typing import Any, NamedTuple

from ltspec import alive, cgroup, pidfile, process
from ltspec.catalogue import Store, changes, lifecycle
from ltspec.model import TaskSpec
from ltspec.paths import Places
from ltspec.states import Seen
from ltspec.supervisor import identity, journal
from ltspec.supervisor.running import Running
from ltspec.supervisor.starting import SCRIPTS, script_name, script_path


class Found(NamedTuple):
    """What recovery found: attempts that are watched from here on (`pidfd` open), and attempts that
    are over (their `seen` is set, no descriptor)."""

    adopted: list[Running]
    over: list[Running]


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


def replay(store: Store, places: Places, boot_id: str) -> set[int]:
    """Inside a transaction: bring the starts into the catalogue that only the journal has; the keys
    of their tasks."""
    contents = journal.read(places)
    if contents is None or contents.state != store.setting(journal.SETTING):
        return set()
    newest = {entry.start.key: entry for entry in contents.entries}
    replayed = set()
    for start, begun in newest.values():
        if lifecycle.is_recorded(store, start.key, start.number):
            continue
        if start.boot_id == boot_id and not begun:
            changes.republish(store, start.key)        # its PID-file may say RUN
            continue
        who = alive.find_marked(start.token) if start.boot_id == boot_id and not start.pid else None
        if who is not None:
            start = start._replace(pid=who.pid, ticks=who.start_ticks)
        lifecycle.record_start(store, start)
        replayed.add(start.key)
    return replayed


def recover(store: Store, places: Places, boot_id: str, replayed: Container[int]) -> Found:
    """Look at every attempt without an end; nothing is written."""
    found = Found([], [])
    for values in lifecycle.unfinished(store):
        row = _Row(*values)
        known = row.boot_id == boot_id and row.pid is not None
        who = alive.Identity(row.pid or 0, row.ticks or 0) if known else None
        pidfd = alive.adopt(who) if who is not None else None
        running = _running(places, row, who, pidfd)
        running.published = row.key not in replayed
        if pidfd is None:
            running.seen = Seen()
            found.over.append(running)
        else:
            found.adopted.append(running)
    return found


def _running(
    places: Places, row: _Row, who: alive.Identity | None, pidfd: int | None
) -> Running:
    spec: Any = TaskSpec.from_json(row.spec)
    try:
        user = identity.resolve(spec.user, spec.group)
    except process.CannotStart:
        user = None  # the account was removed while it ran
    return Running(
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
