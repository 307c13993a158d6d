"""What `render` prints: a task as the words of a shell, as a record, as an explanation."""

from __future__ import annotations

import shlex

from ltspec.model import DEFAULT_KILL
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ltspec.model import Need, TaskSpec
    from ltspec.spec.explaining import Explained

HIDDEN = "<not shown: no_log>"


def argv(task: TaskSpec) -> list[str]:
    """The elements of argv; a script stands as the word `<script>`."""
    middle = ["<script>"] if task.script is not None else []
    parameters = [HIDDEN] * len(task.parameters) if task.no_log else task.parameters
    return [*task.command, *middle, *parameters]


def show(task: TaskSpec, env: Mapping[str, str], pidfile: str) -> None:
    """A block of lines: what is run, then where and with what."""
    lines = [f"# {task.reference}" + (f": {task.name}" if task.name else "")]
    lines.append(" ".join(_quoted(word) for word in argv(task)))
    if task.script is not None and not task.no_log:
        lines += [f"    | {line}" for line in task.script.rstrip("\n").split("\n")]
    lines += [f"  cwd      {_quoted(task.cwd)}", f"  pidfile  {_quoted(pidfile)}"]
    lines += [f"  {name:<8} {value}" for name, value in _facts(task)]
    for number, (name, value) in enumerate(env.items()):
        shown = HIDDEN if task.no_log and name in task.env else value
        lines.append(f"  {'env' if number == 0 else '':<8} {name}={_quoted(shown)}")
    plain.lines([*map(plain.safe, lines), ""])


def _quoted(word: str) -> str:
    return word if word.startswith("<") and word.endswith(">") else shlex.quote(word)


def _facts(task: TaskSpec) -> list[tuple[str, str]]:
    """What differs from the defaults, in words."""
    facts = [
        ("user", ":".join(part or "" for part in (task.user, task.group)) if task.user or task.group
         else ""),
        *_process_facts(task),
        ("needs", ", ".join(map(_need, task.needs))),
        ("tags", ", ".join(task.tags)),
        ("priority", str(task.priority or "")),
        ("starts", _start(task)),
        ("timeout", plain.duration(task.timeout) if task.timeout is not None else ""),
        ("kill", _kill(task)),
        ("retries", _retries(task)),
        ("OK", "" if task.success_codes == (0,)
         else "exit code " + ", ".join(map(str, task.success_codes))),
        ("rerun", "" if task.rerun == "failed" else task.rerun),
        ("running", "" if task.while_active == "refuse" else "another definition replaces it"),
        ("report", task.mgrctl and f"{task.mgrctl} -m {task.manager}"),
        *(("finish", f"{hook['when']}: {' '.join(map(_quoted, hook['command']))}")
          for hook in task.on_finish),
        *(("secret", f"{name} at descriptor {secret['fd']}")
          for name, secret in task.secrets.items() if "fd" in secret),
    ]
    return [(name, value) for name, value in facts if value]


def _process_facts(task: TaskSpec) -> list[tuple[str, str]]:
    stdin = task.stdin or {}
    text = stdin.get("text")
    if text is not None:
        text = HIDDEN if task.no_log else f"{plain.size(len(text.encode()))} of text"
    log = f"at most {task.log_max_size} bytes, then {task.log_on_full}"
    return [
        ("stdin", text or _quoted(stdin.get("file", ""))) if stdin else ("stdin", ""),
        ("umask", "" if task.umask is None else f"{task.umask:04o}"),
        ("nice", "" if task.nice is None else str(task.nice)),
        ("limits", ", ".join(f"{name} {value}" for name, value in task.limits.items())),
        ("log", "" if task.log_max_size is None else log),
    ]


def _need(need: Need) -> str:
    name = f"{need.queue}/{need.id}" if need.queue else need.id
    return name if need.want == "ok" else f"{name} (want {need.want})"


def _start(task: TaskSpec) -> str:
    if task.start_at is not None:
        return f"not before {plain.moment(task.start_at)}"
    if task.start_after is not None:
        return f"{plain.duration(task.start_after)} after it is accepted"
    return ""


def _kill(task: TaskSpec) -> str:
    if task.kill == DEFAULT_KILL:
        return ""
    return ", ".join(f"{name} and {plain.duration(wait)}" if wait else name
                     for name, wait in task.kill)


def _retries(task: TaskSpec) -> str:
    """The fields that are not their defaults, by their names in a spec."""
    again = task.retries
    if not again.limit:
        return ""
    told = [f"up to {again.limit}"]
    if again.delay:
        told.append(f"delay {plain.duration(again.delay)}")
    if again.backoff != 1:
        told.append(f"backoff {again.backoff:g}")
    if again.max_delay is not None:
        told.append(f"max_delay {plain.duration(again.max_delay)}")
    if again.jitter:
        told.append(f"jitter {again.jitter:g}")
    if again.on:
        told.append("on exit code " + ", ".join(map(str, again.on)))
    return ", ".join(told)


def record(task: TaskSpec, env: Mapping[str, str], pidfile: str) -> dict[str, Any]:
    """The JSON form: every key is always there."""
    return {
        "reference": task.reference, "manager": task.manager, "queue": task.queue or None,
        "id": task.id, "name": task.name or task.id, "argv": argv(task),
        "script": None if task.no_log else task.script,
        "env": {name: HIDDEN if task.no_log and name in task.env else value
                for name, value in env.items()},
        "secrets": dict(task.secrets), "cwd": task.cwd, "pidfile": pidfile,
        "user": task.user, "group": task.group,
        "env_pass": list(task.env_pass), "env_file": list(task.env_files), "stdin": _stdin(task),
        "umask": None if task.umask is None else f"{task.umask:04o}", "nice": task.nice,
        "limits": dict(task.limits), "needs": [need._asdict() for need in task.needs],
        "tags": list(task.tags), "priority": task.priority, "timeout": task.timeout,
        "start_after": task.start_after, "start_at": task.start_at,
        "kill": [list(step) for step in task.kill], "retries": task.retries._asdict(),
        "success_codes": list(task.success_codes), "report": task.report,
        "mgrctl": task.mgrctl or None, "rerun": task.rerun, "while_active": task.while_active,
        "log": {"max_size": task.log_max_size, "on_full": task.log_on_full},
        "on_finish": {hook["when"]: list(hook["command"]) for hook in task.on_finish},
        "no_log": task.no_log, "source": task.source, "hash": task.hash,
    }


def _stdin(task: TaskSpec) -> dict[str, str] | None:
    if task.stdin is None:
        return None
    return {name: HIDDEN if task.no_log and name == "text" else value
            for name, value in task.stdin.items()}


def show_explained(task: TaskSpec, values: Sequence[Explained]) -> None:
    """One line a value, and one for each variable in it."""
    lines = [f"# {task.reference}"]
    for value in values:
        hidden = task.no_log and value.path.startswith(("parameters", "env", "script"))
        lines.append(f"  {value.path} = {HIDDEN if hidden else _short(value.value)}"
                     f"    <- {value.origin}")
        lines += [f"      {used.name} = {HIDDEN if hidden else _short(used.value)}"
                  f"    <- {used.origin}" for used in value.variables]
    plain.lines([*map(plain.safe, lines), ""])


def _short(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else text[:97] + "…"
