"""Many tasks taken in at once: new ones among others, and names that are taken."""

import functools

import pytest

from ltspec import clock
from ltspec.catalogue import enqueue, open_store
from ltspec.decision import decide
from ltspec.errors import Refused
from ltspec.model import TaskSpec


@pytest.fixture
def store(tmp_path):
    opened = open_store(str(tmp_path / "catalogue.db"), create=True)
    yield opened
    opened.close()


def spec(name, text="h", **fields):
    return TaskSpec(id=name, queue="q", command=("true",), hash=text, **fields)


def take(store, *specs):
    decision = functools.partial(decide, force=False, now=1.0)
    with store.write():
        changes = enqueue.enqueue(store, specs, decision, now=clock.now(), boot_id="b")
    return [(change.verdict.action, change.key) for change in changes]


def places(store):
    return store.execute("SELECT id, position FROM task ORDER BY position").fetchall()


def test_new_ones_go_behind_and_the_others_keep_their_place(store):
    assert take(store, spec("a"), spec("b"), spec("c")) == [
        ("created", 1), ("created", 2), ("created", 3)]
    assert take(store, spec("d"), spec("b", "other"), spec("a"), spec("e")) == [
        ("created", 4), ("changed", 2), ("unchanged", 1), ("created", 5)]
    assert places(store) == [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)]


@pytest.mark.parametrize("before", [[], [spec("new")]])
@pytest.mark.parametrize(
    ("there", "late"),
    [(spec("x", pidfile_name="b"), spec("b")), (spec("b"), spec("x", pidfile_name="b"))],
)
def test_pidfile_of_another_name_is_nobody_elses(store, before, there, late):
    take(store, there)
    with pytest.raises(Refused, match=f"name b is already that of task {there.id}"):
        take(store, *before, late)
    assert places(store) == [(there.id, 1)]


def test_task_that_takes_its_own_name_back_is_refused_where_it_is_taken(store):
    take(store, spec("x", pidfile_name="old"), spec("y", pidfile_name="x"))
    with pytest.raises(Refused, match="name x is already that of task y"):
        take(store, spec("x", "other"))
