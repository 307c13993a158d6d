"""YAML values with templates inside: compiled once, rendered for each task, diagnosed on failure.

Rendering is fast and knows no places. Only when it fails is the value walked again, string by
string, so that every wrong one is reported at its place.
"""

from collections.abc import Callable, Iterator, Set
from typing import Any, NamedTuple

from ltspec.spec.problems import Path
from ltspec.spec.templates import (
    UNKNOWN,
    Context,
    NotKnownError,
    Template,
    TemplateError,
    Templates,
    has_template,
    undefined,
)

Report = Callable[[Path, TemplateError], None]


class Value(NamedTuple):
    """A compiled value; `render` is None where it is constant."""

    written: Any
    names: frozenset[str]
    render: Callable[[Context, Set[str]], Any] | None


def evaluate(template: Template, context: Context, unknown: Set[str]) -> Any:
    """A template's value; UNKNOWN where it needs a name that validate cannot know. Then its other
    names are still checked. Raises TemplateError.
    """
    if unknown.isdisjoint(template.names):
        try:
            return template.render(context)
        except NotKnownError:
            pass                                  # as with an unknown name: its other names
    for name in sorted(template.names - template.optional):
        if name not in context and name not in unknown:
            raise undefined(name, {**context, **dict.fromkeys(unknown)})
    return UNKNOWN


def _broken(_context: Context, _unknown: Set[str]) -> Any:
    """Renders a template that does not parse, which is reported: nothing is known of it."""
    return UNKNOWN


def compile_value(value: Any, templates: Templates, report: Report, path: Path = ()) -> Value:
    """Compile a value; templates that do not parse are reported, and the value is UNKNOWN."""
    if isinstance(value, str):
        return _string(value, templates, report, path)
    if isinstance(value, list):
        parts = [
            compile_value(part, templates, report, (*path, at)) for at, part in enumerate(value)
        ]
        return _list(value, parts)
    if isinstance(value, dict):
        pairs = {
            key: compile_value(part, templates, report, (*path, key)) for key, part in value.items()
        }
        return _mapping(value, pairs)
    return Value(value, frozenset(), None)


def _string(value: str, templates: Templates, report: Report, path: Path) -> Value:
    if not has_template(value):
        return Value(value, frozenset(), None)
    try:
        template = templates.text(value)
    except TemplateError as error:
        report(path, error)
        return Value(value, frozenset(), _broken)

    def render(context: Context, unknown: Set[str]) -> Any:
        return evaluate(template, context, unknown)

    return Value(value, template.names, render)


def _list(value: list[Any], parts: list[Value]) -> Value:
    if all(part.render is None for part in parts):
        return Value([part.written for part in parts], frozenset(), None)
    names = frozenset[str]().union(*(part.names for part in parts))
    constant = [part.written for part in parts]
    dynamic = [(at, part.render) for at, part in enumerate(parts) if part.render is not None]

    def render(context: Context, unknown: Set[str]) -> Any:
        result = constant.copy()
        for at, function in dynamic:
            result[at] = function(context, unknown)
        return UNKNOWN if UNKNOWN in result else result

    return Value(value, names, render)


def _mapping(value: dict[str, Any], pairs: dict[str, Value]) -> Value:
    if all(part.render is None for part in pairs.values()):
        return Value({key: part.written for key, part in pairs.items()}, frozenset(), None)
    names = frozenset[str]().union(*(part.names for part in pairs.values()))
    constant = {key: part.written for key, part in pairs.items()}
    dynamic = [(key, part.render) for key, part in pairs.items() if part.render is not None]

    def render(context: Context, unknown: Set[str]) -> Any:
        result = constant.copy()
        for key, function in dynamic:
            result[key] = function(context, unknown)
        return UNKNOWN if UNKNOWN in result.values() else result

    return Value(value, names, render)


def strings(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every string of a value that holds a template, with its path."""
    if isinstance(value, str):
        if has_template(value):
            yield path, value
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from strings(part, (*path, at))
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from strings(part, (*path, key))


def diagnose(value: Any, templates: Templates, context: Context, unknown: Set[str],
             report: Report) -> None:
    """Report every template of a value that fails."""
    for path, text in strings(value):
        try:
            template = templates.text(text)
        except TemplateError:
            continue                              # reported when it was compiled
        try:
            evaluate(template, context, unknown)
        except TemplateError as error:
            report(path, error)
