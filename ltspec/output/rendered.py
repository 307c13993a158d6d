"""What `render` prints: a task as the words of a shell, as a record, as an explanation."""

from __future__ import annotations

import shlex

from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ltspec.model import TaskSpec
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
    facts = [
        ("user", ":".join(part or "" for part in (task.user, task.group)) if task.user or task.group
         else ""),
        ("needs", ", ".join(f"{need.queue}/{need.id}" if need.queue else need.id
                            for need in task.needs)),
        ("timeout", plain.duration(task.timeout) if task.timeout is not None else ""),
        ("report", task.mgrctl and f"{task.mgrctl} -m {task.manager}"),
        *(("secret", f"{name} at descriptor {secret['fd']}")
          for name, secret in task.secrets.items() if "fd" in secret),
    ]
    return [(name, value) for name, value in facts if value]


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
        "umask": None if task.umask is None else f"{task.umask:04o}", "nice": task.nice,
        "limits": dict(task.limits), "needs": [need._asdict() for need in task.needs],
        "tags": list(task.tags), "priority": task.priority, "timeout": task.timeout,
        "start_after": task.start_after, "start_at": task.start_at,
        "kill": [list(step) for step in task.kill], "retries": task.retries._asdict(),
        "success_codes": list(task.success_codes), "report": task.report,
        "mgrctl": task.mgrctl or None, "rerun": task.rerun, "source": task.source,
        "hash": task.hash,
    }


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
