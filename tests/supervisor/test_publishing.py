"""What was followed up is committed once, and never wipes out what has happened since."""

import pytest

from ltspec import clock
from ltspec.catalogue import changes, enqueue, lifecycle, open_store
from ltspec.decision import Verdict
from ltspec.model import TaskSpec
from ltspec.paths import Places
from ltspec.pidfile import RunDirectory
from ltspec.supervisor.publishing import Publisher
from ltspec.supervisor.running import Table


@pytest.fixture
def store(tmp_path):
    opened = open_store(str(tmp_path / "catalogue.db"), create=True)
    with opened.write():
        enqueue.enqueue(
            opened, [TaskSpec(id="a", queue="q", command=("true",), hash="h")],
            lambda _existing, _spec: Verdict("created"), now=clock.now(), boot_id="b",
        )
    yield opened
    opened.close()


@pytest.fixture
def publisher(tmp_path, store):
    places = Places(str(tmp_path), str(tmp_path / "run"))
    one = Publisher(store, RunDirectory(places.run_dir, shared=True), places, Table(), print)
    one.read()
    one.publish(lambda: False)
    assert one.followed == {1: (1, 1)}
    return one


def row(store):
    return store.row("SELECT made, dirty FROM task")


def current(store, publisher):
    task = lifecycle.next_ready(store, "ltspec", "q")
    return publisher.current(task)


@pytest.mark.parametrize("times", [1, 2])
def test_start_that_fails_stays_to_be_followed_up(store, publisher, times):
    with store.write():
        assert current(store, publisher).made == 1
        for _ in range(times):
            changes.republish(store, 1)
        publisher.flush()
    assert row(store) == (1, times)


def test_transaction_that_came_to_nothing_loses_nothing(store, publisher):
    with pytest.raises(ZeroDivisionError), store.write():
        _ = current(store, publisher).made / 0
    publisher.rolled_back()
    with store.write():
        publisher.flush()
    publisher.flushed()
    assert (row(store), publisher.followed) == ((1, 0), {})


def test_row_that_has_changed_since_is_believed(store, publisher):
    with store.write():
        store.execute("UPDATE task SET made = 0, dirty = dirty + 1")
    with store.write():
        assert current(store, publisher).made == 0
        publisher.flush()
    assert row(store) == (0, 2)


def add(store, publisher, *names):
    """More tasks, which the publisher has read."""
    with store.write():
        publisher.flush()
        enqueue.enqueue(
            store, [TaskSpec(id=name, queue="q", command=("true",), hash="h") for name in names],
            lambda _existing, _spec: Verdict("created"), now=clock.now(), boot_id="b",
        )
    publisher.flushed()
    publisher.read()


def published(tmp_path):
    return sorted(path.name for path in (tmp_path / "run/ltspec/q").iterdir())


def test_it_writes_one_and_gives_way_to_who_calls(tmp_path, store, publisher):
    add(store, publisher, "b", "c", "d")
    publisher.publish(lambda: True)
    assert published(tmp_path) == ["a", "b"]
    publisher.publish(lambda: False)
    assert published(tmp_path) == ["a", "b", "c", "d"]


def test_what_was_read_of_a_task_that_was_started_since_is_not_written(tmp_path, store, publisher):
    add(store, publisher, "b", "c")
    publisher.overtaken(2)
    publisher.publish(lambda: False)
    assert published(tmp_path) == ["a", "c"]


def test_key_of_a_removed_task_is_not_taken_for_it(store, publisher):
    with store.write():
        enqueue.request(store, 1, "remove")
        store.execute("UPDATE task SET status = 'OK'")
    with store.write():
        publisher.obey(changes.requests(store, 9), clock.now())
    assert (publisher.followed, store.row("SELECT count(*) FROM task")) == ({}, (0,))
