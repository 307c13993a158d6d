"""What `validate` could not check, because it needs what is not among the files given: values of
inputs, the environment, files of the host. Never silent: the report names it, --strict refuses it.
"""

from collections.abc import Iterable, Iterator, Mapping

from ltspec.spec.functions import NAMES
from ltspec.spec.plan import Definition
from ltspec.spec.problems import WARNING, Problem
from ltspec.spec.templates import Template
from ltspec.spec.turns import Turn
from ltspec.spec.values import Value
from ltspec.spec.variables import Scope


def unchecked(turns: Iterable[Turn], scopes: Mapping[int, Scope]) -> Iterator[Problem]:
    """One finding a task definition, at its first field that could not be checked."""
    found: dict[int, tuple[Definition, dict[str, None]]] = {}
    for turn in turns:
        if turn.unchecked:
            fields = found.setdefault(id(turn.definition), (turn.definition, {}))[1]
            fields.update(dict.fromkeys(turn.unchecked))
    for definition, fields in found.values():
        missing = _missing(definition, fields, scopes[id(definition.own.place.document)])
        first = next(iter(fields))
        place = definition.fields[first].place if first in definition.fields else (
            definition.place_of(first))
        if missing:                           # else something is wrong, and reported
            yield place.problem("LT509", f"not checked: {', '.join(fields)} (no value for "
                                f"{', '.join(missing)})", severity=WARNING, hint=_hint(missing))


def _missing(definition: Definition, fields: Iterable[str], scope: Scope) -> list[str]:
    """The inputs and functions that the fields are made of and that have no value here."""
    names: set[str] = set()
    for field in (*fields, "loop"):
        names |= _names(definition, field)
    waiting, seen, found = sorted(names), set[str](), dict[str, None]()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name in scope.uses and name in scope.unknown:
            waiting += sorted(scope.uses[name])
        elif name in NAMES:
            found[f"{name}()"] = None
        elif name in scope.unknown:
            found[name] = None
    if len(found) > 1:
        found.pop("file()", None)             # it may have been read
    return list(found)


def _names(definition: Definition, field: str) -> frozenset[str]:
    if field in definition.fields:
        return definition.fields[field].value.names
    loop = definition.loop_template or definition.loop
    value = {"when": definition.when, "loop": loop}.get(field)
    return value.names if isinstance(value, (Template, Value)) else frozenset()


def _hint(missing: list[str]) -> str:
    inputs = [name for name in missing if not name.endswith("()")]
    if inputs:
        given = " ".join(f"-e {name}=…" for name in inputs)
        return f"give {given}, or the input `examples`"
    if "env()" in missing:
        return ("make it the default of an input that has `examples`: "
                "{ default: \"{{ env('…') }}\", examples: [a] }")
    return "validate reads only files in the directories of the specs"
