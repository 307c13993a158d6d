"""Whatever is in a file: an answer, with no traceback, within bounds; and rendering is stable."""
# ruff: noqa: E501 - the tables of cases are read row by row

import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ltspec import config, spec
from ltspec.spec import writing
from ltspec.spec.codes import CODES

VALID = sorted((Path(__file__).resolve().parents[1] / "examples" / "valid").glob("*.yml"))
PIECES = st.lists(st.sampled_from([
    "id: ", "a", "command: ", "tasks:", "\n", "\n  ", "\n- ", "  - ", "{{ x }}", "{% if %}", "{", "}",
    "[", "]", "&a ", "*a", "<<: ", "!!int ", "? ", "| ", "> ", '"', "'", "#", "---\n", "~", "5", ": ",
    ", ", "loop: ", "when: ", "vars: ", "inputs: ", "x", "\t", "\\", "é", "{{ item.a }}", "needs: ",
    "env: ", "parameters: ", "secrets: ", "kill: ", "\0", "\x07", "%", "@"]), max_size=40)
OPTIONS = settings(max_examples=250, deadline=5000,
                   suppress_health_check=[HealthCheck.function_scoped_fixture])


def answer(tmp_path, data):
    path = tmp_path / "f.yml"
    path.write_bytes(data)
    loaded = spec.load([str(path)], config=config.Config(), for_host=False)
    assert {problem.code for problem in loaded.problems} <= CODES.keys()
    return loaded


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
    assert again.problems == ()
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
