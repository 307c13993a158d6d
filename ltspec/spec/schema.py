"""The published schemas, compiled: does a value fit, and if not, why.

One question, two answers that a contract test holds equal. `accepts` runs closures compiled from
the schema: fast, says only yes or no. After a no, `findings` asks jsonschema, which is the
authority, and puts its errors into words. The strict schemas (DESIGN 6) are the published ones
without the branches that admit a template; they judge rendered values.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

Check = Callable[[Any], bool]
Schema = Mapping[str, Any]

TEMPLATE_REF = "#/$defs/template"
DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "schemas")

_ANNOTATIONS = frozenset(
    ["$schema", "$id", "$defs", "title", "description", "default", "examples"]
)


@cache
def text_of(name: str) -> str:
    """The published text of `job` or `config`."""
    with open(os.path.join(DIRECTORY, name + ".schema.json"), encoding="utf-8") as file:
        return file.read()


@cache
def published(name: str) -> dict[str, Any]:
    """The published schema `job` or `config`, parsed."""
    schema: dict[str, Any] = json.loads(text_of(name))
    return schema


def standalone(name: str) -> str:
    """The published text, with what it takes from the other schema put into it."""
    text = text_of(name)
    if name == "job":
        return text
    schema = json.loads(text.replace("job.schema.json#/$defs/", "#/$defs/"))
    schema["$defs"] = published("job")["$defs"]
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def resolve(root: str, reference: str) -> tuple[str, Any]:
    """What a `$ref` in the schema `root` names, and the schema it stands in."""
    document, _, pointer = reference.partition("#")
    name = document.removesuffix(".schema.json") or root
    found: Any = published(name)
    for part in pointer.strip("/").split("/"):
        found = found[part] if part else found
    return name, found


def strict(schema: Any) -> Any:
    """The schema for rendered values: every branch that admits a template is left out."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(part) for key, part in schema.items()}
    branches = result.get("anyOf")
    if isinstance(branches, list) and {"$ref": TEMPLATE_REF} in branches:
        result["anyOf"] = [branch for branch in branches if branch != {"$ref": TEMPLATE_REF}]
    return result


def is_type(value: Any, name: str) -> bool:
    """JSON Schema's types, for values that YAML gives."""
    return _TYPES[name](value)


_TYPES: dict[str, Check] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, float) and value.is_integer())
    ),
}


def pattern_of(text: str) -> re.Pattern[str]:
    """A schema's pattern: in ECMA 262, which JSON Schema means, `$` is only the very end."""
    return re.compile(re.sub(r"(?<!\\)\$(?=\)|$|\|)", r"\\Z", text))


class Compiler:
    """Compiles the schemas of one root into checks; `loose` admits templates, else strict."""

    def __init__(self, root: str, *, loose: bool) -> None:
        self.root = root
        self.loose = loose
        self._references: dict[str, Check] = {}

    def reference(self, reference: str) -> Check:
        """The check for a `$ref`; compiled on first use, so that circles are no trouble."""
        found = self._references.get(reference)
        if found is None:
            compiled: list[Check] = []

            def check(value: Any) -> bool:
                if not compiled:
                    root, target = resolve(self.root, reference)
                    owner = self if root == self.root else compiler(root, loose=self.loose)
                    compiled.append(owner.compile(target))
                return compiled[0](value)

            found = self._references[reference] = check
        return found

    def compile(self, schema: Any) -> Check:
        """One check for a schema. Raises KeyError on a keyword that it does not know."""
        checks: list[Check] = []
        if isinstance(schema, bool):
            return lambda _value: schema
        for keyword, argument in schema.items():
            if keyword in _ANNOTATIONS or keyword in ("additionalProperties", "then", "else"):
                continue
            made = _KEYWORDS[keyword](self, argument, schema)
            if made is not None:
                checks.append(made)
        if "additionalProperties" in schema and "properties" not in schema:
            checks.append(_properties(self, {}, schema))
        return _all(checks)


