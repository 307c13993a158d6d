"""A quiet time of the catalogue: over with everybody's writing but the turns' own."""

import pytest

from ltspec.catalogue import open_store
from ltspec.supervisor.quiet import Quiet


@pytest.fixture
def store(tmp_path):
    opened = open_store(str(tmp_path / "catalogue.db"), create=True)
    yield opened
    opened.close()


@pytest.fixture
def quiet(store):
    one = Quiet(store)
    turn(store, one)
    return one


def turn(store, quiet, name="turn"):
    """A turn's transaction, which writes; the number of the quiet time in it."""
    with store.write():
        quiet.look()
        store.set_setting(name, str(quiet.number) + name)
        return quiet.number


def test_turns_of_our_own_do_not_end_it(store, quiet):
    first = turn(store, quiet)
    with store.write():
        quiet.own()
    assert [turn(store, quiet), turn(store, quiet, "other")] == [first, first]


def test_another_transaction_of_our_own_ends_it_once(store, quiet):
    first = turn(store, quiet)
    with store.write():
        store.set_setting("word", "of a task")
    assert [turn(store, quiet), turn(store, quiet)] == [first + 1, first + 1]


def test_one_between_two_flushes_is_not_forgotten(store, quiet):
    first = turn(store, quiet)
    with store.write():
        store.set_setting("word", "of a task")
    with store.write():
        quiet.own()
    assert turn(store, quiet) > first


def test_commit_of_another_connection_ends_it(tmp_path, store, quiet):
    first = turn(store, quiet)
    other = open_store(str(tmp_path / "catalogue.db"))
    with other.write():
        other.set_setting("asked", "something")
    assert [turn(store, quiet), turn(store, quiet)] == [first + 1, first + 1]
    other.setting("asked")                       # reading changes nothing
    assert turn(store, quiet) == first + 1
    other.close()


def test_transaction_that_was_rolled_back_counts(store, quiet):
    first = turn(store, quiet)
    with pytest.raises(ZeroDivisionError), store.write():
        raise ZeroDivisionError
    assert turn(store, quiet) > first
