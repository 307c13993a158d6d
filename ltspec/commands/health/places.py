"""Directories, files and disks: whose they are, who may what, and whether there is room."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from ltspec.commands.health import supervisor
from ltspec.commands.health.finding import NAMED, Finding
from ltspec.errors import LtspecError
from ltspec.output import plain
from ltspec.paths import check_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ltspec.paths import Places

_ROOM = 50 * 1024 * 1024      # below this, accepting tasks may fail soon


def directory(check: str, path: str, where: Places) -> Iterator[Finding]:
    what = f"directory {path}"
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        if check == "run-dir" and supervisor.processes(where).guardian:
            yield Finding(check, what, "it is missing", "the supervisor makes it again", True)
        return
    except OSError as error:
        yield Finding(check, what, f"it cannot be looked at: {error.strerror}")
        return
    try:
        check_private(path)
    except LtspecError as error:
        problem, _, advice = str(error).partition("\n")
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        yield Finding(check, what, problem, advice, ours)
    else:
        yield Finding(check, what)


class Bad(NamedTuple):
    """A file or directory that is not as ltspec makes it; `mode` is what it ought to have, None
    where only its owner can help."""

    path: str
    problem: str
    mode: int | None
    is_link: bool = False


def bad_files(where: Places) -> Iterator[Bad]:
    """Ours in the state directory, the logs' directories, and what stands in RUN itself. A link to
    another disk that the user has put into the state directory is as good as a directory."""
    for entry in os.scandir(where.state_dir):
        if not entry.is_dir():
            yield from _bad(entry.path, 0o600)
    yield from _bad(where.logs, 0o700)
    yield from _bad(os.path.dirname(where.journal), 0o700)
    yield from _bad(where.journal, 0o600)
    for folder, names, _ in os.walk(where.logs):
        for name in names:
            yield from _bad(os.path.join(folder, name), 0o700)
    for path in (where.lock, where.start_lock, where.supervisor_log, where.journal):
        yield from _link(path)
    for name, mode in ((".bin", 0o755), (".scripts", 0o711)):
        path = os.path.join(where.run_dir, name)
        yield from _link(path) if os.path.islink(path) else _bad(path, mode)


def _link(path: str) -> Iterator[Bad]:
    if os.path.islink(path):
        yield Bad(path, f"{path} is a symbolic link, which is not followed", None, is_link=True)


def _bad(path: str, mode: int) -> Iterator[Bad]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return
    bits = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        yield Bad(path, f"{path} belongs to user {found.st_uid}", None)
    elif bits & 0o700 & mode != mode & 0o700:
        yield Bad(path, f"{path} is closed to its own user (mode {bits:03o})", mode)
    elif bits & 0o077 & ~mode:
        yield Bad(path, f"{path} is open to others (mode {bits:03o})", mode)


def files(where: Places) -> Finding:
    """Owners and modes."""
    what = f"files in {where.state_dir}"
    try:
        bad = list(bad_files(where))
    except OSError as error:
        return Finding("files", what, f"they cannot be looked at: {error}")
    if not bad:
        return Finding("files", what)
    lines = [one.problem for one in bad[:NAMED]]
    if len(bad) > NAMED:
        lines.append(f"and {len(bad) - NAMED} more")
    mendable = [one for one in bad if one.mode is not None or one.is_link]
    foreign = len(mendable) < len(bad)
    advice = f"`chown -R {os.geteuid()}` as root, of what belongs to others" if foreign else (
        "their modes are set, the links are removed"
    )
    return Finding("files", what, "\n".join(lines), advice, bool(mendable))


def disks(where: Places) -> Iterator[Finding]:
    """Room and writability, once for each file system."""
    seen: set[int] = set()
    for path in (where.state_dir, where.logs, where.run_dir):
        try:
            device = os.stat(path).st_dev
            if device not in seen:
                yield _disk(path)
            seen.add(device)
        except OSError:
            continue      # told of it already, or not made yet


def _disk(path: str) -> Finding:
    what = f"disk of {path}"
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    if disk.f_flag & os.ST_RDONLY:
        advice = "look at the system's log for the reason, then `mount -o remount,rw`"
        return Finding("disk", what, "it is read-only: nothing is accepted or started", advice)
    if free < _ROOM:
        problem = f"only {plain.size(free)} are free: nothing is accepted or started on a full disk"
        return Finding("disk", what, problem, "make room; `ltspec prune` takes old history away")
    if disk.f_files and not disk.f_favail:
        return Finding("disk", what, "no more files can be made on it (`df -i`)", "remove some")
    return Finding("disk", what)
