"""What is allowed and probably not meant: warnings about one document as written."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ltspec.spec.argv import shell_syntax
from ltspec.spec.functions import NAMES
from ltspec.spec.hints import WORDS
from ltspec.spec.plan import Definition, Field
from ltspec.spec.problems import WARNING, Path, Problem
from ltspec.spec.reading import Document, aliased, find, is_plain, within
from ltspec.spec.templates import TemplateError, Templates, has_template
from ltspec.spec.values import Value
from ltspec.spec.variables import Scope

_SECRET = re.compile(r"PASSW(?:OR)?D|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL")
_NO_SECRET = re.compile(r"(?:FILE|PATH|DIR|NAME|URL|ID|USER|COMMAND|SOCK)$")
# It begins at the `://`: to look for the scheme first would cost the square of a long text.
_URL_PASSWORD = re.compile(r"(?<=[a-z0-9+.-])://[^/\s:@{]+:[^/\s@{]+@")
# At the beginning of a value or of one of its parts: what a shell would put there.
_SHELL_VALUE = re.compile(r"(?:^|:)(~(?=/|$)|\$\(|\$\{?[A-Z_][A-Z0-9_]*\}?(?=[/:]|$))")
_SHELLS = frozenset(["sh", "bash", "dash", "ksh", "zsh", "ssh", "su"])
_YES_NO = frozenset(["yes", "no", "on", "off"])
_INDEX = re.compile(r"loop\.(?:rev)?index0?")


def document_warnings(document: Document, definitions: Iterable[Definition], names: frozenset[str],
                      given: Iterable[str]) -> Iterator[Problem]:
    """Variables and inputs that nothing uses, as `names` says which the vars use, and secrets."""
    anchored = aliased(document.node) if "*" in document.source.text else frozenset()
    used = names.union(*(definition.names() for definition in definitions)) | set(given)
    for name in document.value.get("vars", {}):
        known = name in used or name in document.value.get("inputs", {})
        if not known and anchored.isdisjoint(within(find(document.node, ("vars", name)))):
            yield document.problem("LT503", f"nothing uses the variable `{name}`", ("vars", name),
                                   key=True, severity=WARNING, hint="take it away")
    for name in document.value.get("inputs", {}):
        if name not in used:
            yield document.problem("LT504", f"nothing uses the input `{name}`", ("inputs", name),
                                   key=True, severity=WARNING, hint="take it away")
    yield from _secret_variables(document)


def _secret_variables(document: Document) -> Iterator[Problem]:
    written: list[tuple[Path, Any]]
    written = [(("vars", name), value) for name, value in document.value.get("vars", {}).items()]
    written += [(("inputs", name, "default"), schema["default"])
                for name, schema in document.value.get("inputs", {}).items() if "default" in schema]
    for path, value in written:
        if reason := _secret(str(path[1]), value):
            yield document.problem("LT502", reason, path, severity=WARNING,
                                   hint="keep it out of the spec: `secrets` reads it at the start")


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
    yield from _shell_values(fields)
    if "parameters" in fields:
        yield from _options(fields)
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
        if reason := _secret(name, value):
            place, sub = field.place_of((name,))
            yield place.problem("LT502", reason, sub, severity=WARNING,
                                hint=f"read it at the start: secrets: {{ {name}: {{ file: … }} }}")


def _secret(name: str, value: Any) -> str:
    """Why a text looks like a secret, or ""."""
    if not isinstance(value, str) or not value:
        return ""
    if _URL_PASSWORD.search(value):
        return "a URL with a password in plain text"
    named = _SECRET.search(name.upper()) and not _NO_SECRET.search(name.upper())
    if not named or has_template(value):
        return ""
    return f"`{name}` looks like a secret in plain text"


def _shell_values(fields: dict[str, Field]) -> Iterator[Problem]:
    """What a shell would replace, in values that no shell sees."""
    command = fields["command"].value.written if "command" in fields else ["sh"]
    program = str(command[0] if isinstance(command, list) and command else "")
    for name in ("parameters", "cwd", "env"):
        if name not in fields or (name == "parameters" and program.split("/")[-1] in _SHELLS):
            continue
        for path, text in _texts(fields[name].value.written):
            if found := _SHELL_VALUE.search(text):
                place, sub = fields[name].place_of(path)
                yield place.problem(
                    "LT506", f"`{found[1]}` means something only to a shell, and nothing here "
                    "meets a shell", sub, severity=WARNING,
                    hint="write out what is meant, use `{{ env('NAME') }}`, or use `script`")


def _options(fields: dict[str, Field]) -> Iterator[Problem]:
    """Options whose value is a secret, or a flag of YAML 1.1."""
    field = fields["parameters"]
    style = fields["parameter_style"].value.written if "parameter_style" in fields else "gnu"
    for path, text in _texts(field.value.written):
        if not path:
            continue                     # one expression gives all of them
        place, sub = field.place_of(path)
        option = str(path[-1])
        if reason := _secret(option, text):
            yield place.problem("LT502", reason, sub, severity=WARNING,
                                hint="every user sees a command line: give it by `secrets`, if the "
                                     "program takes it from its environment or a file")
        if place.document is None or style == "mgr" or isinstance(path[-1], int):
            continue
        node = find(place.document.node, (*place.path, *sub))
        if text in _YES_NO and is_plain(node):
            yield place.problem("LT510", f"`{text}` is text here, not a flag", sub,
                                severity=WARNING,
                                hint=f'write {WORDS[text]} for a flag, or quote it: "{text}"')


def _texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from _texts(part, (*path, at))
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, (*path, key))


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
