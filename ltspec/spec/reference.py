"""docs/spec-reference.md and docs/problems.md, made from the schema and the table of codes.

`python -m ltspec.spec.reference docs` writes both; a test fails when they differ from these.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ltspec.spec import schema as schemas
from ltspec.spec.codes import CODES

Schema = Mapping[str, Any]

_HEADER = ("ltspec", "manager", "inputs", "vars", "defaults", "tasks")
_SMALL = ("name", "duration", "size", "words", "variable", "identifier", "options", "secret",
          "need", "signal", "template")
_TOPICS = {
    "LT1": "Reading the file", "LT2": "The form", "LT3": "Templates and variables",
    "LT4": "Tasks", "LT5": "Warnings", "LT6": "The host (apply and plan)",
    "LT7": "The configuration",
}


def spec_reference() -> str:
    """The reference of spec files and of the configuration."""
    job, config = schemas.published("job"), schemas.published("config")
    task = job["$defs"]["task"]["properties"]
    parts = [
        "# Spec reference", "",
        "Made from `schemas/job.schema.json` and `schemas/config.schema.json`; `ltspec schema` "
        "prints them. `ltspec init` writes them to `.ltspec/`, and renews them there after an "
        "upgrade. For completion and hover in an editor put this on the first line of a spec in "
        "`jobs/`; VS Code needs it only where `ltspec init` did not write its settings:", "",
        "```yaml", "# yaml-language-server: $schema=../.ltspec/job.schema.json", "```", "",
        _LANGUAGE,
        "## Keys of a file", "",
        "A file is one task itself, or has `tasks`. Beside `tasks` stand only these keys.", "",
        *_table("job", {name: job["properties"][name] for name in _HEADER}),
        "## Keys of a task", "", *_table("job", task),
        *_nested("job", task),
        "## Inputs", "", job["$defs"]["input"]["description"], "",
        *_table("job", job["$defs"]["input"]["properties"]),
        "## Notations", "",
        *(line for name in _SMALL for line in _notation(name, job["$defs"][name])),
        "## Configuration", "", _CONFIG, *_table("config", config["properties"]),
        *_nested("config", config["properties"]),
    ]
    return "\n".join(parts).rstrip() + "\n"


_LANGUAGE = """## Values

- A file holds one document or several, divided by `---`: each is a spec of its own, with its own
  `inputs`, `vars` and `defaults`. Their tasks can need one another, as those of different files.
- Plain scalars are those of YAML 1.2: `no`, `on`, `yes`, `0755`, `1_000`, `12:30:00` and
  `2026-01-02` are text. Quote what begins with 0 all the same: editors take `0755` for 755. A
  number keeps the text it was written as: `1.10` reaches the program as `1.10`. Duplicate keys and
  unknown tags are refused; anchors, aliases and merge keys work.
- Every text value may hold Jinja2 templates, `{{ … }}`, `{% if %}` and `{% for %}`. Quote a value
  that begins with a brace. Each value is rendered by itself; one that is a single `{{ … }}` keeps
  the type of the expression, and a list in the place of one argument is spliced. What was rendered
  is never split, rendered again, or given to a shell.
- Variables: `-e NAME=VALUE` wins over `-e @file`, that over `vars`, that over an input's default.
  In a loop there are `item` and `loop.index` (from 1), `loop.index0`, `loop.first`, `loop.last`,
  `loop.length`. `env('NAME')` and `env('NAME', 'default')` read the environment of `apply`,
  `file('path')` a small text file, relative to the spec. `validate` reads only files that lie in
  the spec's directory or in one given to it, and no environment: what touches anything else, or an
  input without a value and example, is checked for syntax and names only, and the report names it.
- Filters: abs b64decode b64encode basename bool capitalize center combine count default dict2items
  dictsort dirname first float format from_json groupby indent int items items2dict join last length
  list lower map max min regex_escape regex_findall regex_replace regex_search reject rejectattr
  replace reverse round select selectattr sort split string sum ternary title to_json trim truncate
  unique upper urlencode wordcount zip. An undefined variable is an error; null, lists and mappings
  cannot be a part of a text.
- Limits: 8 MiB and 300,000 values a file, 64 levels, 100,000 values that aliases add, a million
  characters a rendered value, 100,000 turns a loop, 3 seconds a template.
- Relative paths (`cwd`, `env_file`, `stdin.file`, `secrets.*.file`, a program with a slash) begin
  at the config's `base_dir`, without one at the directory of the spec.
"""

_CONFIG = """`ltspec.yml` is looked for at `--config`, `$LTSPEC_CONFIG`, `./ltspec.yml`,
`~/.config/ltspec/ltspec.yml` (not for root) and `/etc/ltspec/ltspec.yml`; the first one counts
alone. One that belongs to somebody else than you or root, or that others may write, is refused.

