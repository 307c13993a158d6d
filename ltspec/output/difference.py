"""How a definition changes, for `--diff`: the rendered fields as a spec has them, line by line.

Values of env_pass (they come from the caller's environment) and of a task with `no_log` are not
shown; secrets are no part of a definition.
"""

from __future__ import annotations

import difflib
import json

from ltspec.output import plain
from ltspec.spec.writing import as_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ltspec.model import Need, TaskSpec
    from ltspec.output.recap import Declared

_HIDDEN = ("parameters", "env", "stdin", "script")
_SECONDS = ("timeout", "start_after")


def fields(spec: TaskSpec | None) -> list[str]:
    """A definition as lines `field: value`, one a list element or key."""
    if spec is None:
        return []
    lines: list[str] = []
    shown = as_spec(spec) | {"cwd": spec.cwd, "needs": list(map(_need, spec.needs))}
    for name, value in shown.items():
        if spec.no_log and name in _HIDDEN:
            lines.append(f"{name}: (not shown: no_log)")
        elif name == "script":
            lines += [f"script: {text}" for text in str(value).splitlines()]
        elif name in _SECONDS and isinstance(value, float):
            lines.append(f"{name}: {value:g}s")
        else:
            lines += _lines(name, value)
    return [*lines, *([f"mgrctl: {spec.mgrctl}"] if spec.mgrctl else [])]


def _need(need: Need) -> str:
    name = f"{need.queue}/{need.id}" if need.queue else need.id
    return name if need.want == "ok" else f"{name} ({need.want})"


def _lines(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _lines(f"{name}.{key}", part)
    elif isinstance(value, list):
        for part in value:
            yield from _lines(name, part)
    else:
        yield f"{name}: {json.dumps(value, ensure_ascii=False)}"


def difference(before: TaskSpec | None, after: TaskSpec) -> list[str]:
    """The unified difference without its two head lines; empty where nothing differs."""
    lines = difflib.unified_diff(fields(before), fields(after), lineterm="", n=1)
    return list(lines)[2:]


def difference_lines(declared: Declared) -> Iterator[str]:
    """For each task that changes, its name and its difference."""
    for change in declared.changes:
        placed = declared.placed.get(change.key or 0)
        lines = difference(placed.before if placed else None, change.spec)
        if not lines:
            continue
        yield f"--- {plain.safe(change.spec.reference)}"
        for line in lines:
            yield _coloured(plain.safe(line))


def _coloured(line: str) -> str:
    colour = {"+": plain.GREEN, "-": plain.RED, "@": plain.DIM}.get(line[:1])
    return plain.paint(line, colour) if colour and plain.coloured() else line


def with_differences(declared: Declared, record: dict[str, Any]) -> dict[str, Any]:
    """The record of a plan, each task with its difference as a list of lines."""
    for row, change in zip(record["tasks"], declared.changes, strict=True):
        placed = declared.placed.get(change.key or 0)
        row["diff"] = difference(placed.before if placed else None, change.spec)
    return record
