"""The filters of templates, each with a bound, and the limits of operators.

Of Jinja2's own those are kept that are sure to end and to give the same everywhere; Ansible's
well-known ones are added, because people will try them.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ltspec.spec.templates import MAX_ITEMS, MAX_TEXT, TemplateError, bounded, printed, too_large

MAX_BITS = 4096

_KEPT = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int",
    "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr",
    "reverse", "select", "selectattr", "sort", "string", "title", "trim", "truncate", "unique",
    "upper", "urlencode", "wordcount",
)

REFUSED = {
    "quote": "nothing here meets a shell, so nothing needs quotes: one element of the spec is one "
             "argument; in a `script` use \"$1\" and `parameters`",
    "random": "every `apply` must give the same",
    "shuffle": "every `apply` must give the same",
    "safe": "nothing is escaped here",
    "escape": "nothing here is HTML",
    "e": "nothing here is HTML",
    "batch": "use a `loop` over a list under `vars`",
    "lookup": "use env('NAME') or file('path')",
    "password_hash": "use `secrets`",
    "vault": "use `secrets`",
    "ipaddr": "compute it before, and give it with -e",
}


def allowed(builtin: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The table of filters from Jinja2's own one."""
    table = {name: builtin[name] for name in _KEPT}
    table.update({
        "b64decode": b64decode, "b64encode": b64encode, "basename": basename, "bool": to_bool,
        "center": center, "combine": combine, "dict2items": dict2items, "dirname": dirname,
        "format": formatted, "from_json": from_json, "indent": indent, "items2dict": items2dict,
        "join": join_filter, "regex_escape": regex_escape, "regex_findall": regex_findall,
        "regex_replace": regex_replace, "regex_search": regex_search, "replace": replace,
        "round": rounded, "split": split, "sum": total, "ternary": ternary, "to_json": to_json,
        "tojson": to_json, "zip": zipped,
    })
    return table


