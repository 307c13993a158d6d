"""Lines on stdout and stderr, aligned columns, and the words for times. Loads nothing.

Owns the rule that nothing foreign reaches a terminal raw: `safe` shows control characters and
escape sequences instead of sending them. Only `raw` (the logs) passes bytes on as they are.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False      # `typing` and `collections.abc` would be half of a start's time
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RED, YELLOW, GREEN, CYAN, DIM, BOLD = "31", "33", "32", "36", "2", "1"


def safe(text: str) -> str:
    """`text` on one line with everything that is not printable written out: `\\x1b`, `\\n`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if char in "\n\t\r":
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[char]
    if 0xDC80 <= code <= 0xDCFF:      # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def line(text: str = "") -> None:
    """One line on stdout."""
    print(text)


def lines(texts: Iterable[str]) -> None:
    """Many lines on stdout, written at once."""
    text = "\n".join(texts)
    if text:
        print(text)


def raw(data: bytes) -> None:
    """Bytes on stdout as they are: a task's log, wanted as it was written."""
    flush()
    if sys.stdout is not None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def raw_error(data: bytes) -> None:
    """Bytes on stderr as they are."""
    if sys.stderr is not None:
        sys.stderr.flush()
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()


def flush() -> None:
    """Let out what was written; a line of a stream is to be seen when it happens."""
    if sys.stdout is not None:
        sys.stdout.flush()


def error(text: str) -> None:
    """`ltspec: error: …` on stderr; further lines of the message are indented under it."""
    _message("error", text, RED)


def warning(text: str) -> None:
    """`ltspec: warning: …` on stderr."""
    _message("warning", text, YELLOW)


def note(text: str) -> None:
    """`ltspec: …` on stderr: for the person, not part of the answer."""
    _message("", text, DIM)


def _message(kind: str, text: str, colour: str) -> None:
    first, *more = text.split("\n")
    head = f"{kind}: " if kind else ""
    if kind and coloured(sys.stderr):
        head = paint(head, colour)
    print(f"ltspec: {head}{safe(first)}", file=sys.stderr)
    for further in more:
        print(f"  {safe(further)}", file=sys.stderr)


def on_terminal() -> bool:
    """True where stdout is a terminal that can do more than lines."""
    return bool(sys.stdout and sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def coloured(stream: object = None) -> bool:
    """True where `stream` (default stdout) takes colours: a terminal, and NO_COLOR is not set."""
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or stream is None:
        return False
    return bool(getattr(stream, "isatty", bool)())


def paint(text: str, colour: str) -> str:
    """`text` in an ANSI colour; the caller has asked `coloured`."""
    return f"\x1b[{colour}m{text}\x1b[0m"


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned lines for a pipe: columns as wide as their widest cell, two blanks between."""
    cells = [tuple(head), *(tuple(safe(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    widths[-1] = 0
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def duration(seconds: float) -> str:
    """A length of time for a column: `4.2s`, `3m20s`, `2h05m`, `3d04h`."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def clock(instant: float | None, now: float) -> str:
    """A wall-clock time for a person: the hour alone within half a day, else with its date."""
    if instant is None:
        return "-"
    form = "%H:%M:%S" if abs(now - instant) < 43200 else "%Y-%m-%d %H:%M"
    return time.strftime(form, time.localtime(instant))


def moment(instant: float | None) -> str:
    """A wall-clock time in full, in local time: `2026-11-24 04:05:06`."""
    if instant is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(instant))


def size(count: int) -> str:
    """A number of bytes: `812 B`, `3.4 KiB`, `120 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{count} B" if count < 1024 else f"{value:.3g} {unit}"


def plural(count: int, word: str, words: str = "") -> str:
    """`1 task`, `3 tasks`."""
    return f"{count} {word if count == 1 else words or word + 's'}"


def wrapped(paragraph: str, width: int = 78) -> list[str]:
    """A paragraph in lines of at most `width`; in a pipe it stays one line."""
    paragraph = safe(paragraph)
    if not on_terminal():
        return [paragraph]
    from textwrap import wrap

    return wrap(paragraph, width, break_long_words=False, break_on_hyphens=False)
