"""Where each value of a task came from: file and line, defaults, config, variables, `-e`.

For `render --explain`. Works on what loading kept; renders single values again.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ltspec.spec.loading import Loaded
from ltspec.spec.plan import Field, Place
from ltspec.spec.problems import Path, dotted
from ltspec.spec.templates import UNKNOWN, TemplateError, Templates, has_template
from ltspec.spec.turns import Turn, loop_items, turn_context


class Variable(NamedTuple):
    """One variable that a value used."""

    name: str
    value: Any
    origin: str


class Explained(NamedTuple):
    """One value of one task: `path` in the task, what it became, where it was written."""

    path: str
    value: Any
    origin: str
    variables: tuple[Variable, ...]


def explain(loaded: Loaded, turn: Turn) -> list[Explained]:
    """Every value that was written for a task, in the order of its fields."""
    definition = turn.definition
    document = definition.own.place.document
    scope = loaded.scopes[id(document)]
    context: Mapping[str, Any] = scope.values
    origins = dict(scope.origins)
    if turn.number >= 0:
        context = turn_context(scope.values, loop_items(definition, scope), turn.number)
        origin = _origin(definition.place_of("loop"), ())
        origins |= {"item": f"turn {turn.number + 1} of the loop, {origin}",
                    "loop": f"the loop, {origin}"}
    return [
        one for field in definition.fields.values()
        for one in _field(field, context, scope.uses, origins, definition.templates)
    ]


def _field(field: Field, context: Mapping[str, Any], uses: Mapping[str, frozenset[str]],
           origins: Mapping[str, str], templates: Templates) -> Iterator[Explained]:
    for path, written in _leaves(field.value.written):
        place, sub = field.place_of(path)
        names: tuple[str, ...] = ()
        value = written
        if isinstance(written, str) and has_template(written):
            template = templates.text(written)
            names = _all_names(template.names, uses)
            value = _rendered(template.render, context)
        variables = tuple(
            Variable(name, context.get(name), origins[name]) for name in names if name in origins
        )
        yield Explained(dotted((field.name, *path)), value, _origin(place, sub), variables)


def _all_names(names: frozenset[str], uses: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The variables of a template, and those that they were made of."""
    found = dict.fromkeys(sorted(names))
    waiting = list(found)
    while waiting:
        for name in sorted(uses.get(waiting.pop(), ())):
            if name not in found:
                found[name] = None
                waiting.append(name)
    return tuple(found)


def _rendered(render: Any, context: Mapping[str, Any]) -> Any:
    try:
        return render(context)
    except TemplateError:
        return UNKNOWN


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, list):
        for at, part in enumerate(value):
            yield from _leaves(part, (*path, at))
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    else:
        yield path, value


def _origin(place: Place, sub: Path) -> str:
    if place.document is None:
        return "config"
    found = place.problem("", "", sub)
    name = f"{found.file}:{found.line}"
    return f"{name} (defaults)" if place.path[:1] == ("defaults",) else name
