"""What only this host can tell of tasks: users, groups, programs, limits. For apply and plan.

Reads the user database, the file system and the limits of this process; changes nothing. What may
be there when the task starts (a program, a directory) is a warning, what cannot work is an error.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from ltspec import cgroup
from ltspec.model import TaskSpec
from ltspec.paths import SYSTEM_PATH
from ltspec.spec import accounts
from ltspec.spec.loading import Loaded
from ltspec.spec.problems import ERROR, WARNING, Path, Problem, did_you_mean, in_order, merge_turns

_OWN_TOOLS = ("mgrctl", "ltspec")            # in the private directory at the end of PATH


class _Finding(NamedTuple):
    code: str
    field: str
    message: str
    hint: str = ""
    severity: str = ERROR
    sub: Path = ()


Obstacle = Callable[[str, Sequence[str]], str]


def check(loaded: Loaded, obstacle: Obstacle) -> tuple[Problem, ...]:
    """The problems of all tasks on this host, sorted by place. `obstacle(group, controllers)` says
    why the supervisor could not make control groups for them (client.group_obstacle)."""
    checker = _Checker(obstacle)
    problems = []
    for turn in loaded.turns:
        if turn.spec is None:
            continue
        for found in checker.findings(turn.spec):
            field = turn.definition.fields.get(found.field)
            own = turn.definition.own.place
            place, sub = field.place_of(found.sub) if field else (own, ())
            problems.append(place.problem(found.code, found.message, sub, hint=found.hint,
                                          severity=found.severity))
    return in_order(merge_turns(problems))


class _Checker:
    """Asks the host each question once, however many tasks pose it."""

    def __init__(self, obstacle: Obstacle) -> None:
        self.euid = os.geteuid()
        self.program = cache(self._program)
        self.directory = cache(os.path.isdir)
        self.users = cache(self._users)
        self.obstacle = cache(lambda group, name: obstacle(group, (name,)))

    def findings(self, task: TaskSpec) -> Iterator[_Finding]:
        if task.user is not None or task.group is not None:
            yield from self.users(task.user, task.group)
        if task.nice is not None and task.nice < 0 and self.euid != 0:
            yield _Finding("LT607", "nice", "only root may start a task with a negative niceness")
        if task.limits:
            yield from self._limits(task)
        if not self.directory(task.cwd):
            yield _Finding("LT606", "cwd", f"there is no directory {task.cwd} now",
                           severity=WARNING)
        path = task.env.get("PATH", SYSTEM_PATH)
        yield from self.program(task.command[0], path, task.base_dir or task.cwd,
                                "command" if task.script is None else "script")

    def _users(self, user: str | None, group: str | None) -> tuple[_Finding, ...]:
        import grp
        import pwd

        found: list[_Finding] = []
        try:
            uid = accounts.user(user).pw_uid if user else self.euid
        except KeyError:
            names = [entry.pw_name for entry in pwd.getpwall()]
            found.append(_Finding("LT601", "user", f"this host has no user `{user}`",
                                  did_you_mean(str(user), names)))
            uid = self.euid
        try:
            gid = accounts.group(group).gr_gid if group else os.getegid()
        except KeyError:
            names = [entry.gr_name for entry in grp.getgrall()]
            found.append(_Finding("LT602", "group", f"this host has no group `{group}`",
                                  did_you_mean(str(group), names)))
            gid = os.getegid()
        if self.euid != 0 and (uid, gid) != (self.euid, os.getegid()):
            field = "user" if user else "group"
            found.append(_Finding("LT603", field, f"only root may run a task as {user or group}",
                                  "leave it out, or apply as root"))
        return tuple(found)

    def _limits(self, task: TaskSpec) -> Iterator[_Finding]:
        import resource

        names = {"open_files": resource.RLIMIT_NOFILE, "cpu_time": resource.RLIMIT_CPU,
                 "core_size": resource.RLIMIT_CORE, "file_size": resource.RLIMIT_FSIZE}
        for name, value in task.limits.items():
            if name in names:
                hard = resource.getrlimit(names[name])[1]
                if self.euid != 0 and hard != resource.RLIM_INFINITY and value > hard:
                    yield _Finding("LT604", "limits",
                                   f"{name} {value} is above the hard limit of this user, {hard}",
                                   sub=(name,))
            elif reason := self.obstacle(task.cgroup, cgroup.LIMITS[name][0]):
                yield _Finding("LT604", "limits", f"{name} cannot be kept here: {reason}",
                               "leave it out, let systemd delegate a group, or name one in the "
                               "config as `cgroup` (docs/operations.md)", sub=(name,))

    def _program(self, name: str, path: str, base: str, field: str) -> tuple[_Finding, ...]:
        if "/" in name:
            places = [os.path.join(base, name)]
        elif name in _OWN_TOOLS:
            return ()
        else:
            places = [os.path.join(part, name) for part in path.split(":") if part]
        if any(os.path.isfile(place) and os.access(place, os.X_OK) for place in places):
            return ()
        there = [place for place in places if os.path.exists(place)]
        what = f"{there[0]} is not executable" if there else f"there is no program {name}"
        hint = "the task would end `ERR cannot start`"
        return (_Finding("LT605", field, f"{what} now", hint, WARNING),)
