"""How a definition changes, for `--diff`: the rendered fields, line by line.

Values of env_pass (they come from the caller's environment) and of a task with `no_log` are not
shown; secrets are no part of a definition.
"""

from __future__ import annotations

import difflib
import json

from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ltspec.model import TaskSpec
    from ltspec.output.recap import Declared

_LEFT_OUT = ("hash", "env_pass", "source")
_HIDDEN = ("parameters", "env", "stdin", "script")


def fields(spec: TaskSpec | None) -> list[str]:
    """A definition as lines `field: value`, one a list element or key."""
    if spec is None:
        return []
    lines: list[str] = []
    for name, value in json.loads(spec.to_json()).items():
        if name in _LEFT_OUT:
            continue
        if spec.no_log and name in _HIDDEN:
            lines.append(f"{name}: (not shown: no_log)")
        elif isinstance(value, dict):
            lines += [f"{name}.{key}: {json.dumps(part)}" for key, part in value.items()]
        elif isinstance(value, list):
            lines += [f"{name}: {json.dumps(part, ensure_ascii=False)}" for part in value]
        elif name == "script":
            lines += [f"script: {text}" for text in str(value).splitlines()]
        else:
            lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    lines += [f"env_pass: {name}" for name in spec.env_pass]
    return lines


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