def _all(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda value: first(value) and second(value)

    def every(value: Any) -> bool:
        for check in checks:  # noqa: SIM110 - a generator costs a third more here
            if not check(value):
                return False
        return True

    return every


def _type(_: Compiler, names: Any, _schema: Schema) -> Check:
    if isinstance(names, str):
        return _TYPES[names]
    return _either([_TYPES[name] for name in names])


def _either(tests: list[Check]) -> Check:
    if len(tests) == 2:
        first, second = tests
        return lambda value: first(value) or second(value)

    def some(value: Any) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs a third more here
            if test(value):
                return True
        return False

    return some


def _properties(compiler: Compiler, properties: Any, schema: Schema) -> Check:
    known = {name: compiler.compile(part) for name, part in properties.items()}
    more = schema.get("additionalProperties", True)
    other = compiler.compile(more) if isinstance(more, dict) else None

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        for name, part in value.items():
            test = known.get(name, other)
            if test is None:
                if more is False:
                    return False
            elif not test(part):
                return False
        return True

    return check


def _any_of(compiler: Compiler, branches: Any, _schema: Schema) -> Check:
    if not compiler.loose:
        branches = [branch for branch in branches if branch != {"$ref": TEMPLATE_REF}]
    tests = [compiler.compile(branch) for branch in branches]
    return tests[0] if len(tests) == 1 else _either(tests)


def _one_of(compiler: Compiler, branches: Any, _schema: Schema) -> Check:
    tests = [compiler.compile(branch) for branch in branches]
    return lambda value: sum(test(value) for test in tests) == 1


def _not(compiler: Compiler, schema: Any, _schema: Schema) -> Check:
    test = compiler.compile(schema)
    return lambda value: not test(value)


def _if(compiler: Compiler, condition: Any, schema: Schema) -> Check:
    test = compiler.compile(condition)
    then = compiler.compile(schema.get("then", True))
    otherwise = compiler.compile(schema.get("else", True))
    return lambda value: then(value) if test(value) else otherwise(value)


def _items(compiler: Compiler, schema: Any, _schema: Schema) -> Check:
    test = compiler.compile(schema)
    return lambda value: not isinstance(value, list) or _every(test, value)


def _property_names(compiler: Compiler, schema: Any, _schema: Schema) -> Check:
    test = compiler.compile(schema)
    return lambda value: not isinstance(value, dict) or _every(test, value)


def _every(test: Check, parts: Iterable[Any]) -> bool:
    for part in parts:  # noqa: SIM110 - a generator costs a third more here
        if not test(part):
            return False
    return True


def _required(_: Compiler, names: Any, _schema: Schema) -> Check:
    return lambda value: not isinstance(value, dict) or all(name in value for name in names)


def same(left: Any, right: Any) -> bool:
    """JSON Schema's equality: true is not 1."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _enum(_: Compiler, values: Any, _schema: Schema) -> Check:
    if all(isinstance(value, str) for value in values):
        words = frozenset(values)
        return lambda value: isinstance(value, str) and value in words
    return lambda value: any(same(value, one) for one in values)


def _pattern(_: Compiler, text: str, _schema: Schema) -> Check:
    search = pattern_of(text).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _format(_: Compiler, name: str, _schema: Schema) -> Check:
    if name != "regex":
        raise KeyError(name)
    return is_regex


def is_regex(value: Any) -> bool:
    """`format: regex`, in Python's dialect, which is the one that is used."""
    if isinstance(value, str):
        try:
            re.compile(value)
        except (re.error, RecursionError, OverflowError):
            return False
    return True


def _number(test: Callable[[Any, Any], bool]) -> Callable[[Compiler, Any, Schema], Check]:
    def make(_: Compiler, limit: Any, _schema: Schema) -> Check:
        return lambda value: (
            not isinstance(value, (int, float)) or isinstance(value, bool) or test(value, limit)
        )

    return make


def _length(
    kind: type[str] | type[list[Any]] | type[dict[str, Any]], test: Callable[[int, Any], bool]
) -> Callable[[Compiler, Any, Schema], Check]:
    def make(_: Compiler, limit: Any, _schema: Schema) -> Check:
        return lambda value: not isinstance(value, kind) or test(len(value), limit)

    return make


def _unique(_: Compiler, wanted: Any, _schema: Schema) -> Check | None:
    if not wanted:
        return None

    def check(value: Any) -> bool:
        if not isinstance(value, list):
            return True
        return not any(same(one, two) for at, one in enumerate(value) for two in value[:at])

    return check


_KEYWORDS: dict[str, Callable[[Compiler, Any, Schema], Check | None]] = {
    "type": _type,
    "properties": _properties,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "items": _items,
    "propertyNames": _property_names,
    "required": _required,
    "enum": _enum,
    "const": lambda _, value, _schema: lambda found: same(found, value),
    "pattern": _pattern,
    "format": _format,
    "minimum": _number(lambda value, limit: value >= limit),
    "maximum": _number(lambda value, limit: value <= limit),
    "minLength": _length(str, lambda length, limit: length >= limit),
    "maxLength": _length(str, lambda length, limit: length <= limit),
    "minItems": _length(list, lambda length, limit: length >= limit),
    "maxItems": _length(list, lambda length, limit: length <= limit),
    "minProperties": _length(dict, lambda length, limit: length >= limit),
    "maxProperties": _length(dict, lambda length, limit: length <= limit),
    "uniqueItems": _unique,
    "$ref": lambda compiler, reference, _schema: compiler.reference(reference),
}


@cache
def compiler(root: str, *, loose: bool) -> Compiler:
    """The compiler of the schema `root`, made once."""
    return Compiler(root, loose=loose)


@cache
def accepts(root: str, pointer: str = "", *, loose: bool = True) -> Check:
    """Whether a value fits the schema `root`, or the part of it at `pointer` ("#/$defs/…")."""
    made = compiler(root, loose=loose)
    return made.reference(pointer) if pointer else made.compile(published(root))


def fields(root: str = "job") -> Iterator[str]:
    """The names of a task's fields."""
    yield from published(root)["$defs"]["task"]["properties"]
