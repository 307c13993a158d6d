"""What `apply`, `plan` and `watch` tell: the tasks that need a word, then one line a file."""

from __future__ import annotations

import os
from typing import NamedTuple

from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ltspec.catalogue.enqueue import Change
    from ltspec.model import TaskSpec
    from ltspec.spec.loading import Loaded

WORDS = ("created", "changed", "rerun", "replaced", "unchanged", "skipped", "refused", "removed")
_ALWAYS = ("created", "changed", "unchanged", "skipped", "refused")   # counted also where it is 0
_COLOUR = {
    "created": plain.GREEN, "changed": plain.YELLOW, "rerun": plain.YELLOW,
    "replaced": plain.YELLOW, "skipped": plain.CYAN, "refused": plain.RED, "removed": plain.YELLOW,
}
_EACH = 10        # tasks named of one kind; the others are counted


class Missing(NamedTuple):
    """A task that came from one of the files and is no longer in it."""

    source: str
    key: int
    reference: str
    status: str
    removed: bool


class Placed(NamedTuple):
    """What `plan` adds to a change: the definition before, and what it waits for after.

    `turn`: its number in the queue where it is ready; `due`: wall clock, where it waits for a time.
    """

    before: TaskSpec | None
    turn: int | None
    blocked_by: tuple[str, ...]
    due: float | None
    paused: bool


class Declared(NamedTuple):
    """What was done with the tasks of some files, or would be."""

    loaded: Loaded
    changes: list[Change]
    missing: list[Missing]
    queues: list[str]
    placed: dict[int, Placed]

    @property
    def refused(self) -> bool:
        """True where one of them was not accepted."""
        return any(change.verdict.action == "refused" for change in self.changes)

    @property
    def pending(self) -> bool:
        """True where an apply changes something."""
        return any(c.verdict.action not in ("unchanged",) for c in self.changes) or any(
            one.removed for one in self.missing
        )

    def keys(self) -> list[int]:
        """The accepted tasks' keys, in the order of the files."""
        return [c.key for c in self.changes if c.key is not None and c.verdict.action != "refused"]


def file_name(path: str) -> str:
    """A file as the user would write it from here, in full from `/`; standard input is `-`."""
    if not path:
        return "-"
    below = os.path.relpath(path)
    return path if below.startswith("..") or os.getcwd() == "/" else below


def counts(declared: Declared) -> dict[str, dict[str, int]]:
    """By file, how many tasks of each kind."""
    table = {path: dict.fromkeys(WORDS, 0) for path in declared.loaded.files}
    nothing = dict.fromkeys(WORDS, 0)
    for change in declared.changes:
        table.setdefault(change.spec.source, dict(nothing))[change.verdict.action] += 1
    for skipped in declared.loaded.skipped:
        table.setdefault(skipped.file, dict(nothing))["skipped"] += 1
    for missing in declared.missing:
        table.setdefault(missing.source, dict(nothing))["removed"] += missing.removed
    return table


def task_lines(declared: Declared, *, would: bool = False) -> list[str]:
    """One line a task, at most ten of a kind, in the order of the kinds."""
    lines: list[str] = []
    for word in WORDS[:-1]:
        group = [change for change in declared.changes if change.verdict.action == word]
        shown = group if word == "refused" else group[:_EACH]
        lines += [_task_line(declared, change, would=would) for change in shown]
        if len(group) > len(shown):
            lines.append(f"{_word(word)}and {len(group) - len(shown)} more")
    lines += [
        f"{_word('skipped')}{plain.safe(one.id)}: its `when` is false"
        for one in declared.loaded.skipped[:_EACH]
    ]
    lines += [_missing_line(one) for one in declared.missing[:_EACH]]
    if len(declared.missing) > _EACH:
        lines.append(f"{_word('missing')}and {len(declared.missing) - _EACH} more")
    lines += [f"queue {plain.safe(name)}: its settings were taken from the configuration"
              for name in declared.queues]
    return lines


def _task_line(declared: Declared, change: Change, *, would: bool) -> str:
    action, reason = change.verdict
    text = plain.safe(change.spec.reference) + (f": {plain.safe(reason)}" if reason else "")
    placed = declared.placed.get(change.key or 0)
    if would and placed is not None:
        text += "".join(f"; {plain.safe(words)}" for words in _place(placed))
    return f"{_word(action)}{text}"