`validate` says the same on every host: it goes by `--config` or `./ltspec.yml` only, and as it
starts nothing, it takes one whoever may write it.
"""


def _table(root: str, properties: Schema) -> Iterator[str]:
    yield "| key | value | meaning |"
    yield "| --- | --- | --- |"
    for name, written in properties.items():
        _, schema = _resolved(root, written)
        about = {**schema, **{key: part for key, part in written.items() if key != "$ref"}}
        yield f"| `{name}` | {_kinds(root, written)} | {_meaning(about)} |"
    yield ""


def _meaning(about: Schema) -> str:
    text = str(about.get("description", "")).replace("|", "\\|")
    if "default" in about:
        text += f" Default: {_code(about['default'])}."
    examples = about.get("examples", [])
    if examples:
        text += " Example: " + " or ".join(_code(example) for example in examples[:2]) + "."
    return text


def _code(value: Any) -> str:
    """In the form to write; text that an editor would take for a number stands in quotes."""
    plain = isinstance(value, str) and not value.isdecimal()
    text = value if plain else json.dumps(value, ensure_ascii=False)
    return "`" + text.replace("\n", "\\n").replace("|", "\\|") + "`"


def _resolved(root: str, schema: Schema) -> tuple[str, Schema]:
    while "$ref" in schema:
        root, schema = schemas.resolve(root, schema["$ref"])
    return root, schema


def _kinds(root: str, written: Schema) -> str:
    root, schema = _resolved(root, written)
    if schema.get("title", "text") != "text":
        return str(schema["title"]).removeprefix("a ").removeprefix("an ")
    if "anyOf" in schema:
        branches = [part for part in schema["anyOf"] if part != {"$ref": schemas.TEMPLATE_REF}]
        return " or ".join(dict.fromkeys(_kinds(root, part) for part in branches))
    if "enum" in schema:
        words = schema["enum"]
        return "a signal" if len(words) > 9 else ", ".join(_code(word) for word in words)
    if "const" in schema:
        return _code(schema["const"])
    names = schema.get("type", "anything")
    words = [names] if isinstance(names, str) else list(names)
    return " or ".join(_KINDS.get(word, word) for word in words) + _range(schema)


_KINDS = {"string": "text", "integer": "whole number", "number": "number", "array": "list",
          "boolean": "true/false", "object": "mapping", "null": "null"}


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None or high > 10**8:
        return ""
    return f" {low} to {high}"


def _nested(root: str, properties: Schema) -> Iterator[str]:
    """The keys of the mappings among some properties."""
    for name, written in properties.items():
        owner, schema = _resolved(root, written)
        for inner, found in _parts(owner, schema):
            if "properties" in found and name not in ("defaults", "tasks", "inputs"):
                yield f"### `{name}`"
                yield ""
                yield from _table(inner, found["properties"])


def _parts(root: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """A schema and its alternatives, elements and values."""
    root, schema = _resolved(root, schema)
    yield root, schema
    if schema.get("title") == "a mapping of options":
        return
    inner = [*schema.get("anyOf", []), schema.get("additionalProperties"), schema.get("items")]
    for part in inner:
        if isinstance(part, dict):
            yield from _parts(root, part)


def _notation(name: str, schema: Schema) -> Iterator[str]:
    yield f"- **{schema.get('title', name)}**: {schema['description']}" + (
        f" Example: {' or '.join(_code(one) for one in schema['examples'][:2])}."
        if schema.get("examples") else "")
    if name == _SMALL[-1]:
        yield ""


def problems_reference() -> str:
    """The list of problem codes, each with an example."""
    lines = [
        "# Problems", "",
        "Every problem has a code that keeps its meaning. An error stops `apply` of all files "
        "given; a warning is only shown by it. `validate --strict` counts warnings as errors, and "
        "a comment on the line silences one there:", "",
        "```yaml", "env: { API_TOKEN: public }  # ltspec: ignore LT502", "```", "",
    ]
    topic = ""
    for code, about in CODES.items():
        if code[:3] != topic:
            topic = code[:3]
            lines += [f"## {_TOPICS[topic]}", ""]
        kind = " (warning)" if about.severity != "error" else ""
        lines += [f"### {code}: {about.title}{kind}", "", about.explanation, ""]
        if about.example:
            lines += ["```yaml", about.example.rstrip("\n"), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


PAGES = {"spec-reference.md": spec_reference, "problems.md": problems_reference}


def write(directory: str) -> None:
    """Write both pages into a directory."""
    for name, make in PAGES.items():
        with open(f"{directory}/{name}", "w", encoding="utf-8") as file:
            file.write(make())


if __name__ == "__main__":
    write(sys.argv[1] if len(sys.argv) > 1 else "docs")
