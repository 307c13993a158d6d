"""Templates in values: found, compiled once, rendered by themselves, never as a part of a file.

Most templates only name a variable (`{{ account }}`, `{{ item.user }}`). Those are rendered here,
in the way of Jinja2 and without importing it; everything else goes to `sandbox.py`. A contract
test holds both against each other.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ltspec.spec.hints import WORDS
from ltspec.spec.problems import did_you_mean
from ltspec.spec.scalars import as_text

MAX_TEXT = 1024 * 1024           # characters of one rendered value
MAX_ITEMS = 100_000              # values in one rendered value

Context = Mapping[str, Any]

_SIMPLE = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*)((?:\.[A-Za-z_][A-Za-z0-9_]*)*) *\}\}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BARE = re.compile(r" *([A-Za-z_][A-Za-z0-9_]*)((?:\.[A-Za-z_][A-Za-z0-9_]*)*) *")
# Words of Jinja2's grammar are no names; an attribute that a dict or list has is not a plain key.
_WORDS = frozenset(["and", "else", "false", "False", "if", "in", "is", "none", "None", "not", "or",
                    "recursive", "true", "True"])
FUNCTIONS = ("env", "file", "range")
_METHODS = frozenset(name for kind in (dict, list, str, int, float) for name in dir(kind))


class TemplateError(Exception):
    """Why a template cannot be compiled or rendered; `needle` is the part of it to point at."""

    def __init__(self, code: str, message: str, hint: str = "", needle: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.needle = needle


class NotKnownError(TemplateError):
    """A function would have to look at what is not among the files given (validate): the whole
    template is UNKNOWN.
    """


class Unknown:
    """The value of what validate cannot know (DESIGN 6). There is one: UNKNOWN."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


class Template(NamedTuple):
    """One compiled template. `names` are the variables that it needs, whatever way it takes;
    `optional` those that it may do without (`| default`, `is defined`).
    """

    text: str
    names: frozenset[str]
    optional: frozenset[str]
    whole: bool                              # one `{{ expression }}`: keeps the type
    render: Callable[[Context], Any]


def has_template(text: str) -> bool:
    """True where the text would be looked at by Jinja2 at all."""
    return "{{" in text or "{%" in text


class Templates:
    """Compiles and keeps templates and expressions by their text."""

    def __init__(self) -> None:
        self._texts: dict[str, Template] = {}
        self._expressions: dict[str, Template] = {}

    def text(self, text: str) -> Template:
        """The template of a value; the caller has seen `has_template`. Raises TemplateError."""
        found = self._texts.get(text)
        if found is None:
            found = self._texts[text] = _simple(text) or _jinja(text)
        return found

    def expression(self, text: str) -> Template:
        """A bare expression (`when`, `loop`). Raises TemplateError."""
        found = self._expressions.get(text)
        if found is None:
            bare = _BARE.fullmatch(text)
            found = _whole(text, bare) if bare else None
            if found is None:
                from ltspec.spec.sandbox import compile_expression

                found = compile_expression(text)
            self._expressions[text] = found
        return found


def _jinja(text: str) -> Template:
    from ltspec.spec.sandbox import compile_text

    return compile_text(text)


def _simple(text: str) -> Template | None:
    whole = _SIMPLE.fullmatch(text)
    if whole is not None:
        return _whole(text, whole)
    literals: list[str] = []
    lookups: list[Callable[[Context], Any]] = []
    names: set[str] = set()
    end = 0
    for found in _SIMPLE.finditer(text):
        literals.append(text[end : found.start()])
        end = found.end()
        lookup = _lookup(found[1], found[2])
        if lookup is None:
            return None
        lookups.append(lookup)
        names.add(found[1])
    literals.append(text[end:])
    if any(has_template(part) or "\r" in part for part in literals):
        return None
    return Template(text, frozenset(names), frozenset(), whole=False,
                    render=_joiner(literals, lookups))


def _whole(text: str, found: re.Match[str]) -> Template | None:
    lookup = _lookup(found[1], found[2])
    if lookup is None:
        return None
    return Template(text, frozenset([found[1]]), frozenset(), whole=True, render=lookup)


