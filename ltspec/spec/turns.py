"""Renders a definition into tasks: once, or once for each element of its loop.

Fast where all goes well: constant fields are converted once, templated ones are rendered, checked
by a compiled check and converted. What fails is looked at again, slowly, for its place.
"""

import os
from collections.abc import Iterator, Mapping, Set
from typing import Any, NamedTuple, Protocol

from ltspec.model import TaskSpec
from ltspec.spec.argv import arguments, interpreter, spliced
from ltspec.spec.convert import (
    ARGV_FIELDS,
    CONVERTERS,
    OTHER_FIELDS,
    BadValue,
    Fields,
)
from ltspec.spec.identity import definition_hash
from ltspec.spec.plan import Definition, Field
from ltspec.spec.problems import Path, Problem
from ltspec.spec.scalars import as_text
from ltspec.spec.templates import UNKNOWN, Template, TemplateError
from ltspec.spec.values import Value, diagnose, evaluate
from ltspec.spec.variables import Scope

MAX_TURNS = 100_000
_FAILED: Any = object()


class Setting(Protocol):
    """What the config decides for a task."""

    @property
    def mgrctl_form(self) -> str: ...
    @property
    def pidfile_name(self) -> str: ...
    @property
    def cgroup(self) -> str: ...


class Surroundings(NamedTuple):
    """What is the same for all tasks of one document."""

    setting: Setting
    scope: Scope
    base: str                                # where relative paths begin
    source: str
    manager: str
    mgrctl: str                              # "" reports nowhere
    environment: Mapping[str, str] | None    # for env_pass; None in validate


class Turn(NamedTuple):
    """One rendered task. `spec` is None where it is wrong or not all of it is known; `known` has
    the manager, queue, id and needs all the same, and is None only where queue or id are missing.
    """

    definition: Definition
    number: int                              # of the loop, from 0; -1 without a loop
    id: Any                                  # text, or UNKNOWN
    spec: TaskSpec | None
    known: TaskSpec | None = None
    skipped: bool = False
    failed: bool = False                     # a problem is reported
    unchecked: tuple[str, ...] = ()          # fields that need what is not among the files given


