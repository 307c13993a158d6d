"""`ltspec doctor`: what is wrong with this installation, and what to do about it.

Each check is one small function that gives a Finding; it changes nothing. With --fix, what can be
mended without losing anything is mended, and all is looked at once more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from ltspec.commands import arguments, session
from ltspec.errors import LtspecError
from ltspec.output import plain
from ltspec.paths import Places, check_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (
    ("ltspec doctor", "look at directories, catalogue, disk and supervisor"),
    ("ltspec doctor --fix", "and mend what can be mended"),
)
DESCRIPTION = (
    "Look for what keeps tasks from running: directories that others own or may write in, a\n"
    "damaged catalogue or one of another version, a full disk, work without a supervisor.\n"
    "Exit code 1 where something is wrong."
)

_ROOM = 50 * 1024 * 1024      # below this, accepting tasks may fail soon


class Finding(NamedTuple):
    """One check: what was looked at; what is wrong with it and what to do, "" for nothing."""

    what: str
    problem: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("--fix", action="store_true", help="mend what can be mended")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Say what was found; 0 where all is well."""
    config = session.config_of(args)
    where = session.places_from(config)
    if args.fix:
        _fix(where, config.idle_exit)
    found = list(_look(where))
    if args.json:
        from ltspec.output import records

        records.document({"findings": [one._asdict() for one in found]})
    else:
        for one in found:
            plain.line(f"{'wrong' if one.problem else 'good ':5}  {one.what}")
            plain.lines(f"       {text}" for text in one.problem.splitlines())
    return 1 if any(one.problem for one in found) else 0


def _look(where: Places) -> Iterator[Finding]:
    places = [path for path in (where.state_dir, where.run_dir) if os.path.lexists(path)]
    for path in places:
        yield Finding(f"directory {path}", _trouble_with(path))
    if places:
        yield Finding(f"room on the disk of {places[0]}", _lack_of_room(places[0]))
    if os.path.exists(where.catalogue):
        yield Finding(f"catalogue {where.catalogue}", _damage(where))
        yield Finding("supervisor", _missing_supervisor(where))
    else:
        yield Finding(session.nothing_yet(where).split("\n")[0])


def _trouble_with(path: str) -> str:
    try:
        check_private(path)
    except LtspecError as error:
        return str(error)
    return ""


def _lack_of_room(path: str) -> str:
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    if free >= _ROOM and (disk.f_favail > 0 or disk.f_files == 0):
        return ""
    return (
        f"only {plain.size(free)} are free: nothing is accepted or started on a full disk\n"
        "make room; `ltspec prune` takes old history away"
    )


def _damage(where: Places) -> str:
    from ltspec.catalogue.details import damage

    try:
        store = session.reader(where)
        if store is None:
            return ""
        try:
            found = damage(store)
        finally:
            store.close()
    except LtspecError as error:
        return str(error).replace(": run `ltspec doctor`", "")
    if not found:
        return ""
    return (
        f"it is damaged: {found}\n"
        "stop the supervisor, move the file away, and bring back a copy of it"
    )


def _missing_supervisor(where: Places) -> str:
    from ltspec.catalogue.listing import work_waits

    try:
        store = session.reader(where)
        if store is None:
            return ""
        try:
            waits = work_waits(store)
        finally:
            store.close()
    except LtspecError:
        return ""      # told of the catalogue already
    if not waits or session.supervisor_runs(where):
        return ""
    return (
        "work waits and none runs\n"
        f"`ltspec wake` starts it; {where.supervisor_log} says why it ended"
    )


def _fix(where: Places, idle_exit: float) -> None:
    """Close own directories to others; start a supervisor, which migrates and publishes again."""
    for path in (where.state_dir, where.run_dir):
        if os.path.isdir(path) and not os.path.islink(path) and _trouble_with(path):
            found = os.stat(path)
            if found.st_uid == os.geteuid():
                os.chmod(path, found.st_mode & ~0o022)
    if os.path.exists(where.catalogue) and _missing_supervisor(where):
        with session.connect(where, idle_exit=idle_exit) as connection:
            session.tell(where, connection)
