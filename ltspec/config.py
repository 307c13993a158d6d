"""The configuration `ltspec.yml`: where it is looked for, whose it may be, what it says (DESIGN 3).

Looked for at `--config`, $LTSPEC_CONFIG, ./ltspec.yml, the user's, the system's; the first one
counts alone. yaml is imported only where there is one. Directories are decided in `paths.py`.
"""

import os
import stat
from collections.abc import Mapping
from typing import Any, NamedTuple

from ltspec.errors import CannotDo, InvalidSpec, NotFound

NAME = "ltspec.yml"


class QueueSettings(NamedTuple):
    """The settings of one queue; `paused` is None where the config does not say."""

    slots: int = 1
    on_reboot: str = "resume"
    paused: bool | None = None


class Retention(NamedTuple):
    """How much history is kept; None is without bound. Seconds, tasks, bytes."""

    age: float | None = None
    tasks: int | None = None
    size: int | None = None


class Config(NamedTuple):
    """The configuration in force. `file` is "" where there is none, then all are defaults."""

    manager: str = "ltspec"
    manager_named: bool = False              # the config names one, so ends are reported
    run_dir: str | None = None
    state_dir: str | None = None
    base_dir: str | None = None
    mgrctl: str = "auto"                     # auto, off or an absolute path
    mgrctl_form: str = "arguments"           # or "joined"
    cgroup: str = ""                         # delegated to ltspec; "" the supervisor's own
    max_running: int = 500
    idle_exit: float = 10.0
    queues: Mapping[str, QueueSettings] = {}
    closed_queues: bool = False
    defaults: Mapping[str, Any] = {}
    retention: Retention = Retention()
    pidfile_name: str = "id"                 # or "binary.id" (LONGTASK C02)
    generation4: bool = False
    file: str = ""
    document: Any = None                     # the parsed file, for the places of problems


def load(path: str | None = None) -> Config:
    """The configuration at `path`, or the first one of the usual places.

    Raises NotFound for a file that is named and missing, CannotDo for one that is refused or
    cannot be read, InvalidSpec with the problems of one that is wrong.
    """
    named = path or os.environ.get("LTSPEC_CONFIG")
    if named:
        if not os.path.exists(named):
            raise NotFound(f"there is no configuration {named}\n"
                           "correct --config or LTSPEC_CONFIG, or make the file")
        return _read(named, check_owner=True)
    for place in (NAME, *_usual_places()):
        if os.path.exists(place):
            return _read(place, check_owner=True)
    return Config()


def load_given(path: str | None = None) -> Config:
    """The configuration that belongs to the files given: at `path`, or ./ltspec.yml. For validate,
    which says the same on every host and starts nothing: so the user's and the system's are not
    looked at, and somebody else's file is read too.

    Raises as `load` does.
    """
    place = path or NAME
    if not path and not os.path.exists(place):
        return Config()
    if not os.path.exists(place):
        raise NotFound(f"there is no configuration {place}\ncorrect --config, or make the file")
    return _read(place, check_owner=False)


def _usual_places() -> tuple[str, ...]:
    if os.geteuid() == 0:
        return ("/etc/ltspec/ltspec.yml",)
    home = os.environ.get("HOME", "")
    user = (f"{home}/.config/ltspec/ltspec.yml",) if home.startswith("/") else ()
    return (*user, "/etc/ltspec/ltspec.yml")


def _read(path: str, *, check_owner: bool) -> Config:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise CannotDo(f"the configuration {path} is not a file")
            if check_owner:
                _check_owner(path, found)
            data = file.read(1024 * 1024)
    except OSError as error:
        raise CannotDo(f"cannot read the configuration {path}: {error.strerror}") from error
    return _parse(path, data)


def _check_owner(path: str, found: os.stat_result) -> None:
    """Refuse what somebody else could have written: they would decide what we start."""
    me = os.geteuid()
    if found.st_uid not in (0, me):
        raise CannotDo(f"the configuration {path} belongs to user {found.st_uid}, neither to you "
                       f"({me}) nor to root\nits author could decide what you start; "
                       "make it yours, or name another one with --config")
    if _others_write(found):
        raise CannotDo(f"others may write the configuration {path}\n"
                       f"make it private: chmod go-w {path}")
    place = os.path.dirname(os.path.realpath(path))
    while True:
        directory = os.stat(place)
        sticky = directory.st_mode & stat.S_ISVTX
        if (_others_write(directory) and not sticky) or directory.st_uid not in (0, me):
            raise CannotDo(f"the configuration {path} lies in {place}, where others may write\n"
                           "move it, or make the directory private")
        if place == "/":
            return
        place = os.path.dirname(place)


def _others_write(found: os.stat_result) -> bool:
    """True where others may write: a group of the caller's own does not count as others."""
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and found.st_gid not in (0, os.getegid())


def _parse(path: str, data: bytes) -> Config:
    from ltspec.spec import reading
    from ltspec.spec.configuration import configuration_problems
    from ltspec.spec.problems import Problem, in_order

    source, problems = reading.decode(path, os.path.abspath(path), data)
    documents, more = ([], []) if problems else reading.parse(source)
    problems += more or configuration_problems(documents)
    value = documents[0].value if documents else {}
    if problems:
        lines = source.lines
        shown: list[Problem] = [
            problem._replace(source_line=lines[problem.line - 1] if problem.line else "")
            for problem in in_order(problems)
        ]
        raise InvalidSpec(f"the configuration {path} has problems", tuple(shown))
    return _built(value, os.path.abspath(path), documents[0] if documents else None)


def _built(value: dict[str, Any], path: str, document: Any) -> Config:
    from ltspec.spec.scalars import duration, size

    simple = {
        name: value[name]
        for name in ("manager", "run_dir", "state_dir", "base_dir", "mgrctl", "mgrctl_form",
                     "cgroup", "max_running", "closed_queues", "defaults", "pidfile_name",
                     "generation4")
        if name in value
    }
    kept = value.get("retention", {})
    return Config(**simple)._replace(
        manager_named="manager" in value,
        idle_exit=duration(value.get("idle_exit", 10)),
        queues={name: QueueSettings(**(settings or {}))
                for name, settings in value.get("queues", {}).items()},
        retention=Retention(
            duration(kept["age"]) if "age" in kept else None,
            kept.get("count"),
            size(kept["size"]) if "size" in kept else None,
        ),
        file=path,
        document=document,
    )
