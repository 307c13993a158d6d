"""From the fields `command`, `script` and `parameters` to elements of argv.

Nothing that was rendered is split, and nothing meets a shell: one element of the spec is one
element of argv. A command that is written as text is split before it is rendered, each template in
it being one unbreakable piece.
"""

import re
import shlex
from collections.abc import Iterator
from typing import Any

from ltspec.spec.scalars import as_text

_PIECE = re.compile(r"\{\{(?:[^}'\"]|'[^']*'|\"[^\"]*\"|\}(?!\}))*\}\}|\{%.*?%\}", re.DOTALL)
_SHEBANG = re.compile(r"#! *(\S+)(?:[ \t]+(.*?))?[ \t]*(?:\n|$)")
DEFAULT_INTERPRETER = ("/bin/sh", "-eu")

_OPERATOR = re.compile(r"(?:\|\|?|&&?|;|[0-9]?>>?(?:&[0-9])?|<<?|&>)")
_EXPANSION = re.compile(r"\$[A-Za-z_{(]|`")


class CannotSplit(ValueError):
    """The text is no command line: quotes that are not closed."""


def split_command(text: str) -> list[str]:
    """The words of a command that is written as text, templates whole. Raises CannotSplit."""
    if not any(mark in text for mark in "'\"\\{"):
        return text.split()
    pieces: list[str] = []

    def keep(found: re.Match[str]) -> str:
        pieces.append(found[0])
        return f"\ue000{len(pieces) - 1}\ue001"

    try:
        words = shlex.split(_PIECE.sub(keep, text.replace("\ue000", "")))
    except ValueError as error:
        raise CannotSplit(str(error)) from error
    return [re.sub("\ue000([0-9]+)\ue001", lambda m: pieces[int(m[1])], word) for word in words]


def shell_syntax(text: str) -> str:
    """The first thing in a written command that only a shell would understand, or ""."""
    try:
        words = shlex.split(_PIECE.sub("x", text), posix=False)
    except ValueError:
        return ""
    for word in words:
        if "'" in word or '"' in word or "\\" in word:
            continue
        operator = _OPERATOR.match(word)
        redirects = word[0] in "<>" or word[:2] in ("2>", "1>")
        if operator and (operator.end() == len(word) or redirects):
            return word
        if word.endswith(";") or _EXPANSION.search(word) or word.startswith("~/"):
            return word
        if re.search(r"[*?](?:\.|$)", word) and "/" in word and "://" not in word:
            return word
    return ""


def interpreter(script: str) -> tuple[str, ...]:
    """The argv prefix that runs a script: of its `#!` line (one argument, as the kernel does)."""
    found = _SHEBANG.match(script)
    if found is None:
        return DEFAULT_INTERPRETER
    return (found[1], found[2]) if found[2] else (found[1],)


def spliced(values: list[Any]) -> list[Any]:
    """A list whose elements that are lists (an expression gave them) are put in their places."""
    if not any(isinstance(value, list) for value in values):
        return values
    result: list[Any] = []
    for value in values:
        if isinstance(value, list):
            result.extend(value)
        else:
            result.append(value)
    return result


def arguments(parameters: Any, style: str) -> tuple[str, ...]:
    """The elements of argv of accepted `parameters`."""
    if isinstance(parameters, dict):
        return tuple(_options(parameters, style))
    result: list[str] = []
    for value in parameters:
        if isinstance(value, str):
            result.append(value)
        elif isinstance(value, dict):
            result.extend(_options(value, style))
        else:
            result.append(as_text(value))
    return tuple(result)


def _options(mapping: dict[str, Any], style: str) -> Iterator[str]:
    for key, value in mapping.items():
        for one in value if isinstance(value, list) else (value,):
            if one is not None and one is not False:
                yield from _option(key, one, style)


def _option(key: str, value: Any, style: str) -> tuple[str, ...]:
    if style == "mgr":
        return (f"{key}={'on' if value is True else as_text(value)}",)
    name = f"-{key}" if len(key) == 1 else f"--{key}"
    if value is True:
        return (name,)
    if style == "equals" and len(key) > 1:
        return (f"{name}={as_text(value)}",)
    return (name, as_text(value))
