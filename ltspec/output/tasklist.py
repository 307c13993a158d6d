"""Tasks as rows for a person: the same cells for a pipe, a table on a terminal, and `wait`.

A row is (status, task, time, since, detail); what they mean stands in docs/commands.md.
"""

from __future__ import annotations

from typing import NamedTuple

from ltspec.model import HELD_NEEDS, HELD_TIME, Task
from ltspec.output import plain
from ltspec.output.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ltspec.catalogue.listing import Counts

HEAD = ("STATUS", "TASK", "TIME", "SINCE", "DETAIL")
STATUS_COLOUR = {"RUN": plain.CYAN, "QUE": plain.YELLOW, "OK": plain.GREEN, "ERR": plain.RED}
_RICH_STYLE = {"RUN": "cyan", "QUE": "yellow", "OK": "green", "ERR": "bold red"}


class Shown(NamedTuple):
    """A task with what its row says beyond the catalogue's. `turn`: its number in the queue."""

    task: Task
    turn: int | None = None
    progress: Progress | None = None
    paused: bool = False


def cells(shown: Shown, now: float) -> tuple[str, str, str, str, str]:
    """The row of one task."""
    task = shown.task
    since: float | None
    if task.status == "QUE":
        time, since = plain.duration(now - task.accepted), task.accepted
    elif task.status == "RUN":
        time, since = plain.duration(now - (task.started or now)), task.started
    else:
        time = plain.duration((task.ended or now) - task.started) if task.started else "-"
        since = task.ended
    return str(task.status), task.reference, time, plain.clock(since, now), detail(shown, now)


def detail(shown: Shown, now: float) -> str:
    """The last column: progress, why it waits, or how it ended."""
    task = shown.task
    if task.status == "RUN":
        words = {"": "", "stop": "stopping", "remove": "stopping", "replace": "being replaced"}
        said = str(shown.progress) if shown.progress else ""
        return " ".join(filter(None, (words.get(task.request, task.request), said)))
    if task.status == "QUE":
        return _waiting_detail(shown, now)
    return task.detail


def _waiting_detail(shown: Shown, now: float) -> str:
    task = shown.task
    reasons = []
    if task.held & HELD_TIME:
        reasons.append(f"not before {plain.clock(task.due, now)}")
    if task.held & HELD_NEEDS:
        reasons.append("waits for what it needs")
    if shown.paused:
        reasons.append("queue paused")
    if not reasons and shown.turn is not None and task.queue:
        reasons.append(f"number {shown.turn} in its queue")
    if task.outcome:
        reasons.append(f"attempt {task.attempts} ended: {task.detail or task.outcome}")
    return ", ".join(reasons)


def totals(counts: Counts, hidden: int) -> str:
    """The last line of a list."""
    parts = [
        f"{counts.running} running",
        f"{counts.waiting} waiting",
        f"{counts.succeeded + counts.failed} ended",
    ]
    text = ", ".join(parts) + (f" ({counts.failed} failed)" if counts.failed else "")
    return text + (f"; {hidden} not shown, --all shows them" if hidden else "")


def show(rows: Sequence[tuple[str, ...]], last: str, head: Sequence[str] = HEAD) -> None:
    """A table of rows: rich on a terminal, aligned lines in a pipe."""
    if plain.on_terminal():
        _rich_table(rows, head)
        plain.line(plain.paint(last, plain.DIM) if plain.coloured() else last)
    else:
        plain.lines([*plain.columns(head, rows), *([last] if last else [])])


def _rich_table(rows: Sequence[tuple[str, ...]], head: Sequence[str]) -> None:
    from rich.console import Console

    plain.flush()
    Console(highlight=False, soft_wrap=False).print(rich_table(rows, head))


def rich_table(rows: Sequence[tuple[str, ...]], head: Sequence[str] = HEAD) -> Table:
    """A rich table of the rows; every cell is text without markup, made safe."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for number, title in enumerate(head):
        last = number == len(head) - 1
        table.add_column(title, overflow="ellipsis" if last else "fold", no_wrap=last)
    for row in rows:
        table.add_row(*(Text(plain.safe(cell), style=_RICH_STYLE.get(cell, "")) for cell in row))
    return table
