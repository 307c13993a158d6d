"""`needs`: released, skipped, and brought back when the needed one ends well after all (C21)."""

import pytest

from ltspec.errors import Refused
from ltspec.model import Need


def need(name, want="ok", queue=None):
    return (Need(name, queue, want),)


def test_needing_task_starts_after_the_needed_one_has_ended_well(engine):
    engine.submit(
        engine.sh("a", "echo a >> order"), engine.sh("q/b", "echo b >> order", needs=need("a"))
    )
    engine.ended("q/b")
    assert engine.lines("order") == ["a", "b"]


@pytest.mark.parametrize(
    ("command", "want", "status"),
    [
        ("/bin/true", "ok", "OK"), ("/bin/true", "any", "OK"), ("/bin/true", "err", "ERR"),
        ("/bin/false", "ok", "ERR"), ("/bin/false", "any", "OK"), ("/bin/false", "err", "OK"),
    ],
)
def test_want_decides_whether_the_needing_task_runs(engine, command, want, status):
    engine.submit(engine.spec("q/a", command), engine.spec("b", needs=need("a", want, "q")))
    ended = engine.ended("b")[0]
    expected = "" if status == "OK" else "skipped: needs q/a"
    assert (ended.status, ended.detail) == (status, expected)


def test_skip_goes_down_the_whole_chain_and_says_whom_it_needs(engine, host):
    engine.submit(
        engine.spec("a", "/bin/false"), engine.spec("b", needs=need("a")),
        engine.spec("c", needs=need("b")), engine.spec("d", needs=need("c", "any")),
    )
    ended = engine.ended("a", "b", "c", "d")
    assert [task.status for task in ended] == ["ERR", "ERR", "ERR", "OK"]
    assert (host.status("b"), host.status("c")) == (
        "ERR skipped: needs a", "ERR skipped: needs b",
    )


def test_skipped_chain_runs_when_the_needed_one_is_retried_well(engine):
    engine.submit(
        engine.sh("a", "test -e healed"), engine.sh("q/b", "echo b >> order", needs=need("a")),
        engine.sh("q/c", "echo c >> order", needs=need("b")),
    )
    engine.ended("a", "q/b", "q/c")
    engine.path("healed").touch()
    engine.retry("a")
    engine.until(lambda: engine.task("q/c").status == "OK")
    assert (engine.lines("order"), engine.task("q/b").status) == (["b", "c"], "OK")


def test_all_of_several_needs_have_to_be_met(engine, host):
    gates = [host.fifo("g0"), host.fifo("g1")]
    engine.submit(
        engine.sh("a", f"read x < {gates[0]}"), engine.sh("b", f"read x < {gates[1]}"),
        engine.spec("c", needs=(Need("a"), Need("b"))),
    )
    host.release(gates[0])
    engine.ended("a")
    assert engine.task("c").status == "QUE"
    host.release(gates[1])
    engine.ended("c")


def test_waiting_for_needs_holds_no_slot(engine, host):
    gate = host.fifo()
    engine.submit(
        engine.sh("a", f"read x < {gate}"), engine.spec("q/b", needs=need("a")),
        engine.spec("q/c"),
    )
    engine.ended("q/c")
    assert engine.task("q/b").status == "QUE"
    host.release(gate)
    engine.ended("q/b")


def test_automatic_retry_of_the_needed_one_does_not_skip(engine):
    from ltspec.model import Retries

    engine.submit(
        engine.sh("a", "test -e tried || { touch tried; exit 1; }", retries=Retries(2, 0.1)),
        engine.spec("b", needs=need("a")),
    )
    assert engine.ended("b")[0].status == "OK"


def test_needs_on_an_ended_task_is_met_at_once(engine):
    engine.run(engine.spec("a"))
    assert engine.run(engine.spec("b", needs=need("a"))).status == "OK"


@pytest.mark.parametrize(
    ("needs", "words"), [(need("nobody"), "neither"), (need("b"), "itself"), (need("c"), "itself")]
)
def test_unknown_need_and_circle_are_refused_and_nothing_is_taken_in(engine, needs, words):
    with pytest.raises(Refused, match=words):
        engine.write(engine.spec("b", needs=needs), engine.spec("c", needs=need("b")))
    assert engine.find("b") is None