def _text(value: Any, name: str) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise TemplateError("LT303", f"`{name}` takes text", "", name)
    return str(value)


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse what would grow beyond the limits. Raises TemplateError."""
    if operator == "%" and isinstance(left, str):
        _check_format(left)
    elif isinstance(left, (int, float)) and isinstance(right, (int, float)):
        bits = int(left).bit_length() if isinstance(left, int) else 0
        more = int(right).bit_length() if isinstance(right, int) else 0
        if operator == "**" and isinstance(left, int):
            bits *= max(1, int(min(abs(right), MAX_BITS * 2)))
        if bits > MAX_BITS or (operator == "*" and bits + more > MAX_BITS):
            raise too_large()
    else:
        _check_sequence(operator, left, right)


def _check_sequence(operator: str, left: Any, right: Any) -> None:
    if operator == "*" and isinstance(left, int):
        left, right = right, left
    length = len(left) if isinstance(left, (str, list, tuple)) else 0
    limit = MAX_TEXT if isinstance(left, str) else MAX_ITEMS
    if operator == "*" and isinstance(right, int):
        length *= max(0, right)
    elif isinstance(right, (str, list, tuple)):
        length += len(right)
    if length > limit:
        raise too_large()


def _check_format(text: str) -> None:
    if re.search(r"%[^a-zA-Z%]*(?:[0-9]{4,}|\*)", text):
        raise too_large()


def join(parts: Iterable[Any], separator: str = "") -> str:
    """Text of parts; null and collections among them are refused."""
    texts: list[str] = []
    length = 0
    for part in parts:
        texts.append(printed(part))
        length += len(texts[-1]) + len(separator)
        if length > MAX_TEXT or len(texts) > MAX_ITEMS:
            raise too_large()
    return separator.join(texts)


def join_filter(value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    """`| join(',')`, also of one attribute of each."""
    if attribute is not None:
        value = _attributes(value, attribute)
    return join(value, _text(d, "join"))


def _attributes(values: Iterable[Any], name: str) -> list[Any]:
    try:
        return [one[name] for one in values]
    except (KeyError, TypeError):
        raise TemplateError("LT302", f"an element has no key `{name}`", "", name) from None


def replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    """Text with `old` replaced by `new`."""
    text, old, new = _text(value, "replace"), _text(old, "replace"), _text(new, "replace")
    times = text.count(old) if count is None else min(count, text.count(old))
    if len(text) + times * len(new) > MAX_TEXT:
        raise too_large()
    return text.replace(old, new, -1 if count is None else count)


def center(value: Any, width: int = 80) -> str:
    """Text in the middle of blanks."""
    if width > MAX_TEXT:
        raise too_large()
    return _text(value, "center").center(width)


def formatted(value: Any, *args: Any) -> str:
    """`'%05d' | format(number)`."""
    text = _text(value, "format")
    _check_format(text)
    return text % args


def indent(value: Any, width: int = 4, first: bool = False) -> str:  # noqa: FBT001, FBT002 - Jinja2's signature
    """Each line but the first indented."""
    text = _text(value, "indent")
    if len(text) + width * (text.count("\n") + 1) > MAX_TEXT:
        raise too_large()
    blank = " " * width
    lines = text.split("\n")
    rest = "".join("\n" + (blank + line if line else line) for line in lines[1:])
    return (blank if first else "") + lines[0] + rest


def rounded(value: float, precision: int = 0) -> float:
    """A number with so many digits after the point."""
    if not -100 <= precision <= 100:
        raise too_large()
    return round(float(value), precision)


def total(value: Iterable[Any], attribute: str | None = None) -> float:
    """The sum of numbers."""
    numbers = list(value if attribute is None else _attributes(value, attribute))
    for number in numbers:
        if not isinstance(number, (int, float)):
            raise TemplateError("LT303", "`sum` takes numbers", "", "sum")
    return float(sum(numbers)) if any(isinstance(n, float) for n in numbers) else int(sum(numbers))


def to_bool(value: Any) -> bool:
    """`| bool`: true, yes, on, 1 and their opposites."""
    words = {"true": True, "yes": True, "on": True, "1": True,
             "false": False, "no": False, "off": False, "0": False}
    if isinstance(value, bool):
        return value
    found = words.get(str(value).lower())
    if found is None:
        raise TemplateError("LT303", "`bool` takes true, yes, on, 1 or their opposites", "", "bool")
    return found


def ternary(value: Any, yes: Any, no: Any = None) -> Any:
    """`| ternary('a', 'b')`."""
    return yes if value else no


def split(value: Any, separator: str | None = None, limit: int = -1) -> list[str]:
    """The parts of a text."""
    return _text(value, "split").split(separator, limit)


def basename(value: Any) -> str:
    """What follows the last slash."""
    return _text(value, "basename").rpartition("/")[2]


def dirname(value: Any) -> str:
    """What precedes the last slash."""
    head = _text(value, "dirname").rpartition("/")
    return head[0].rstrip("/") or ("/" if head[1] else "")


def b64encode(value: Any) -> str:
    """Base64 of the UTF-8 text."""
    return base64.b64encode(_text(value, "b64encode").encode()).decode()


def b64decode(value: Any) -> str:
    """The UTF-8 text of base64."""
    try:
        return base64.b64decode(_text(value, "b64decode"), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise TemplateError("LT303", "not base64 of UTF-8 text", "", "b64decode") from None


def to_json(value: Any) -> str:
    """JSON on one line, keys as they stand."""
    return join([json.dumps(bounded(value), ensure_ascii=False, default=str)])


def from_json(value: Any) -> Any:
    """The value of a JSON text."""
    try:
        return bounded(json.loads(_text(value, "from_json")))
    except json.JSONDecodeError as error:
        raise TemplateError("LT303", f"not JSON: {error.msg}", "", "from_json") from error


def combine(value: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """Mappings laid over one another, the later one wins."""
    result = dict(value)
    for other in others:
        result.update(other)
    return result


def dict2items(value: dict[str, Any]) -> list[dict[str, Any]]:
    """A mapping as a list of key and value."""
    return [{"key": key, "value": one} for key, one in value.items()]


def items2dict(value: list[dict[str, Any]]) -> dict[str, Any]:
    """The inverse of dict2items."""
    return {str(one["key"]): one["value"] for one in value}


def zipped(value: list[Any], *others: list[Any]) -> list[list[Any]]:
    """Lists side by side, as long as the shortest."""
    return [list(row) for row in zip(value, *others, strict=False)]


def _regex(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(_text(pattern, "regex"))
    except re.error as error:
        raise TemplateError("LT303", f"not a regular expression: {error}") from error


def regex_replace(value: Any, pattern: str, replacement: str = "") -> str:
    """Every match replaced; `\\1` is the first group."""
    text = _text(value, "regex_replace")
    result: list[str] = []
    length = end = 0
    for found in _regex(pattern).finditer(text):
        part = text[end : found.start()] + found.expand(_text(replacement, "regex_replace"))
        length += len(part)
        if length > MAX_TEXT:
            raise too_large()
        result.append(part)
        end = found.end()
    return "".join(result) + text[end:]


def regex_search(value: Any, pattern: str) -> str:
    """The first match, or the empty text."""
    found = _regex(pattern).search(_text(value, "regex_search"))
    return found[0] if found else ""


def regex_findall(value: Any, pattern: str) -> list[Any]:
    """Every match."""
    return _regex(pattern).findall(_text(value, "regex_findall"))


def regex_escape(value: Any) -> str:
    """Text that matches itself."""
    return re.escape(_text(value, "regex_escape"))
