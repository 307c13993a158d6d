"""The variables of one document: inputs, vars and what `-e` gave, resolved and checked.

Precedence: `-e NAME=…`, then `-e @file`, then `vars`, then an input's default (DESIGN 6). Values
given with -e are data: they are never rendered.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ltspec.errors import UsageError
from ltspec.spec.functions import NAMES
from ltspec.spec.problems import Path, Problem
from ltspec.spec.reading import Document, decode, parse
from ltspec.spec.schema import Compiler, is_type
from ltspec.spec.templates import UNKNOWN, TemplateError, Templates
from ltspec.spec.values import Value, compile_value, diagnose

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Given(NamedTuple):
    """One value of -e: `raw` text of `-e k=v`, or a typed value of `-e @file`."""

    value: Any
    raw: bool
    origin: str
    document: Document | None = None         # of `-e @file`


class Misfit(NamedTuple):
    """Why a value does not fit an input's schema."""

    message: str
    hint: str = ""


def parse_extra_vars(arguments: Sequence[str]) -> dict[str, Given]:
    """The values of `-e` options, in order; `k=v` wins over `@file`. Raises UsageError."""
    from_files: dict[str, Given] = {}
    direct: dict[str, Given] = {}
    for argument in arguments:
        if argument.startswith("@"):
            from_files.update(_from_file(argument[1:]))
            continue
        name, equals, value = argument.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise UsageError(f"-e {argument}: not NAME=VALUE or @FILE")
        direct[name] = Given(value, raw=True, origin=f"-e {name}")
    return {**from_files, **direct}


def _from_file(path: str) -> dict[str, Given]:
    try:
        with open(path, "rb") as file:
            source, problems = decode(path, path, file.read(8 * 1024 * 1024 + 1))
    except OSError as error:
        raise UsageError(f"-e @{path}: cannot read it: {error.strerror}") from error
    documents, more = parse(source) if not problems else ([], [])
    for problem in (*problems, *more):
        raise UsageError(f"-e @{path}:{problem.line}:{problem.column}: {problem.message}")
    values = documents[0].value if documents else {}
    if not isinstance(values, dict) or len(documents) > 1:
        raise UsageError(f"-e @{path}: must be one mapping of names to values")
    for name in values:
        if not _NAME.fullmatch(name):
            raise UsageError(f"-e @{path}: `{name}` is not the name of a variable")
    return {name: Given(value, raw=False, origin=f"-e @{path}", document=documents[0])
            for name, value in values.items()}