def _place(placed: Placed) -> list[str]:
    """Where it would stand, and what it would wait for."""
    words = []
    if placed.blocked_by:
        words.append(f"blocked by {', '.join(placed.blocked_by)}")
    if placed.due is not None:
        words.append(f"not before {plain.moment(placed.due)}")
    if placed.turn is not None:
        words.append(f"number {placed.turn} in its queue")
    if placed.paused:
        words.append("its queue is paused")
    return words


def _missing_line(one: Missing) -> str:
    if one.removed:
        return f"{_word('removed')}{plain.safe(one.reference)}: no longer in its file"
    left = "--remove-missing takes it away" if one.status == "QUE" else f"it is {one.status}"
    name = plain.safe(one.reference)
    return f"{_word('missing')}{name}: no longer in its file, left alone; {left}"


def _word(word: str) -> str:
    text = word.ljust(11)
    colour = _COLOUR.get(word)
    return plain.paint(text, colour) if colour and plain.coloured() else text


def recap_lines(declared: Declared) -> list[str]:
    """One line a file, and with several files their sum."""
    table = counts(declared)
    rows = [(file_name(path), numbers) for path, numbers in table.items()]
    if len(rows) > 1:
        total = {word: sum(numbers[word] for _, numbers in rows) for word in WORDS}
        rows.append((f"{len(rows)} files", total))
    width = max((len(plain.safe(name)) for name, _ in rows), default=0)
    words = [w for w in WORDS if w in _ALWAYS or any(numbers[w] for _, numbers in rows)]
    return [f"{plain.safe(name).ljust(width)} : {_numbers(words, numbers)}"
            for name, numbers in rows]


def brief_lines(declared: Declared) -> list[str]:
    """For a log: the tasks with which something happens, then one line for all files together."""
    happens = [c for c in declared.changes if c.verdict.action != "unchanged"]
    table = counts(declared)
    what = plain.safe(file_name(next(iter(table)))) if len(table) == 1 else f"{len(table)} files"
    total = {word: sum(numbers[word] for numbers in table.values()) for word in WORDS}
    said = ", ".join(f"{count} {word}" for word, count in total.items() if count)
    return [*task_lines(declared._replace(changes=happens)), f"{what}: {said or 'no tasks'}"]


def _numbers(words: Sequence[str], numbers: dict[str, int]) -> str:
    parts = []
    for word in words:
        text = f"{word}={numbers[word]}".ljust(len(word) + 4)
        paint = numbers[word] and word in _COLOUR and plain.coloured()
        parts.append(plain.paint(text, _COLOUR[word]) if paint else text)
    return " ".join(parts).rstrip()


def hints(declared: Declared) -> list[str]:
    """What the user may want to do next."""
    going = any(c.verdict.action in ("created", "changed", "rerun", "replaced")
                for c in declared.changes)
    if not going or len(declared.changes) == 0:
        return []
    one = declared.changes[0].spec.reference if len(declared.changes) == 1 else ""
    if one:
        return [f"`ltspec logs -f {one}` shows what it writes, `ltspec wait {one}` waits for it"]
    return ["`ltspec list` shows them, `ltspec wait TASK…` waits for their ends"]


def record(declared: Declared) -> dict[str, Any]:
    """The same as one JSON document (docs/commands.md)."""
    table = counts(declared)
    return {
        "tasks": [_record(declared, change) for change in declared.changes],
        "skipped": [{"file": one.file or None, "id": one.id} for one in declared.loaded.skipped],
        "missing": [
            {"file": one.source, "reference": one.reference, "status": one.status,
             "removed": one.removed}
            for one in declared.missing
        ],
        "queues_changed": declared.queues,
        "files": [{"file": path or None, **numbers} for path, numbers in table.items()],
    }


def _record(declared: Declared, change: Change) -> dict[str, Any]:
    from ltspec.output.records import stamp

    placed = declared.placed.get(change.key or 0)
    spec = change.spec
    return {
        "reference": spec.reference,
        "manager": spec.manager,
        "queue": spec.queue or None,
        "id": spec.id,
        "file": spec.source or None,
        "action": change.verdict.action,
        "reason": change.verdict.reason,
        "number_in_queue": placed.turn if placed else None,
        "blocked_by": list(placed.blocked_by) if placed else [],
        "due": stamp(placed.due) if placed else None,
        "queue_paused": placed.paused if placed else False,
    }


def show(lines: Sequence[str]) -> None:
    """Print them."""
    plain.lines(lines)
