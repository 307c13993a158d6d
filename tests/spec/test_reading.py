"""From bytes to values: places, limits, and what is refused."""
# ruff: noqa: E501 - the tables of cases are read row by row

import pytest

from ltspec.spec import reading


def read(data: bytes | str):
    raw = data.encode() if isinstance(data, str) else data
    source, problems = reading.decode("f.yml", "", raw)
    documents, more = ([], []) if problems else reading.parse(source)
    return documents, [*problems, *more]


def test_a_problem_finds_the_place_of_a_path():
    (document,), _ = read("a:\n  - b: 1\n    c: {d: 2}\n")
    problem = document.problem("LT201", "x", ("a", 0, "c", "d"), key=True)
    assert (problem.line, problem.column, problem.path) == (3, 9, "a[0].c.d")


def test_a_path_that_was_not_written_gives_the_nearest_place():
    (document,), _ = read("a: {b: 1}\n")
    assert document.problem("LT201", "x", ("a", "zz", 5)).column == 4


def test_a_value_from_a_merge_key_has_the_place_where_it_was_written():
    (document,), _ = read("a: &a {b: 1}\nc:\n  <<: *a\n")
    assert document.problem("LT201", "x", ("c", "b")).line == 1


def test_a_needle_in_a_block_text_is_found_on_its_line():
    (document,), _ = read("a: |\n  one\n  two {{ x }}\n")
    problem = document.problem("LT302", "x", ("a",), needle="{{ x")
    assert (problem.line, problem.column) == (3, 7)


def test_columns_count_characters_not_bytes():
    _, (problem,) = read("ä: {ö: 1, ö: 2}\n")
    assert problem.column == 11


def test_merge_keys_own_keys_win_and_the_first_merged_one():
    (document,), problems = read("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\n")
    assert problems == []
    assert document.value["c"] == {"x": 3, "y": 1, "z": 2}


def test_keys_are_text_as_written():
    (document,), _ = read("{on: 1, 5: 2, 1.10: 3, null: 4, true: 5}")
    assert list(document.value) == ["on", "5", "1.10", "null", "true"]


def test_documents_that_are_empty_do_not_count():
    documents, problems = read("---\n---\na: 1\n---\n~\n...\n---\nb: 2\n")
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]
    assert [document.number for document in documents] == [0, 1]
    assert problems == []


def test_an_alias_that_is_used_often_is_allowed():
    documents, problems = read("a: &a [" + "x," * 100 + "]\nb: [" + "*a," * 900 + "]\n")
    assert problems == []
    assert len(documents[0].value["b"]) == 900


@pytest.mark.parametrize(("data", "code"), [
    (b"x" * (reading.MAX_BYTES + 1), "LT103"),
    (b"[" + b"x," * (reading.MAX_NODES + 1) + b"]", "LT103"),
    (b"[" * 200_000, "LT105"),
    (b"- " * 200_000, "LT105"),
    (b"? " * 200_000, "LT105"),
    (b"{a: " * 200_000, "LT105"),
    (b"a: &a [*a]\n", "LT106"),
    (b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10 if n else [b"x"]))
              for n in range(40)), "LT106"),
])
def test_what_would_hurt_is_refused(data, code):
    _, problems = read(data)
    assert code in {problem.code for problem in problems}, problems


def test_every_tag_of_others_is_refused():
    _, problems = read('{a: !!python/object/apply:os.system ["true"], b: !x 1, c: !!binary aGk=, d: !!set {a}}')
    assert [problem.code for problem in problems] == ["LT108"] * 4


def test_the_tags_of_yaml_work():
    (document,), problems = read('{a: !!str 5, b: !!int 5, c: !!float 5, d: !!bool true, e: !!null ""}')
    assert problems == []
    assert document.value == {"a": "5", "b": 5, "c": 5, "d": True, "e": None}