class Renderer:
    """Renders one definition."""

    def __init__(self, definition: Definition, around: Surroundings) -> None:
        self.definition = definition
        self.around = around
        self.problems: list[Problem] = []
        self.constant: Fields = {}
        self.dynamic: list[Field] = []
        self.argv_dynamic = False
        self.broken = definition.incomplete
        self.unchecked: list[str] = []
        self._prepare()

    def _prepare(self) -> None:
        around = self.around
        self.constant.update(
            cwd=around.base, base_dir=around.base, manager=around.manager, source=around.source,
            mgrctl=around.mgrctl, mgrctl_form=around.setting.mgrctl_form,
            cgroup=around.setting.cgroup,
        )
        for name, field in self.definition.fields.items():
            if name in ARGV_FIELDS:
                self.argv_dynamic = self.argv_dynamic or field.value.render is not None
            elif name == "env_pass":
                self._pass(field)
            elif name in OTHER_FIELDS:
                continue
            elif field.value.render is not None:
                self.dynamic.append(field)
            else:
                self._convert(field, field.value.written, self.constant)
        if not self.argv_dynamic:
            self._argv({}, set(), self.constant, self.unchecked)

    def _pass(self, field: Field) -> None:
        names = field.value.written
        if field.value.render is not None:
            names = self._render(field, self.around.scope.values, self.around.scope.unknown)
            if names is UNKNOWN:
                self.unchecked.append("env_pass")
                return
            if names is _FAILED or not self._accepted(field, names):
                self.broken = True
                return
        environment = self.around.environment
        if environment is None:
            return
        missing = [name for name in names if name not in environment]
        for name in missing:
            self.problems.append(field.place.problem(
                "LT508", f"`{name}` is not set here; the task will not have it",
                severity="warning", hint="set it, or leave it out of `env_pass`"))
        self.constant["env_pass"] = {n: environment[n] for n in names if n in environment}

    def turns(self) -> Iterator[Turn]:
        """Every task of the definition."""
        if "loop" in self.definition.broken:
            yield self._turn(0, self.around.scope.values,
                             self.around.scope.unknown | {"item", "loop"})
            return
        if self.definition.loop is None and self.definition.loop_template is None:
            yield self._turn(-1, self.around.scope.values, self.around.scope.unknown)
            return
        items = self._items()
        if items is _FAILED:
            return
        if items is UNKNOWN:
            unknown = self.around.scope.unknown | {"item", "loop"}
            self.unchecked.append("loop")
            yield self._turn(0, self.around.scope.values, unknown)
            return
        for index in range(len(items)):
            context = turn_context(self.around.scope.values, items, index)
            yield self._turn(index, context, self.around.scope.unknown)

    def _items(self) -> Any:
        scope, place = self.around.scope, self.definition.place_of("loop")
        loop = self.definition.loop
        try:
            items = loop_items(self.definition, scope)
        except TemplateError as error:
            if isinstance(loop, Value):
                diagnose(loop.written, self.definition.templates, scope.values, scope.unknown,
                         lambda path, error: self._report(place, path, error))
            else:
                self._report(place, (), error)
            return _FAILED
        if items is UNKNOWN or items is _FAILED:
            return items
        if not isinstance(items, list):
            from ltspec.spec.findings import kind_of

            hint = "`| dict2items` makes a list of a mapping" if isinstance(items, dict) else ""
            self._report(place, (), TemplateError(
                "LT313", f"`loop` must give a list, gives {kind_of(items)}", hint))
            return _FAILED
        if len(items) > MAX_TURNS:
            self._report(place, (), TemplateError("LT305", f"more than {MAX_TURNS:,} turns"))
            return _FAILED
        return items

    def _report(self, place: Any, path: Path, error: TemplateError) -> None:
        self.problems.append(place.problem(error.code, error.message, path, needle=error.needle,
                                           hint=error.hint))

    def _wanted(self, context: Mapping[str, Any], unknown: Set[str]) -> Any:
        when = self.definition.when
        if not isinstance(when, Template):
            return when
        place = self.definition.place_of("when")
        try:
            value = evaluate(when, context, unknown)
        except TemplateError as error:
            self._report(place, (), error)
            return _FAILED
        if value is UNKNOWN or isinstance(value, bool):
            return value
        from ltspec.spec.findings import kind_of

        self._report(place, (), TemplateError(
            "LT313", f"`when` must give true or false, gives {kind_of(value)}",
            "compare it (`== …`), or declare an input with `type: boolean`"))
        return _FAILED

    def _turn(self, number: int, context: Mapping[str, Any], unknown: Set[str]) -> Turn:
        wanted = self._wanted(context, unknown)
        if wanted is False:
            return Turn(self.definition, number, self._name(context, unknown), None, skipped=True)
        fields = self.constant.copy()
        failed = self.broken or wanted is _FAILED
        unchecked = [*self.unchecked, *(["when"] if wanted is UNKNOWN else [])]
        for field in self.dynamic:
            value = self._render(field, context, unknown)
            if value is UNKNOWN:
                unchecked.append(field.name)
            elif value is _FAILED or not self._convert(field, value, fields):
                failed = True
        if self.argv_dynamic and not self._argv(context, unknown, fields, unchecked):
            failed = True
        identifier = fields.get("id", UNKNOWN)
        if failed or identifier is UNKNOWN or not set(unchecked).issubset(OTHER_FIELDS):
            known = self._known(fields)
            return Turn(self.definition, number, identifier, None, known, failed=failed,
                        unchecked=tuple(unchecked))
        spec = self._spec(fields)
        return Turn(self.definition, number, identifier, spec, spec, unchecked=tuple(unchecked))

    def _spec(self, fields: Fields) -> TaskSpec:
        spec = self._named(TaskSpec(**fields))
        return spec._replace(hash=definition_hash(spec))

    def _named(self, spec: TaskSpec) -> TaskSpec:
        if self.around.setting.pidfile_name != "binary.id":
            return spec
        return spec._replace(pidfile_name=f"{os.path.basename(spec.realname)}.{spec.id}")

    def _known(self, fields: Fields) -> TaskSpec | None:
        """What the checks across tasks look at, where queue and id are known."""
        written = self.definition.fields.keys() | self.definition.broken
        if "id" not in fields or ("queue" in written and "queue" not in fields):
            return None
        names = ("id", "queue", "manager", "needs", "source", "script")
        known = TaskSpec(**{name: fields[name] for name in names if name in fields})
        command = fields.get("command", ("?",))        # no name has a question mark
        return self._named(known._replace(command=command))

    def _name(self, context: Mapping[str, Any], unknown: Set[str]) -> Any:
        """The id of a task that `when` leaves out, as far as it can be told."""
        field = self.definition.fields.get("id")
        if field is None:
            return UNKNOWN
        if field.value.render is None:
            return field.value.written
        try:
            return field.value.render(context, unknown)
        except TemplateError:
            return field.value.written

    def _render(self, field: Field, context: Mapping[str, Any], unknown: Set[str]) -> Any:
        if field.value.render is None:
            return field.value.written
        try:
            value = field.value.render(context, unknown)
        except TemplateError:
            def report(path: Path, error: TemplateError) -> None:
                place, sub = field.place_of(path)
                self._report(place, sub, error)

            diagnose(field.value.written, self.definition.templates, context, unknown, report)
            return _FAILED
        # One with a template that does not parse is rendered for what else is wrong in it.
        return _FAILED if field.name in self.definition.broken else value

    def _convert(self, field: Field, value: Any, fields: Fields) -> bool:
        """Check and convert one rendered value; False where it is wrong."""
        if field.value.render is not None and not self._accepted(field, value):
            return False
        try:
            fields.update(CONVERTERS[field.name](value, self.around.base))
        except BadValue as error:
            place, sub = field.place_of(error.path)
            self.problems.append(place.problem(error.code, error.message, sub, hint=error.hint))
            self.broken = self.broken or field.value.render is None
            return False
        return True

    def _accepted(self, field: Field, value: Any) -> bool:
        if field.accepts(value):
            return True
        from ltspec.spec.findings import findings

        for found in findings(value, "job", f"#/$defs/task/properties/{field.name}", loose=False):
            place, sub = field.place_of(found.path)
            self.problems.append(place.problem(found.code, after_rendering(found.message), sub,
                                               key=found.at_key, hint=found.hint))
        return False

    def _argv(self, context: Mapping[str, Any], unknown: Set[str], fields: Fields,
              unchecked: list[str]) -> bool:
        """Fill in command, script and parameters; False where something is wrong."""
        values: dict[str, Any] = {}
        wrong = missing = False
        for name in ARGV_FIELDS:
            field = self.definition.fields.get(name)
            if field is None:
                continue
            value = self._render(field, context, unknown)
            if value is UNKNOWN:
                missing = True
                unchecked.append(name)
                continue
            if value is not _FAILED and field.value.render is not None:
                value = _in_place(name, value)
                value = value if self._accepted(field, value) else _FAILED
            wrong = wrong or value is _FAILED
            values[name] = value
        if wrong or missing:
            return not wrong
        return self._assemble(values, fields)

    def _assemble(self, values: Mapping[str, Any], fields: Fields) -> bool:
        script = values.get("script")
        if script is not None:
            command = interpreter(script)
        elif "command" in values:
            command = tuple(as_text(part) for part in values["command"])
        else:
            return False                      # reported as LT406
        parameters = arguments(values.get("parameters", ()), values.get("parameter_style", "gnu"))
        fields.update(command=command, script=script, parameters=parameters)
        if not command[0]:
            field = self.definition.fields["command"]
            self._report(field.place, (), TemplateError("LT407", "the program's name is empty"))
            return False
        return True


def loop_items(definition: Definition, scope: Scope) -> Any:
    """The elements of a definition's loop. Raises TemplateError."""
    loop = definition.loop
    if definition.loop_template is not None:
        return evaluate(definition.loop_template, scope.values, scope.unknown)
    if isinstance(loop, Value):
        return loop.render(scope.values, scope.unknown) if loop.render else loop.written
    return _FAILED                            # reported when it was compiled


def turn_context(values: Mapping[str, Any], items: list[Any], index: int) -> dict[str, Any]:
    """The variables of one turn of a loop."""
    last = len(items) - 1
    loop = {"index": index + 1, "index0": index, "first": index == 0, "last": index == last,
            "length": last + 1}
    return {**values, "item": items[index], "loop": loop}


def after_rendering(message: str) -> str:
    """A finding about a written value, said of the rendered one."""
    return "the rendered value " + message


def _in_place(name: str, value: Any) -> Any:
    """Lists in positional places spliced; booleans that an expression gave there as text."""
    if name in ("command", "parameters") and isinstance(value, list):
        return [as_text(part) if isinstance(part, bool) else part for part in spliced(value)]
    return value
