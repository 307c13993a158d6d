"""Who a task runs as, its limits, and its secrets. Used by the supervisor and, after the fork, by
the child that is about to become the task.
"""

import os
import pwd
import resource
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, cast

from ltspec import process
from ltspec.spec import accounts

SECRET_BYTES = 65536
SECRET_SECONDS = 60.0
_RLIMITS = {
    "open_files": resource.RLIMIT_NOFILE,
    "cpu_time": resource.RLIMIT_CPU,
    "core_size": resource.RLIMIT_CORE,
    "file_size": resource.RLIMIT_FSIZE,
}
# The supervisor raises its own descriptor limit at its start; tasks get the one of before.
_own_open_files: list[tuple[int, int]] = []


class User(NamedTuple):
    """A user to become, with the groups of that user and of nobody else."""

    uid: int
    gid: int
    name: str
    home: str
    shell: str
    groups: tuple[int, ...]


@cache
def own() -> User:
    """The user that ltspec runs as."""
    try:
        found = pwd.getpwuid(os.geteuid())
    except KeyError:
        return User(os.geteuid(), os.getegid(), str(os.geteuid()), "/", "/bin/sh", ())
    return User(found.pw_uid, os.getegid(), found.pw_name, found.pw_dir, found.pw_shell, ())


def resolve(user: str | None, group: str | None) -> User | None:
    """The user to become, or None where it is the present one. Raises process.CannotStart."""
    if user is None and group is None:
        return None
    try:
        wanted = accounts.user(user) if user else pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise process.CannotStart(f"there is no user {user}") from error
    try:
        gid = accounts.group(group).gr_gid if group else wanted.pw_gid
    except KeyError as error:
        raise process.CannotStart(f"there is no group {group}") from error
    if wanted.pw_uid == os.geteuid() and gid == os.getegid():
        return None
    if os.geteuid() != 0:
        raise process.CannotStart(f"only root may run a task as {user or group}")
    groups = tuple(os.getgrouplist(wanted.pw_name, gid))
    return User(
        wanted.pw_uid, gid, wanted.pw_name, wanted.pw_dir, wanted.pw_shell or "/bin/sh", groups
    )


def become(user: User) -> None:
    """Change to the user for good, groups first (setgroups(2) needs the privilege)."""
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


@contextmanager
def as_user(user: User | None) -> Iterator[None]:
    """Open files with that user's rights; the caller is single-threaded."""
    if user is None:
        yield
        return
    groups = os.getgroups()
    os.setgroups(user.groups)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def raise_open_files() -> None:
    """Take all the descriptors that the hard limit allows; a running task costs two or three."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _own_open_files[:] = [(soft, hard)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def restore_open_files() -> None:
    """Go back to the descriptor limit of before `raise_open_files`."""
    if _own_open_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, _own_open_files[0])


@contextmanager
def original_open_files() -> Iterator[None]:
    """The descriptor limit of before `raise_open_files`, for what is spawned meanwhile."""
    raised = resource.getrlimit(resource.RLIMIT_NOFILE)
    if raised in _own_open_files:
        yield
        return
    restore_open_files()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, raised)


def limit(limits: Mapping[str, int], nice: int | None) -> None:
    """Set the rlimits of the calling process, hard and soft, and its niceness."""
    for name, value in limits.items():
        if name in _RLIMITS:
            resource.setrlimit(_RLIMITS[name], (value, value))
    if nice:
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def secrets(wanted: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, bytes]:
    """Read the secrets, as the task's user: a file's content or a command's output, without its
    last newline. Raises process.CannotStart naming the secret and its source, never its value."""
    return {name: _secret(name, source, env) for name, source in wanted.items()}


def _secret(name: str, source: Mapping[str, Any], env: Mapping[str, str]) -> bytes:
    if "file" in source:
        try:
            with open(source["file"], "rb") as file:
                data = file.read(SECRET_BYTES + 1)
        except OSError as error:
            raise process.CannotStart(f"secret {name}: {process.reason(error)}") from error
    else:
        data = _output_of(name, cast("list[str]", source["command"]), env)
    if len(data) > SECRET_BYTES or b"\0" in data:
        raise process.CannotStart(f"secret {name}: longer than 64 KiB, or with a zero byte")
    return data.removesuffix(b"\n")


def _output_of(name: str, command: list[str], env: Mapping[str, str]) -> bytes:
    """Run a secret's command in this session, so that a stop or timeout of the task ends it too."""
    program = process.find_program(command[0], env.get("PATH", ""), os.getcwd())
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.posix_spawn(
        program, command, env, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)]
    )
    os.close(writing)
    signal.alarm(int(SECRET_SECONDS))  # the default action ends this child, not the supervisor
    data = b""
    while len(data) <= SECRET_BYTES and (chunk := os.read(reading, SECRET_BYTES)):
        data += chunk
    os.close(reading)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(0)
    if status != 0:
        raise process.CannotStart(f"secret {name}: {command[0]} ended with {status}")
    return data
