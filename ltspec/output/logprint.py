"""Prints logs: their bytes as they were written, or with several tasks a prefix before each line.

Raw by design: what a task wrote for a terminal is wanted as it is. Tables never print it raw.
"""

from __future__ import annotations

from ltspec.output import plain

_PALETTE = ("36", "33", "35", "32", "34", "31", "96", "93", "95", "92")


class LogPrinter:
    """The output of one task. `prefix` "" prints bytes untouched, else whole lines."""

    def __init__(self, prefix: str = "", number: int = 0) -> None:
        self._prefix = b""
        self._rest = b""
        if prefix:
            text = f"{plain.safe(prefix)} | "
            if plain.coloured():
                text = plain.paint(text, _PALETTE[number % len(_PALETTE)])
            self._prefix = text.encode(errors="backslashreplace")

    def write(self, data: bytes) -> None:
        """Some more of the log."""
        if not self._prefix:
            plain.raw(data)
            return
        *whole, self._rest = (self._rest + data).split(b"\n")
        if whole:
            plain.raw(b"".join(self._prefix + line + b"\n" for line in whole))

    def end(self) -> None:
        """The attempt is over: what has no line end yet is printed too."""
        if self._rest:
            plain.raw(self._prefix + self._rest + b"\n")
            self._rest = b""
