"""Why a value does not fit the schema: jsonschema's errors, in words that tell the way out.

Imported only after a fast check has said no: jsonschema is slow to import and to run.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import jsonschema
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from ltspec.spec import hints
from ltspec.spec import schema as schemas
from ltspec.spec.problems import Path, closest, did_you_mean

KINDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "array": "a list",
    "boolean": "true or false", "object": "a mapping", "null": "nothing",
}


class Finding(NamedTuple):
    """One way in which a value does not fit; `at_key` means the key itself is wrong."""

    code: str
    message: str
    path: Path
    hint: str = ""
    at_key: bool = False


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not schemas.pattern_of(pattern).search(value):
        yield ValidationError("does not match")


def _format(_validator: Any, _name: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if not schemas.is_regex(value):
        yield ValidationError("not a regular expression")


_Validator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call] # has no types
    Draft202012Validator, {"pattern": _pattern, "format": _format}
)


@cache
def _validator(root: str, pointer: str, loose: bool) -> Any:  # noqa: FBT001 - a cache key
    registry: Any = Registry()
    for name in ("job", "config"):
        schema = schemas.published(name)
        contents = schema if loose else schemas.strict(schema)
        # With "$schema" in it jsonschema would go on with its own class, without our keywords.
        contents = {key: part for key, part in contents.items() if key != "$schema"}
        registry = registry.with_resource(schema["$id"], DRAFT202012.create_resource(contents))
    base = schemas.published(root)["$id"]
    return _Validator({"$ref": base + (pointer or "#")}, registry=registry)


def findings(
    value: Any, root: str, pointer: str = "", *, loose: bool = True, path: Path = ()
) -> list[Finding]:
    """All findings about a value; empty where it fits."""
    errors = _validator(root, pointer, loose).iter_errors(value)
    return _unique(_explain_all(errors, root, path))


def input_findings(value: Any, schema: dict[str, Any], path: Path = ()) -> list[Finding]:
    """The same against the small schema of an input."""
    return _unique(_explain_all(_Validator(schema).iter_errors(value), "job", path))


def _unique(found: Iterable[Finding]) -> list[Finding]:
    return list(dict.fromkeys(found))


def _explain_all(errors: Iterable[Any], root: str, path: Path) -> Iterator[Finding]:
    for error in errors:
        yield from _explain(error, root, path)


def _explain(error: Any, root: str, base: Path) -> Iterator[Finding]:
    path: Path = (*base, *error.absolute_path)
    keyword = str(error.validator)
    if keyword == "additionalProperties":
        yield from _unknown_keys(error, path)
    elif "propertyNames" in list(error.schema_path)[-3:]:
        yield from _bad_key(error, path)
    elif keyword in ("anyOf", "oneOf"):
        yield from _alternatives(error, root, base)
    elif keyword == "required":
        yield from _missing(error, path)
    elif keyword == "not":
        yield from _both(error, path)
    else:
        yield _BY_KEYWORD.get(keyword, _out_of_range)(error, path)


def _both(error: Any, path: Path) -> Iterator[Finding]:
    if isinstance(error.instance, dict):
        yield Finding("LT207", "`command` and `script` exclude each other", (*path, "script"),
                      "keep one of them", at_key=True)


def _private(path: Path) -> bool:
    return "env" in path or "secrets" in path


def _shown(value: Any, path: Path) -> str:
    if _private(path):
        return "the value"
    text = str(value) if not isinstance(value, str) else value
    text = text if len(text) <= 60 else text[:57] + "…"
    return f"`{text}`"


def _unknown_keys(error: Any, path: Path) -> Iterator[Finding]:
    known = list(error.schema.get("properties", {}))
    for name in error.instance:
        if name not in known:
            hint = hints.about_key(name, path, known) or did_you_mean(name, known)
            yield Finding("LT201", f"unknown key `{name}`", (*path, name), hint, at_key=True)


def _bad_key(error: Any, path: Path) -> Iterator[Finding]:
    name = str(error.instance)
    title = error.schema.get("title", "a key")
    if error.validator == "enum":
        if path == ():
            yield Finding("LT207", f"`{name}` beside `tasks`", (*path, name),
                          "put it into a task, or under `defaults` for all of them", at_key=True)
        return
    hint = ""
    if name.startswith("-"):
        hint = f"write `{name.lstrip('-')}`: the dashes are added"
    elif name.startswith(("LTSPEC_", "MGR_LT_")):
        hint = "ltspec sets these itself"
    yield Finding("LT205", f"`{name}` is not {title}", (*path, name), hint, at_key=True)


def _missing(error: Any, path: Path) -> Iterator[Finding]:
    for name in error.validator_value:
        if name not in error.instance:
            known = [key for key in error.instance if key not in error.schema.get("properties", {})]
            hint = f"`{name}: …` gives a task its identity" if name == "id" else ""
            near = closest(name, known)
            yield Finding("LT202", f"`{name}` is missing", path,
                          f"is `{near}` meant as `{name}`?" if near else hint)


def _wrong_type(error: Any, path: Path) -> Finding:
    wanted = error.validator_value
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    return _not_of(names, error.instance, path)


def _not_of(names: Sequence[str], value: Any, path: Path) -> Finding:
    words = list(dict.fromkeys(KINDS[name] for name in names if name != "null"))
    expected = ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1]
    message = f"must be {expected}, is {kind_of(value)}"
    return Finding("LT203", message, path, hints.about_type(names, value, path))


def kind_of(value: Any) -> str:
    """The kind of a value in the words of problems."""
    if isinstance(value, bool):
        return "a boolean"
    for name in ("null", "integer", "number", "string", "array", "object"):
        if schemas.is_type(value, name):
            return KINDS[name]
    return type(value).__name__


def _wrong_constant(error: Any, path: Path) -> Finding:
    return Finding("LT208", f"{_shown(error.instance, path)} is no version of the format that this "
                   "ltspec knows", path, f"write {error.validator_value}, or leave it out")


def _wrong_word(error: Any, path: Path) -> Finding:
    words = [str(word) for word in error.validator_value]
    value = error.instance
    shown = ", ".join(words) if len(words) <= 20 else ", ".join(words[:20]) + ", …"
    text = str(value)
    hint = did_you_mean(text, words)
    if text.upper().removeprefix("SIG") in words:
        hint = f"write {text.upper().removeprefix('SIG')}"
    return Finding("LT204", f"{_shown(value, path)} is not one of {shown}", path, hint)


def _wrong_form(error: Any, path: Path) -> Finding:
    if error.validator == "format":
        return Finding("LT205", f"{_shown(error.instance, path)} is not a regular expression", path)
    title, examples = error.schema.get("title"), error.schema.get("examples", ())
    if error.validator_value == "\\S":
        return Finding("LT205", "is empty", path)
    if title is None:
        return Finding("LT205", f"{_shown(error.instance, path)} does not match "
                       f"{error.validator_value}", path)
    hint = "for example " + " or ".join(map(str, examples)) if examples else ""
    hint = hints.about_form(title, error.instance, path) or hint
    return Finding("LT205", f"{_shown(error.instance, path)} is not {title}", path, hint)


def _out_of_range(error: Any, path: Path) -> Finding:
    limit, keyword, value = error.validator_value, str(error.validator), error.instance
    words = {
        "minimum": f"{_shown(value, path)} is less than {limit}",
        "maximum": f"{_shown(value, path)} is greater than {limit}",
        "minLength": "is empty" if limit == 1 else f"is shorter than {limit} characters",
        "maxLength": f"is longer than {limit} characters",
        "minItems": "is empty" if limit == 1 else f"has fewer than {limit} elements",
        "maxItems": f"has more than {limit} elements",
        "minProperties": "is empty",
        "maxProperties": f"has more than {limit} key{'s' if limit != 1 else ''}",
        "uniqueItems": "has the same element twice",
    }
    return Finding("LT206", words.get(keyword, f"does not fit `{keyword}`"), path)


def _alternatives(error: Any, root: str, base: Path) -> Iterator[Finding]:
    """Of several forms the one that was meant: the one whose type fits."""
    path: Path = (*base, *error.absolute_path)
    if error.validator == "oneOf":
        value = error.instance
        if isinstance(value, dict) and value.keys() <= error.schema["properties"].keys():
            yield _exactly_one(error, path)
        return
    branches: dict[int, list[Any]] = {}
    for child in error.context or ():
        branches.setdefault(int(child.schema_path[0]), []).append(child)
    templates = {"$ref": schemas.TEMPLATE_REF}
    meant = {index: children for index, children in branches.items()
             if error.validator_value[index] != templates}
    fitting = {index: children for index, children in meant.items()
               if not any(_is_mismatch(child) for child in children)}
    if not fitting:
        names = [name for index in meant for name in _types(root, error.validator_value[index])]
        yield _not_of(list(dict.fromkeys(names)), error.instance, path)
    elif len(fitting) == 1:
        for child in next(iter(fitting.values())):
            yield from _explain(child, root, base)
    else:
        titles = [_title(root, error.validator_value[index]) for index in fitting]
        words = " or ".join(dict.fromkeys(title for title in titles if title))
        yield Finding("LT205", f"{_shown(error.instance, path)} is not {words}", path,
                      _signal_hint(error.instance))


def _signal_hint(value: Any) -> str:
    name = str(value).upper().removeprefix("SIG")
    signals = schemas.published("job")["$defs"]["signal"]["enum"]
    return f"write {name}" if name in signals else did_you_mean(name, signals)


def _is_mismatch(error: Any) -> bool:
    """True where the value is of another type than this branch is for."""
    if error.relative_path:
        return False                          # something in it is wrong, not the whole
    if error.validator == "anyOf":
        return all(_is_mismatch(child) for child in error.context or ()) and bool(error.context)
    return bool(error.validator == "type")


def _exactly_one(error: Any, path: Path) -> Finding:
    names = [branch["required"][0] for branch in error.validator_value if "required" in branch]
    words = " or ".join(f"`{name}`" for name in names)
    few = not any(name in error.instance for name in names)
    return Finding("LT207", f"must have either {words}", path,
                   "give one of them" if few else "keep one of them")


def _referred(root: str, reference: str) -> tuple[str, Any]:
    """What a `$ref` names. Definitions are all in job.schema.json: what stands in a part of it that
    the config refers to is meant there.
    """
    return schemas.resolve("job" if reference.startswith("#/$defs/") else root, reference)


def _types(root: str, schema: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        name, target = _referred(root, schema["$ref"])
        return _types(name, target)
    if "anyOf" in schema:
        templates = {"$ref": schemas.TEMPLATE_REF}
        branches = [part for part in schema["anyOf"] if part != templates]
        return [name for part in branches for name in _types(root, part)]
    wanted = schema.get("type", [])
    return [wanted] if isinstance(wanted, str) else list(wanted)


def _title(root: str, schema: dict[str, Any]) -> str:
    if "title" not in schema and "$ref" in schema:
        name, target = _referred(root, schema["$ref"])
        return _title(name, target)
    return str(schema.get("title", ""))


_BY_KEYWORD: dict[str, Callable[[Any, Path], Finding]] = {
    "type": _wrong_type,
    "const": _wrong_constant,
    "enum": _wrong_word,
    "pattern": _wrong_form,
    "format": _wrong_form,
}
