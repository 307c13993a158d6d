"""Plain scalars of YAML 1.2's core schema, and the small notations: durations, sizes, instants.

A number that is written in a way that Python would not print keeps its source text, because in an
argv or an environment the text is what counts: `1.10` stays `1.10` (DESIGN 6).
"""

import re
from typing import Any

# YAML 1.2 §10.3.2, but a number with leading zeros (0755, 007) is text: people mean a mode or an
# account number, and two YAML versions disagree on its value.
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OTHER_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}
MAX_DIGITS = 300

DURATION_PATTERN = (
    r"(?=[0-9])(?:[0-9]+(?:\.[0-9]+)?w)?(?:[0-9]+(?:\.[0-9]+)?d)?(?:[0-9]+(?:\.[0-9]+)?h)?"
    r"(?:[0-9]+(?:\.[0-9]+)?m)?(?:[0-9]+(?:\.[0-9]+)?s)?(?:[0-9]+ms)?"
)
_DURATION = re.compile(DURATION_PATTERN)
_DURATION_PART = re.compile(r"([0-9.]+)([a-z]+)")
_SECONDS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_BYTES = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}


class WrittenInt(int):
    """A whole number that keeps the text it was written as."""

    text: str

    def __str__(self) -> str:
        return self.text


class WrittenFloat(float):
    """A number that keeps the text it was written as."""

    text: str

    def __str__(self) -> str:
        return self.text


def _keep(number: Any, text: str) -> Any:
    number.text = text
    return number


def plain(text: str) -> Any:
    """The value of a plain (unquoted) scalar."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if not (first.isdigit() or first in "-+.") or len(text) > MAX_DIGITS:
        return text
    if _INT.fullmatch(text):
        number = int(text)
        return number if str(number) == text else _keep(WrittenInt(number), text)
    if _OTHER_INT.fullmatch(text):
        return _keep(WrittenInt(int(text[2:], 8 if text[1] == "o" else 16)), text)
    if _FLOAT.fullmatch(text):
        real = float(text)
        return real if str(real) == text else _keep(WrittenFloat(real), text)
    if _SPECIAL.fullmatch(text):
        return _keep(WrittenFloat(float(text.replace(".", "").lower())), text)
    return text


def as_text(value: Any) -> str:
    """A scalar as the text that a program sees: numbers as written, booleans in YAML's words."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value)


def is_duration(text: str) -> bool:
    """True for `90s`, `2h30m`, `1.5h`; the units go from large to small, each once."""
    return _DURATION.fullmatch(text) is not None


def duration(value: str | float) -> float:
    """Seconds of a duration that the schema has accepted; a bare number is seconds."""
    if not isinstance(value, str):
        return float(value)
    return sum(float(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(value))


def size(value: str | int) -> int:
    """Bytes of a size that the schema has accepted; a bare number is bytes."""
    if not isinstance(value, str):
        return int(value)
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError(value)
    return int(float(found[1]) * _BYTES[found[2]])


def instant(value: str) -> float:
    """Seconds since 1970 of an RFC 3339 time; ValueError where there is no such time."""
    from datetime import datetime

    return datetime.fromisoformat(value.upper().replace("Z", "+00:00")).timestamp()
