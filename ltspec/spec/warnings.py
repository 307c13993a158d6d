"""What is allowed and probably not meant: warnings about one document as written."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ltspec.spec.argv import shell_syntax
from ltspec.spec.functions import NAMES
from ltspec.spec.plan import Definition, Field
from ltspec.spec.problems import WARNING, Path, Problem
from ltspec.spec.reading import Document
from ltspec.spec.templates import TemplateError, Templates, has_template
from ltspec.spec.values import Value
from ltspec.spec.variables import Scope

_SECRET = re.compile(r"PASSW(?:OR)?D|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL")
_NO_SECRET = re.compile(r"(?:FILE|PATH|DIR|NAME|URL|ID|USER|COMMAND|SOCK)$")
_INDEX = re.compile(r"loop\.(?:rev)?index0?")


def document_warnings(document: Document, definitions: Iterable[Definition], names: frozenset[str],
                      given: Iterable[str]) -> Iterator[Problem]:
    """Variables and inputs that nothing uses; `names` are those that the vars use."""
    used = names.union(*(definition.names() for definition in definitions)) | set(given)
    for name in document.value.get("vars", {}):
        if name not in used and name not in document.value.get("inputs", {}):
            yield document.problem("LT503", f"nothing uses the variable `{name}`", ("vars", name),
                                   key=True, severity=WARNING, hint="take it away")
    for name in document.value.get("inputs", {}):
        if name not in used:
            yield document.problem("LT504", f"nothing uses the input `{name}`", ("inputs", name),
                                   key=True, severity=WARNING, hint="take it away")


def definition_warnings(definition: Definition, scope: Scope,
                        templates: Templates) -> Iterator[Problem]:
    """All warnings about one task definition."""
    fields = definition.fields
    if "id" in fields:
        yield from _shifting_id(fields["id"])
    if "env" in fields:
        yield from _plain_secrets(fields["env"])
    if "command" in fields:
        yield from _shell(fields["command"])
    if "parameters" in fields and "script" not in fields:
        yield from _loose_positionals(definition, fields, scope, templates)


def _shifting_id(field: Field) -> Iterator[Problem]:
    written = field.value.written
    found = _INDEX.search(written) if isinstance(written, str) else None
    if found:
        yield field.place.problem(
            "LT501", "an id from the position in the loop: it shifts when an element is added",
            needle=found[0], severity=WARNING, hint="build it from the element: {{ item }}")


def _plain_secrets(field: Field) -> Iterator[Problem]:
    written = field.value.written
    if not isinstance(written, dict):
        return
    for name, value in written.items():
        plain = isinstance(value, str) and value and not has_template(value)
        if plain and _SECRET.search(name.upper()) and not _NO_SECRET.search(name.upper()):
            place, sub = field.place_of((name,))
            yield place.problem("LT502", f"`{name}` looks like a secret in plain text", sub,
                                severity=WARNING,
                                hint=f"read it at the start: secrets: {{ {name}: {{ file: … }} }}")


def _shell(field: Field) -> Iterator[Problem]:
    document, path = field.place
    if document is None:
        return
    written: Any = document.value
    for part in path:
        written = written[part]
    found = shell_syntax(written) if isinstance(written, str) else ""
    if found:
        yield field.place.problem(
            "LT506", f"`{found}` means something only to a shell, and nothing here meets a shell",
            needle=found, severity=WARNING,
            hint="use `script`, or quote it if the program needs it")


def _loose_positionals(definition: Definition, fields: dict[str, Field], scope: Scope,
                       templates: Templates) -> Iterator[Problem]:
    outside = scope.outside.union(NAMES)
    if _item_is_loose(definition, outside):
        outside = outside | {"item"}
    command = fields.get("command")
    prefix = command.value.written if command else []
    if isinstance(prefix, list) and "--" in prefix:
        return
    for path, text in _positionals(fields["parameters"].value.written):
        if text == "--":
            return
        if text.startswith("{{"):
            loose = sorted(_names_of_head(text, templates) & outside)
            if loose:
                place, sub = fields["parameters"].place_of(path)
                function = loose[0] in NAMES
                yield place.problem(
                    "LT505", f"`{loose[0]}{'()' if function else ''}` comes from outside and might "
                    "begin with a dash", sub, severity=WARNING,
                    hint='put "--" before it if the program knows it, or ' + (
                        "make it the default of an input with a `pattern`" if function
                        else "give the input a `pattern`"))


def _names_of_head(text: str, templates: Templates) -> frozenset[str]:
    """The variables of the template that a text begins with; none where it does not parse."""
    try:
        return templates.text(text[: text.find("}}") + 2]).names if "}}" in text else frozenset()
    except TemplateError:
        return frozenset()                    # reported when the whole text was compiled


def _item_is_loose(definition: Definition, outside: set[str]) -> bool:
    if definition.loop_template is not None:
        return bool(definition.loop_template.names & outside)
    return isinstance(definition.loop, Value) and bool(definition.loop.names & outside)


def _positionals(parameters: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(parameters, list):
        for at, value in enumerate(parameters):
            if isinstance(value, str):
                yield (at,), value
