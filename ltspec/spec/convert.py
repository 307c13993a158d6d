"""From accepted field values to the fields of a TaskSpec. Pure; one small function a field.

A value that the schema accepts and that still means nothing (a date that does not exist, two
durations in a row in `kill`) raises BadValue.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from ltspec.model import Need, Retries
from ltspec.spec.argv import spliced
from ltspec.spec.problems import Path
from ltspec.spec.scalars import as_text, duration, instant, is_duration, size

KILL_WAIT = 10.0
DEFAULT_WAIT_AFTER_KILL = 0.0


class BadValue(ValueError):
    """The value is of the right form and still means nothing; `path` leads to it in the field."""

    def __init__(self, message: str, hint: str = "", path: Path = (), code: str = "LT410") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = path
        self.code = code


Fields = dict[str, Any]
Converter = Callable[[Any, str], Fields]      # value, base directory -> fields of a TaskSpec


def _words(value: Any) -> list[str]:
    return [as_text(part) for part in spliced(value)]


def _as(name: str, function: Callable[[Any], Any]) -> Converter:
    return lambda value, _base: {name: function(value)}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _env(value: Mapping[str, Any], _base: str) -> Fields:
    return {"env": {name: as_text(part) for name, part in value.items()}}


def _env_file(value: Any, base: str) -> Fields:
    return {"env_files": tuple(os.path.join(base, path) for path in _list(value))}


def _secrets(value: Mapping[str, Any], base: str) -> Fields:
    result: dict[str, Any] = {}
    taken: dict[int, str] = {}
    for name, secret in value.items():
        entry: dict[str, Any] = {}
        if "file" in secret:
            entry["file"] = os.path.join(base, secret["file"])
        else:
            entry["command"] = _words(secret["command"])
        if "fd" in secret:
            entry["fd"] = int(secret["fd"])
            other = taken.setdefault(entry["fd"], name)
            if other != name:
                message = f"`{other}` has the descriptor {entry['fd']} already"
                raise BadValue(message, "take another", (name, "fd"))
        result[name] = entry
    return {"secrets": result}


def _stdin(value: Any, base: str) -> Fields:
    if isinstance(value, str):
        return {"stdin": {"text": value}}
    if "file" in value:
        return {"stdin": {"file": os.path.join(base, value["file"])}}
    return {"stdin": {"text": value["text"]}}


def _need(value: Any) -> Need:
    if isinstance(value, str):
        queue, slash, task = value.rpartition("/")
        return Need(task, queue if slash else None)
    return Need(value["id"], value.get("queue"), value.get("want", "ok"))


def _start_after(value: Any, _base: str) -> Fields:
    if not isinstance(value, str) or is_duration(value):
        return {"start_after": duration(value), "start_at": None}
    try:
        return {"start_after": None, "start_at": instant(value)}
    except ValueError:
        raise BadValue(f"`{value}` is no time that exists") from None


def _kill(value: Any, _base: str) -> Fields:
    ladder: list[tuple[str, float]] = []
    waited = True
    for at, step in enumerate(_list(value)):
        is_signal = isinstance(step, str) and not is_duration(step)
        if is_signal:
            ladder.append((step, KILL_WAIT))
        elif waited:
            hint = "write a signal, then how long to wait: [TERM, 10s, KILL]"
            raise BadValue("a duration must follow a signal", hint, (at,))
        else:
            ladder[-1] = (ladder[-1][0], duration(step))
        waited = not is_signal
    if ladder[-1][0] == "KILL":
        ladder[-1] = ("KILL", DEFAULT_WAIT_AFTER_KILL)
    else:
        ladder.append(("KILL", DEFAULT_WAIT_AFTER_KILL))
    return {"kill": tuple(ladder)}


def _retries(value: Any, _base: str) -> Fields:
    if not isinstance(value, dict):
        return {"retries": Retries(limit=int(value))}
    longest = value.get("max_delay")
    return {"retries": Retries(
        limit=int(value["limit"]),
        delay=duration(value.get("delay", 0)),
        backoff=float(value.get("backoff", 1)),
        max_delay=None if longest is None else duration(longest),
        jitter=float(value.get("jitter", 0)),
        on=tuple(int(code) for code in value.get("on", ())),
    )}


_LIMITS: dict[str, Callable[[Any], int]] = {
    "open_files": int, "processes": int,
    "cpu_time": lambda value: max(1, round(duration(value))),
    "core_size": size, "file_size": size, "memory": size,
}


def _limits(value: Mapping[str, Any], _base: str) -> Fields:
    return {"limits": {name: _LIMITS[name](part) for name, part in value.items()}}


def _log(value: Mapping[str, Any], _base: str) -> Fields:
    longest = value.get("max_size")
    return {
        "log_max_size": None if longest is None else size(longest),
        "log_on_full": value.get("on_full", "truncate"),
    }


def _timeout(value: Any, _base: str) -> Fields:
    seconds = duration(value)
    if seconds <= 0:
        raise BadValue("a timeout must be longer than nothing", "leave it out for no limit")
    return {"timeout": seconds}


def _on_finish(value: Mapping[str, Any], _base: str) -> Fields:
    return {"on_finish": tuple(
        {"when": when, "command": _words(command)} for when, command in value.items()
    )}


CONVERTERS: dict[str, Converter] = {
    "id": _as("id", str),
    "name": _as("name", as_text),
    "queue": _as("queue", str),
    "env": _env,
    "env_file": _env_file,
    "secrets": _secrets,
    "cwd": lambda value, base: {"cwd": os.path.join(base, value)},
    "user": _as("user", str),
    "group": _as("group", str),
    "umask": _as("umask", lambda value: int(value, 8)),
    "stdin": _stdin,
    "needs": _as("needs", lambda value: tuple(_need(one) for one in _list(value))),
    "tags": _as("tags", lambda value: tuple(_list(value))),
    "priority": _as("priority", int),
    "start_after": _start_after,
    "timeout": _timeout,
    "kill": _kill,
    "retries": _retries,
    "success_codes": _as("success_codes", lambda value: tuple(int(one) for one in _list(value))),
    "limits": _limits,
    "nice": _as("nice", int),
    "log": _log,
    "report": _as("report", str),
    "rerun": _as("rerun", str),
    "while_active": _as("while_active", str),
    "on_finish": _on_finish,
    "no_log": _as("no_log", bool),
}
# Read together, because one argv comes of them.
ARGV_FIELDS = ("command", "script", "parameters", "parameter_style")
# Read elsewhere: `env_pass` at apply from its environment, the others before rendering.
OTHER_FIELDS = ("env_pass", "when", "loop")
