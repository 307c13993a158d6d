"""A task's environment, as one function, so that `render` shows what the supervisor gives.

Order, the later wins: clean base (PATH, HOME, USER, LOGNAME, SHELL, LANG, TZ), `env_pass`,
`env_file`, `env`, `secrets`, then MGR_LT_PID and LTSPEC_*, which nothing overrides (DESIGN 6).
Imports nothing large: the supervisor uses it for every start.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from ltspec.model import TaskSpec
from ltspec.paths import SYSTEM_PATH

LOCAL_TIME = "/etc/localtime"


class UserFacts(NamedTuple):
    """What the environment says of the user that the task runs as."""

    name: str
    home: str
    shell: str


def build(
    spec: TaskSpec,
    *,
    pidfile: str,
    token: str,
    attempt: int,
    user: UserFacts,
    state_dir: str,
    run_dir: str,
    tools: str,
    progress: str,
    files: Mapping[str, str],
    secrets: Mapping[str, str],
) -> dict[str, str]:
    """The whole environment of one attempt. `tools` is the private directory at PATH's end;
    `files` is the content of `env_file`s, `secrets` their values (empty for showing)."""
    env = {
        "PATH": SYSTEM_PATH,
        "HOME": user.home,
        "USER": user.name,
        "LOGNAME": user.name,
        "SHELL": user.shell or "/bin/sh",
        "LANG": "C.UTF-8",
        "TZ": time_zone(),
        **spec.env_pass,
        **files,
        **spec.env,
        **secrets,
    }
    env["PATH"] = f"{env['PATH']}:{tools}" if env["PATH"] else tools
    env["MGR_LT_PID"] = pidfile
    env["LTSPEC_STATE_DIR"] = state_dir
    env["LTSPEC_RUN_DIR"] = run_dir
    env["LTSPEC_MANAGER"] = spec.manager
    env["LTSPEC_QUEUE"] = spec.queue
    env["LTSPEC_ID"] = spec.id
    env["LTSPEC_ATTEMPT"] = str(attempt)
    env["LTSPEC_TOKEN"] = token
    env["LTSPEC_PROGRESS"] = progress
    return env


def time_zone() -> str:
    """The host's time zone as TZ has it: its name (Europe/Berlin) where /etc/localtime leads to
    one, else that file itself (tzset(3)); UTC where there is none."""
    try:
        found = os.lstat(LOCAL_TIME)
    except OSError:
        return "UTC"
    return _zone(found.st_ino, found.st_mtime_ns)


@lru_cache(maxsize=1)
def _zone(_inode: int, _changed: int) -> str:
    """Looked up once for each /etc/localtime: the supervisor asks at every start."""
    try:
        target = os.path.realpath(LOCAL_TIME, strict=True)
    except OSError:
        return "UTC"
    return target.partition("/zoneinfo/")[2] or f":{LOCAL_TIME}"


def read_file(path: str) -> dict[str, str]:
    """An `env_file`: `NAME=VALUE` lines, `#` comments, an optional `export `, one pair of quotes
    around a value taken off. Raises OSError, ValueError naming the line (never its value)."""
    found: dict[str, str] = {}
    with open(os.fspath(path), encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            name, equals, value = text.removeprefix("export ").partition("=")
            if not equals or not name.strip().isidentifier():
                message = f"{path}:{number}: not NAME=VALUE"
                raise ValueError(message)
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[name.strip()] = value
    return found
