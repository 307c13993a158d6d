"""One thing that was looked at, and what was found."""

from __future__ import annotations

from typing import NamedTuple

NAMED = 5      # of many alike, so many are named


class Finding(NamedTuple):
    """One thing that was looked at. `problem` is what is wrong, "" for nothing; `advice` what to do
    about it; `fixable` where `--fix` does it. `check` is its stable name."""

    check: str
    what: str
    problem: str = ""
    advice: str = ""
    fixable: bool = False