def _joiner(
    literals: list[str], lookups: list[Callable[[Context], Any]]
) -> Callable[[Context], str]:
    first, rest = literals[0], list(zip(lookups, literals[1:], strict=True))

    def render(context: Context) -> str:
        text = first
        for lookup, literal in rest:
            text += printed(lookup(context)) + literal
        if len(text) > MAX_TEXT:
            raise too_large()
        return text                          # of parts that are text: nothing to check in it

    return render


def _lookup(name: str, attributes: str) -> Callable[[Context], Any] | None:
    """Finds `name.a.b` as Jinja2 would; None where only Jinja2 knows how."""
    parts = attributes.split(".")[1:]
    if name in _WORDS or name in FUNCTIONS:
        return None
    if any(part in _METHODS or part.startswith("_") for part in parts):
        return None

    def find(context: Context) -> Any:
        try:
            value = context[name]
        except KeyError:
            raise undefined(name, context) from None
        for part in parts:
            if not isinstance(value, dict) or part not in value:
                raise no_attribute(part, value)
            value = value[part]
        return value

    return find


def printed(value: Any) -> str:
    """A value as a part of a text. Null and collections are refused: their Python form is never
    what was meant.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return as_text(value)
    if value is None:
        raise TemplateError("LT311", "null cannot be a part of a text",
                            "give it a value, or use `| default(…, true)`")
    if isinstance(value, (list, tuple)):
        raise TemplateError("LT311", "a list cannot be a part of a text",
                            "join it: `| join(',')`, or write it as JSON: `| to_json`")
    if isinstance(value, dict):
        raise TemplateError("LT311", "a mapping cannot be a part of a text",
                            "name one of its keys, or write it as JSON: `| to_json`")
    return str(bounded(value))


def undefined(name: str, context: Context) -> TemplateError:
    """The error for an unknown variable, with the closest known one."""
    if name in ("item", "loop"):
        hint = "it is known only in a task that has a `loop`"
    elif name.lower() in WORDS:
        hint = f"write {WORDS[name.lower()]}"
    else:
        known = [key for key in context if not key.startswith("_")]
        hint = did_you_mean(name, known) or (
            f"declare it under `inputs` or `vars`, or give -e {name}=…")
    return TemplateError("LT302", f"`{name}` is not defined", hint, name)


def no_attribute(name: str, value: Any) -> TemplateError:
    """The error for a key that a value does not have."""
    if isinstance(value, dict):
        known = [str(key) for key in value]
        hint = did_you_mean(name, known) or "it has " + (", ".join(sorted(known)[:8]) or "no keys")
        return TemplateError("LT302", f"the mapping has no key `{name}`", hint, name)
    kind = "null" if value is None else _KINDS.get(type(value), "a value")
    return TemplateError("LT302", f"{kind} has no `{name}`", "", name)


_KINDS: dict[type, str] = {
    str: "text", int: "a number", float: "a number", bool: "a boolean", list: "a list",
}


def too_large() -> TemplateError:
    """The error for a value over the limits."""
    return TemplateError("LT305", f"renders to more than {MAX_TEXT:,} characters "
                         f"or {MAX_ITEMS:,} values")


def checked(text: str) -> str:
    """The text itself if it is within the limits and can be given to a program."""
    if len(text) > MAX_TEXT:
        raise too_large()
    if "\0" in text or (not text.isascii() and _SURROGATE.search(text)):
        raise TemplateError("LT303", "gives a character that no program can be given",
                            "NUL and halves of surrogate pairs are no text")
    return text


def bounded(value: Any) -> Any:
    """The value itself if it is within the limits and of YAML's types. Raises TemplateError."""
    if isinstance(value, str):
        return checked(value)
    if value is None or isinstance(value, (int, float)):
        return value
    left = [MAX_TEXT, MAX_ITEMS]
    return _copied(value, left, 0)


def _copied(value: Any, left: list[int], depth: int) -> Any:
    left[1] -= 1
    if isinstance(value, str):
        left[0] -= len(checked(value))
    if left[0] < 0 or left[1] < 0 or depth > 64:
        raise too_large()
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        return {str(k): _copied(v, left, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, range)) or hasattr(value, "__next__"):
        return [_copied(part, left, depth + 1) for part in value]
    raise TemplateError("LT303", "the expression gives no text, number, list or mapping",
                        "a function is called with parentheses: `name()`")
