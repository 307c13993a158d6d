"""One task definition of a document: its fields with the defaults laid under, compiled.

A definition is compiled once and rendered for each turn of its loop (`turns.py`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ltspec.spec import schema
from ltspec.spec.argv import CannotSplit, split_command
from ltspec.spec.hints import about_expression
from ltspec.spec.problems import Path, Problem
from ltspec.spec.reading import Document
from ltspec.spec.templates import Template, TemplateError, Templates
from ltspec.spec.values import Value, compile_value

MERGED = ("env", "secrets")                  # key by key; every other field replaces
WITH_COMMANDS = ("command", "on_finish", "secrets")     # as text they are split before rendering


class Place(NamedTuple):
    """Where a field was written. `document` is None for a config that has no file."""

    document: Document | None
    path: Path

    def problem(self, code: str, message: str, sub: Path = (), *, key: bool = False,
                needle: str = "", hint: str = "", severity: str = "error") -> Problem:
        """A problem at this place."""
        if self.document is None:
            return Problem(code, message, hint=hint, severity=severity)
        return self.document.problem(code, message, (*self.path, *sub), key=key, needle=needle,
                                     hint=hint, severity=severity)

    def as_written(self, sub: Path) -> Path:
        """The path as far as it leads in what was written: a command was one text before it was
        split into words."""
        if self.document is None:
            return sub
        written = self.document.value
        for part in self.path:
            written = written[part]
        for depth, part in enumerate(sub):
            if isinstance(written, str):
                return sub[:depth]
            known = range(len(written)) if isinstance(written, list) else written
            if part not in known:
                return sub
            written = written[part]
        return sub


class Field(NamedTuple):
    """One field of one definition. `places` says of merged mappings where each key came from."""

    name: str
    value: Value
    place: Place
    places: Mapping[str, Place]
    accepts: schema.Check

    def place_of(self, sub: Path) -> tuple[Place, Path]:
        """The place of a part of the field, and the path from there."""
        place = self.place
        if sub and str(sub[0]) in self.places:
            place, sub = self.places[str(sub[0])], sub[1:]
        return place, place.as_written(sub) if self.name in WITH_COMMANDS else sub


class Layer(NamedTuple):
    """One source of fields: the task itself, the file's defaults, the config's."""

    fields: Mapping[str, Any]
    place: Place


class Definition:
    """One task as written, with its defaults, compiled."""

    def __init__(self, layers: list[Layer], templates: Templates, broken: frozenset[Path]) -> None:
        self.own = layers[0]
        self.templates = templates
        self.problems: list[Problem] = []
        self.fields: dict[str, Field] = {}
        self.incomplete = False               # a field is wrong as written: no task can be built
        self.broken: set[str] = set()         # those fields
        self.loop: Any = None
        self.when: Template | bool = True
        self.loop_template: Template | None = None
        for name, (value, place, places) in _merged(layers).items():
            if self._is_broken(name, place, places, broken):
                self.incomplete = True
                self.broken.add(name)
            elif name == "when":
                self._take_when(value)
            elif name == "loop":
                self._take_loop(value)
            else:
                here = Place(place.document, (*place.path, name))
                self.fields[name] = self._compiled(name, value, here, places)

    def _is_broken(self, name: str, place: Place, places: Mapping[str, Place],
                   broken: frozenset[Path]) -> bool:
        """True where the field, or a part of it that came from the defaults, is wrong."""
        fields = [Place(place.document, (*place.path, name)),
                  *(Place(one.document, one.path[:-1]) for one in places.values())]
        document = self.own.place.document
        return any(one.document is document and one.path in broken for one in fields)

    def _compiled(self, name: str, value: Any, place: Place, places: Mapping[str, Place]) -> Field:
        def report(path: Path, error: TemplateError) -> None:
            at, sub = places.get(str(path[0]), place) if path else place, path
            if path and str(path[0]) in places:
                sub = path[1:]
            self.broken.add(name)
            self._report(at, at.as_written(sub) if name in WITH_COMMANDS else sub, error)

        if name in WITH_COMMANDS:
            value = self._split_commands(name, value, place, places)
        compiled = compile_value(value, self.templates, report)
        return Field(name, compiled, place, places, _acceptor(name))

    def _report(self, place: Place, path: Path, error: TemplateError) -> None:
        self.incomplete = True
        self.problems.append(place.problem(error.code, error.message, path, needle=error.needle,
                                           hint=error.hint))

    def _split_commands(self, name: str, value: Any, place: Place,
                        places: Mapping[str, Place]) -> Any:
        """The field with every command that is written as text split into its words."""
        if name == "command":
            return self._split(value, place)
        if not isinstance(value, dict):
            return value
        if name == "on_finish":
            return {key: self._split(part, place, (key,)) for key, part in value.items()}
        return {
            key: {**part, "command": self._split(part["command"], places[key], ("command",))}
            if isinstance(part, dict) and "command" in part else part
            for key, part in value.items()
        }

    def _split(self, text: Any, place: Place, path: Path = ()) -> Any:
        if not isinstance(text, str):
            return text
        try:
            return split_command(text)
        except CannotSplit as error:
            said = {"No closing quotation": "a quote is not closed",
                    "No escaped character": "a backslash at the end"}.get(str(error), str(error))
            self.incomplete = True
            self.problems.append(place.problem("LT407", f"cannot be split into words: {said}", path,
                                               hint="write it as a list, one element an argument"))
            return [text]

    def _take_when(self, value: Any) -> None:
        place = self.place_of("when")
        if not isinstance(value, str):
            self.when = value is not False
            return
        if "{{" in value or "{%" in value:
            self._report(place, (), TemplateError(
                "LT313", "`when` is an expression already", "leave the braces out"))
            return
        self.when = self._expression(value, place, otherwise=True)

    def _take_loop(self, value: Any) -> None:
        self.loop = value
        place = self.place_of("loop")
        if isinstance(value, str):
            self.loop_template = self._expression(value, place, otherwise=None)
        else:
            self.loop = compile_value(value, self.templates,
                                      lambda path, error: self._report(place, path, error))

    def _expression(self, text: str, place: Place, *, otherwise: Any) -> Any:
        try:
            found = (self.templates.text if "{{" in text else self.templates.expression)(text)
        except TemplateError as error:
            hint = about_expression(str(place.path[-1]), text) or error.hint
            self._report(place, (), TemplateError(error.code, error.message, hint, error.needle))
            return otherwise
        if not found.whole:
            self._report(place, (), TemplateError(
                "LT313", "must be one expression, not a text with one in it"))
            return otherwise
        return found

    def place_of(self, name: str) -> Place:
        """Where one of the task's own fields stands."""
        return Place(self.own.place.document, (*self.own.place.path, name))

    def names(self) -> frozenset[str]:
        """Every variable that some template of the definition reads."""
        found = frozenset[str]().union(*(field.value.names for field in self.fields.values()))
        for template in (self.when, self.loop_template):
            if isinstance(template, Template):
                found |= template.names
        if isinstance(self.loop, Value):
            found |= self.loop.names
        return found


def _merged(layers: list[Layer]) -> dict[str, tuple[Any, Place, dict[str, Place]]]:
    """Every field with its place. A task's own `script` replaces a default `command`, and the
    reverse.
    """
    result: dict[str, tuple[Any, Place, dict[str, Place]]] = {}
    for layer in reversed(layers):
        for name, value in layer.fields.items():
            places: dict[str, Place] = {}
            if name in MERGED and isinstance(value, dict):
                before = result.get(name)
                places = dict(before[2]) if before else {}
                for key in value:
                    places[key] = Place(layer.place.document, (*layer.place.path, name, key))
                value = {**(before[0] if before and isinstance(before[0], dict) else {}), **value}
            if name == "script":
                result.pop("command", None)
            elif name == "command":
                result.pop("script", None)
            result[name] = (value, layer.place, places)
    return result


def _acceptor(name: str) -> schema.Check:
    return schema.accepts("job", f"#/$defs/task/properties/{name}", loose=False)
