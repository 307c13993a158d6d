"""A resolved task written as a spec again: nothing is left to render, and its hash is the same."""

import json
import re
from collections.abc import Iterable
from typing import Any

from ltspec.model import DEFAULT_KILL, TaskSpec
from ltspec.spec.identity import below
from ltspec.spec.templates import has_template

# What JSON may hold raw and YAML may not, or would take for a line end.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_SAME = ("queue", "name", "user", "group", "nice", "priority", "report", "rerun", "while_active",
         "no_log")


def as_spec(task: TaskSpec) -> dict[str, Any]:
    """The fields of one task that differ from their defaults, as a spec has them."""
    fields: dict[str, Any] = {"id": task.id}
    defaults = TaskSpec("")
    for name in _SAME:
        if getattr(task, name) != getattr(defaults, name):
            fields[name] = getattr(task, name)
    if task.script is not None:
        fields["script"] = task.script
    else:
        fields["command"] = list(task.command)
    if task.parameters:
        fields["parameters"] = list(task.parameters)
    fields |= _surroundings(task) | _course(task)
    escaped: dict[str, Any] = _literal(fields)
    return escaped


def _surroundings(task: TaskSpec) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "env": dict(task.env), "env_pass": list(task.env_pass), "env_file": list(task.env_files),
        "secrets": dict(task.secrets), "cwd": below(task.cwd, task.base_dir),
        "stdin": _stdin(task), "limits": dict(task.limits),
    }
    if task.umask is not None:
        fields["umask"] = f"{task.umask:04o}"
    return {name: value for name, value in fields.items() if value}


def _stdin(task: TaskSpec) -> dict[str, str] | None:
    if task.stdin is None or "file" not in task.stdin:
        return None if task.stdin is None else dict(task.stdin)
    return {"file": below(task.stdin["file"], task.base_dir)}


def _course(task: TaskSpec) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "needs": [_need(need) for need in task.needs], "tags": list(task.tags),
        "timeout": task.timeout, "start_after": task.start_after,
        "on_finish": {hook["when"]: hook["command"] for hook in task.on_finish},
    }
    if task.start_at is not None:
        from datetime import UTC, datetime

        fields["start_after"] = datetime.fromtimestamp(task.start_at, UTC).isoformat()
    if task.kill != DEFAULT_KILL:
        fields["kill"] = [part for signal, wait in task.kill for part in (signal, wait)]
    if task.retries.limit:
        delays = task.retries._asdict() | {"on": list(task.retries.on)}
        fields["retries"] = {key: value for key, value in delays.items() if value is not None}
    if task.success_codes != (0,):
        fields["success_codes"] = list(task.success_codes)
    if task.log_max_size is not None:
        fields["log"] = {"max_size": task.log_max_size, "on_full": task.log_on_full}
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _need(need: Any) -> Any:
    fields = {"id": need.id}
    if need.queue:
        fields["queue"] = need.queue
    return fields | ({"want": need.want} if need.want != "ok" else {})


def _literal(value: Any) -> Any:
    """The value with its braces written so that no template is seen in it."""
    if isinstance(value, str) and has_template(value):
        return re.sub(r"\{[{%]", lambda found: "{{ '" + found[0] + "' }}", value)
    if isinstance(value, list):
        return [_literal(part) for part in value]
    if isinstance(value, dict):
        return {key: _literal(part) for key, part in value.items()}
    return value


def as_yaml(tasks: Iterable[TaskSpec]) -> str:
    """A spec file of tasks, one document for each manager, in YAML's JSON style."""
    by_manager: dict[str, list[TaskSpec]] = {}
    for task in tasks:
        by_manager.setdefault(task.manager, []).append(task)
    texts = []
    for manager, group in by_manager.items():
        head = {"ltspec": 1}
        named = group[0].mgrctl or manager != TaskSpec("").manager
        document = {**head, **({"manager": manager} if named else {}),
                    "tasks": [as_spec(task) for task in group]}
        text = json.dumps(document, indent=2, ensure_ascii=False)
        texts.append(_UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
    return "\n---\n".join(texts)
