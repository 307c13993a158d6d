"""The compiled checks and jsonschema must agree, and the published schemas must be good ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ltspec.spec import findings, reading, schema

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
JOBS = Path(__file__).resolve().parents[2] / "jobs"


def documents():
    """Every document of every example that is YAML."""
    for path in sorted((*EXAMPLES.glob("*/*.yml"), *JOBS.glob("*.yml"))):
        source, problems = reading.decode(path.name, "", path.read_bytes())
        if not problems:
            for document in reading.parse(source)[0]:
                yield pytest.param(document.value, id=f"{path.stem}-{document.number}")


@pytest.mark.parametrize("loose", [True, False])
@pytest.mark.parametrize("value", list(documents()))
def test_the_fast_check_and_jsonschema_agree_on_an_example(value, loose):
    fast = schema.accepts("job", loose=loose)(value)
    assert fast == (findings.findings(value, "job", loose=loose) == [])


FIELDS = list(schema.fields())
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 5000), st.floats(-5, 5), st.sampled_from(
        ["", "a", "a b", "a\n", "{{ x }}", "5s", "5m2h", "64MiB", "TERM", "0027", "always", "ok",
         "a/b", "-x", "auto", "gnu", "2026-12-24T03:00:00Z", "../x", "x" * 201]))
KEYS = st.sampled_from(["id", "queue", "want", "file", "text", "command", "limit", "delay", "on",
                        "open_files", "memory", "max_size", "on_full", "success", "A", "A-B",
                        "LTSPEC_X", "--x", "x"])
VALUES = st.recursive(SCALARS, lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)), max_leaves=6)
TASKS = st.dictionaries(st.sampled_from([*FIELDS, "unknown"]), VALUES, max_size=5)
DOCUMENTS = st.one_of(TASKS, VALUES, st.fixed_dictionaries(
    {"tasks": st.one_of(VALUES, st.lists(TASKS, max_size=2))},
    optional={"defaults": TASKS, "inputs": VALUES, "vars": VALUES, "ltspec": SCALARS}))


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS, st.booleans())
def test_the_fast_check_and_jsonschema_agree_on_anything(value, loose):
    fast = schema.accepts("job", loose=loose)(value)
    assert fast == (findings.findings(value, "job", loose=loose) == [])


CONFIGS = st.dictionaries(
    st.sampled_from([*schema.published("config")["properties"], "x"]), st.one_of(VALUES, TASKS))


@settings(max_examples=100, deadline=None)
@given(CONFIGS)
def test_the_fast_check_and_jsonschema_agree_on_configurations(value):
    assert schema.accepts("config")(value) == (findings.findings(value, "config") == [])


@pytest.mark.parametrize("name", ["job", "config"])
def test_the_published_schema_is_valid_and_describes_every_key(name):
    text = schema.standalone(name)
    Draft202012Validator.check_schema(json.loads(text))
    waiting: list[Any] = [schema.published(name)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            for key, inner in part.get("properties", {}).items():
                _, target = schema.resolve(name, inner["$ref"]) if "$ref" in inner else ("", inner)
                assert "description" in {**target, **inner}, key
            if isinstance(part.get("properties"), dict):
                assert part.get("additionalProperties") is False
            waiting += part.values()


def test_the_schemas_examples_fit_their_own_keys():
    for root in ("job", "config"):
        for name, part in schema.published(root)["properties"].items():
            pointer = f"#/properties/{name}"
            for example in part.get("examples", []):
                assert schema.accepts(root, pointer)(example), (name, example)


@pytest.mark.parametrize("name", FIELDS)
def test_the_examples_and_default_of_a_field_fit_it(name):
    pointer = f"#/$defs/task/properties/{name}"
    part = schema.published("job")["$defs"]["task"]["properties"][name]
    values = [*part.get("examples", []), *([part["default"]] if "default" in part else [])]
    assert values
    for value in values:
        assert schema.accepts("job", pointer)(value), value