class Scope:
    """The resolved variables. `unknown` are the names whose value validate cannot know; `outside`
    those whose text an outsider may choose freely (no pattern, no enum).
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.unknown: set[str] = set()
        self.outside: set[str] = set()
        self.origins: dict[str, str] = {}
        self.uses: dict[str, frozenset[str]] = {}      # variable -> those that it was made of


class _Definition(NamedTuple):
    """A variable that is written in the document and has to be rendered."""

    value: Value
    path: Path
    origin: str


class Resolver:
    """Fills one Scope from one document."""

    def __init__(self, document: Document, given: Mapping[str, Given], templates: Templates,
                 functions: Mapping[str, Callable[..., Any]], *, for_host: bool) -> None:
        self.document = document
        self.given = given
        self.templates = templates
        self.for_host = for_host
        self.scope = Scope()
        self.problems: list[Problem] = []
        self.inputs: dict[str, dict[str, Any]] = document.value.get("inputs", {})
        self.definitions: dict[str, _Definition] = {}
        self.active: list[str] = []
        self.failed: set[str] = set()
        self.names: set[str] = set()           # that some variable uses
        self.scope.values.update(functions)
        self.scope.unknown.update(name for name in NAMES if name not in functions)

    def resolve(self) -> Scope:
        """Resolve all; the problems are in `problems`."""
        written = self.document.value.get("vars", {})
        for name in dict.fromkeys((*self.inputs, *written, *self.given)):
            self._choose(name, written)
        for name in self.definitions:
            self._render(name)
        return self.scope

    def _choose(self, name: str, written: dict[str, Any]) -> None:
        schema = self.inputs.get(name)
        if schema is not None:
            self._check_examples(name, schema)
        if name in self.given:
            self._take_given(name, self.given[name], schema)
        elif name in written:
            self._define(name, written[name], ("vars", name), "vars")
        elif schema is not None and "default" in schema:
            self._define(name, schema["default"], ("inputs", name, "default"), "default")
        elif schema is not None:
            self._required(name, schema)

    def _define(self, name: str, value: Any, path: Path, kind: str) -> None:
        compiled = compile_value(value, self.templates, self._report(path))
        line = self.document.problem("", "", path).line
        origin = f"{kind}, {self.document.source.name}:{line}"
        self.definitions[name] = _Definition(compiled, path, origin)
        self.scope.uses[name] = compiled.names
        self.names |= compiled.names

    def _report(self, path: Path) -> Callable[[Path, TemplateError], None]:
        def report(at: Path, error: TemplateError) -> None:
            self.problems.append(self.document.problem(
                error.code, error.message, (*path, *at), needle=error.needle, hint=error.hint))

        return report

    def _take_given(self, name: str, given: Given, schema: dict[str, Any] | None) -> None:
        value = given.value
        if schema is not None:
            try:
                value = converted(value, schema.get("type", "string")) if given.raw else value
            except ValueError as error:
                self._reject_given(name, given, Misfit(str(error)))
                return
            wrong = misfit(value, schema)
            if wrong:
                self._reject_given(name, given, wrong)
                return
        self._set(name, value, given.origin, schema)
        if schema is None or is_loose(schema):
            self.scope.outside.add(name)

    def _reject_given(self, name: str, given: Given, wrong: Misfit) -> None:
        description = self.inputs[name].get("description", "")
        about = f"it is: {description}" if description else ""
        hint = "; ".join(part for part in (wrong.hint, about) if part)
        self.failed.add(name)
        if given.document is not None:
            self.problems.append(given.document.problem(
                "LT308", f"the input `{name}`: {wrong.message}", (name,), hint=hint))
            return
        self.problems.append(self.document.problem(
            "LT308", f"{given.origin}: {wrong.message}", ("inputs", name), key=True, hint=hint))

    def _required(self, name: str, schema: dict[str, Any]) -> None:
        if self.for_host:
            description = schema.get("description", "")
            about = f" ({description})" if description else ""
            self.failed.add(name)
            self.problems.append(self.document.problem(
                "LT307", f"the input `{name}` needs a value{about}", ("inputs", name), key=True,
                hint=f"give it: -e {name}=…"))
            return
        examples = schema.get("examples", ())
        line = self.document.problem("", "", ("inputs", name), key=True).line
        value = examples[0] if examples else UNKNOWN
        self._set(name, value, f"example, {self.document.source.name}:{line}", schema)
        if is_loose(schema):
            self.scope.outside.add(name)

    def _set(self, name: str, value: Any, origin: str, schema: dict[str, Any] | None) -> None:
        self.scope.origins[name] = origin
        if value is UNKNOWN:
            examples = schema.get("examples") if schema else None
            if not examples:
                self.scope.unknown.add(name)
                return
            value = examples[0]
        self.scope.values[name] = value

    def _check_examples(self, name: str, schema: dict[str, Any]) -> None:
        for at, example in enumerate(schema.get("examples", ())):
            wrong = misfit(example, schema)
            if wrong:
                self.problems.append(self.document.problem(
                    "LT316", f"an example of `{name}`: {wrong.message}",
                    ("inputs", name, "examples", at), hint=wrong.hint))

    def _render(self, name: str) -> None:
        if name in self.scope.values or name in self.scope.unknown or name in self.failed:
            return
        definition = self.definitions[name]
        if name in self.active:
            circle = " -> ".join((*self.active[self.active.index(name):], name))
            self.failed.update(self.active)
            self.problems.append(self.document.problem(
                "LT306", f"variables in a circle: {circle}", definition.path, key=True))
            return
        self.active.append(name)
        for needed in sorted(definition.value.names & self.definitions.keys()):
            self._render(needed)
        self.active.pop()
        if name not in self.failed:
            self._finish(name, definition)

    def _finish(self, name: str, definition: _Definition) -> None:
        value = definition.value
        if value.names & self.failed:
            self.failed.add(name)         # the cause is reported already
            return
        result = value.written
        if value.render is not None:
            try:
                result = value.render(self.scope.values, self.scope.unknown)
            except TemplateError:
                self.failed.add(name)
                diagnose(value.written, self.templates, self.scope.values, self.scope.unknown,
                         self._report(definition.path))
                return
        if value.names & self.scope.outside:
            self.scope.outside.add(name)
        schema = self.inputs.get(name)
        wrong = misfit(result, schema) if schema is not None and result is not UNKNOWN else None
        if wrong:
            self.failed.add(name)
            self.problems.append(self.document.problem(
                "LT309", f"the input `{name}`: {wrong.message}", definition.path, hint=wrong.hint))
            return
        if schema is not None and definition.path[0] == "inputs" and is_loose(schema):
            self.scope.outside.add(name)
        self._set(name, result, definition.origin, schema)


def is_loose(schema: Mapping[str, Any]) -> bool:
    """True where an outsider may choose any text: no pattern, no enum, not numbers only."""
    if schema.keys() & {"pattern", "enum"}:
        return False
    kind = schema.get("type", "string")
    if kind == "array":
        return is_loose(schema.get("items", {}))
    return kind in ("string", "object")


def converted(text: str, kind: str) -> Any:
    """The text of `-e k=v` as the declared type. ValueError with the reason where it is none."""
    if kind == "string":
        return text
    if kind == "boolean":
        if text not in ("true", "false"):
            raise ValueError(f"must be true or false, is `{_short(text)}`")
        return text == "true"
    source, problems = decode("-e", "", text.encode("utf-8", "surrogateescape"))
    documents, more = ([], problems) if problems else parse(source)
    value = documents[0].value if len(documents) == 1 and not more else None
    if value is None or not is_type(value, kind):
        words = {"integer": "a whole number", "number": "a number",
                 "array": "a list such as [a, b]", "object": "a mapping such as {a: b}"}
        raise ValueError(f"must be {words[kind]}, is `{_short(text)}`")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def misfit(value: Any, schema: dict[str, Any]) -> Misfit | None:
    """Why it does not, None where it does."""
    wanted = {"type": "string", **schema} if "enum" not in schema else schema
    rules = {key: part for key, part in wanted.items() if key != "default"}
    try:
        if Compiler("job", loose=True).compile(rules)(value):
            return None
    except (re.error, RecursionError):
        return None                       # the schema itself has a problem, which is reported
    from ltspec.spec.findings import input_findings

    found = input_findings(value, rules, ("value",))
    return Misfit(found[0].message, found[0].hint) if found else Misfit("does not fit its schema")
