"""Whatever is in a file: an answer, with no traceback, within bounds; and rendering is stable."""
# ruff: noqa: E501 - the tables of cases are read row by row

import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ltspec import config, spec
from ltspec.spec import explaining, schema, writing
from ltspec.spec.codes import CODES

VALID = sorted((Path(__file__).resolve().parents[1] / "examples" / "valid").glob("*.yml"))
PIECES = st.lists(st.sampled_from([
    "id: ", "a", "command: ", "tasks:", "\n", "\n  ", "\n- ", "  - ", "{{ x }}", "{% if %}", "{", "}",
    "[", "]", "&a ", "*a", "<<: ", "!!int ", "? ", "| ", "> ", '"', "'", "#", "---\n", "~", "5", ": ",
    ", ", "loop: ", "when: ", "vars: ", "inputs: ", "x", "\t", "\\", "é", "{{ item.a }}", "needs: ",
    "env: ", "parameters: ", "secrets: ", "kill: ", "\0", "\x07", "%", "@"]), max_size=40)
OPTIONS = settings(max_examples=150, deadline=None,
                   suppress_health_check=[HealthCheck.function_scoped_fixture])


# What a task may hold: of each field its own examples, whole or with a piece replaced.
FIELDS = schema.published("job")["$defs"]["task"]["properties"]
ODD = st.sampled_from([
    "", "a b", "{{ x }}", "{{ item }}", "{{ no }}", "{{ 1 / 0 }}", "{{ 1 + }}", "{% if x %}a{% endif %}",
    "{{ [1, 'b'] }}", "{{ none }}", "{{ true }}", "{{ loop.index }}", "echo 'a", "{{ env('A') }}",
    "{{ file('b') }}", "#!/bin/sh\n{{ x }}", "x" * 201, "2026-02-30T03:00:00Z", "tar | gzip", True, None,
    0, -1, 2.5, 10**20, [], {}, ["{{ x }}", 5], {"file": "a"}, {"command": "echo 'a"}, {"id": "{{ x }}"}])


def _replaced(value, path, odd):
    """The value with the part that `path` (of fractions) leads to replaced."""
    if not path or not isinstance(value, (list, dict)) or not value:
        return odd
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[int(path[0] * len(keys))]
    changed = {**value} if isinstance(value, dict) else [*value]
    changed[key] = _replaced(value[key], path[1:], odd)
    return changed


@st.composite
def tasks(draw):
    """A task that is right but for some pieces."""
    task = {"id": draw(st.sampled_from(["a", "t-{{ x }}", "t-{{ item }}"])), "command": "x {{ x }}"}
    for name in draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=5)):
        examples = [*FIELDS[name].get("examples", []), FIELDS[name].get("default", "x")]
        task[name] = draw(st.sampled_from(examples))
        if draw(st.booleans()):
            path = draw(st.lists(st.floats(0, 0.99), max_size=3))
            task[name] = _replaced(task[name], path, draw(ODD))
    return task


@st.composite
def documents(draw):
    """A document of tasks, with variables and defaults that may be wrong too."""
    document = {"vars": {"x": draw(st.one_of(st.just("v"), ODD))}}
    if draw(st.booleans()):
        document["defaults"] = {name: part for name, part in draw(tasks()).items() if name != "id"}
    if draw(st.booleans()):
        document["manager"] = draw(st.one_of(st.just("m"), ODD))
    return {**document, "tasks": draw(st.lists(tasks(), max_size=2))}


def answer(tmp_path, data, *, for_host=False):
    path = tmp_path / "f.yml"
    path.write_bytes(data)
    loaded = spec.load([str(path)], config=config.Config(mgrctl="off"), for_host=for_host)
    assert {problem.code for problem in loaded.problems} <= CODES.keys()
    return loaded


@OPTIONS
@given(document=documents(), for_host=st.booleans())
def test_a_generated_document_gets_an_answer_and_its_tasks_are_explained(tmp_path, document, for_host):
    loaded = answer(tmp_path, json.dumps(document).encode(), for_host=for_host)
    if loaded.valid:
        for turn in loaded.turns:
            assert turn.spec is None or explaining.explain(loaded, turn)


@OPTIONS
@given(data=st.binary(max_size=300))
def test_random_bytes_get_an_answer(tmp_path, data):
    answer(tmp_path, data)


@OPTIONS
@given(pieces=PIECES)
def test_pieces_of_specs_get_an_answer(tmp_path, pieces):
    answer(tmp_path, "".join(pieces).encode())


@OPTIONS
@given(at=st.integers(0, 4000), cut=st.integers(0, 8), put=st.text(max_size=4),
       which=st.integers(0, len(VALID) - 1))
def test_a_damaged_spec_gets_an_answer(tmp_path, at, cut, put, which):
    text = VALID[which].read_text()
    at %= len(text)
    answer(tmp_path, (text[:at] + put + text[at + cut:]).encode("utf-8", "surrogatepass"))


@OPTIONS
@given(words=st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"),
                              max_size=12), min_size=1, max_size=4))
def test_a_rendered_task_written_as_a_spec_is_the_same_task(tmp_path, words):
    from ltspec.model import TaskSpec
    from ltspec.spec.identity import definition_hash

    base = str(tmp_path)
    task = TaskSpec("one", command=("x", *words), cwd=base, base_dir=base, env={"A": words[0]},
                    parameters=tuple(words))
    again = answer(tmp_path, writing.as_yaml([task]).encode())
    assert again.valid
    assert again.tasks[0].hash == definition_hash(task)
    assert again.tasks[0].parameters == task.parameters


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_rendering_and_loading_again_gives_the_same_hashes(path, tmp_path):
    (tmp_path / "answers.txt").write_text("x")
    (tmp_path / "key.txt").write_text("x")
    (tmp_path / "one.yml").write_bytes(path.read_bytes())
    given = {"account": "u1", "size": "3"} if path.stem == "required-input" else {}
    given = given or ({"account": "u1"} if path.stem == "every-field" else {})
    first = spec.load([str(tmp_path / "one.yml")], config=config.Config(mgrctl="off"),
                      for_host=True, extra_vars=given)
    assert first.valid
    (tmp_path / "two.yml").write_text(textwrap.dedent(writing.as_yaml(first.tasks)))
    second = spec.load([str(tmp_path / "two.yml")], config=config.Config(mgrctl="off"),
                       for_host=True)
    assert second.valid
    assert sorted(t.hash for t in first.tasks) == sorted(t.hash for t in second.tasks)
