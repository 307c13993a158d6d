"""Which task is next: slots, positions, priorities, common tasks, pauses (DESIGN 4, C16, C17)."""

from typing import Any

import pytest


def note(engine: Any, reference: str, **fields: Any) -> Any:
    """A task that appends its id to the file `order`."""
    return engine.sh(reference, f"echo {reference.rpartition('/')[2]} >> order", **fields)


def test_queue_with_one_slot_runs_in_order_of_acceptance(engine):
    ids = [f"t{number}" for number in range(12)]
    engine.submit(*(note(engine, f"q/{name}") for name in ids))
    engine.ended(*(f"q/{name}" for name in ids))
    assert engine.lines("order") == ids


def test_queue_with_one_slot_never_runs_two_at_once(engine):
    text = "mkdir busy || echo two >> overlap; echo x >> ran; rmdir busy"
    engine.submit(*(engine.sh(f"q/t{number}", text) for number in range(10)))
    engine.ended(*(f"q/t{number}" for number in range(10)))
    assert (engine.lines("overlap"), len(engine.lines("ran"))) == ([], 10)


def test_second_task_shows_que_while_the_first_runs(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"read x < {gate}"), engine.spec("q/b"))
    engine.running("q/a")
    assert (host.status("q/a")[:3], host.status("q/b")) == ("RUN", "QUE")
    host.release(gate)
    assert [task.status for task in engine.ended("q/a", "q/b")] == ["OK", "OK"]


def test_failed_task_does_not_block_its_queue(engine):
    engine.submit(engine.sh("q/a", "exit 3"), engine.spec("q/b", "/no/such"), engine.spec("q/c"))
    ended = engine.ended("q/a", "q/b", "q/c")
    assert [task.status for task in ended] == ["ERR", "ERR", "OK"]


def test_other_queues_and_common_tasks_are_not_held_up(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/a", f"read x < {gate}"), engine.spec("other/b"), engine.spec("c"))
    engine.ended("other/b", "c")
    assert engine.task("q/a").status == "RUN"
    host.release(gate)
    engine.ended("q/a")


def test_slots_bound_how_many_run_at_once(engine, host):
    engine.queue("q", slots=3)
    gates = [host.fifo(f"gate{number}") for number in range(5)]
    engine.submit(
        *(engine.sh(f"q/t{number}", f"read x < {gate}") for number, gate in enumerate(gates))
    )
    for number in range(3):
        engine.running(f"q/t{number}")
    assert [engine.task(f"q/t{number}").status for number in (3, 4)] == ["QUE", "QUE"]
    for gate in gates:
        host.release(gate)
    engine.ended(*(f"q/t{number}" for number in range(5)))


def test_more_slots_start_waiting_tasks_at_once(engine, host):
    gates = [host.fifo(f"gate{number}") for number in range(2)]
    engine.submit(
        *(engine.sh(f"q/t{number}", f"read x < {gate}") for number, gate in enumerate(gates))
    )
    engine.running("q/t0")
    engine.queue("q", slots=2)
    engine.running("q/t1")
    for gate in gates:
        host.release(gate)
    engine.ended("q/t0", "q/t1")


def test_higher_priority_goes_first_and_equal_ones_keep_their_order(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/first", f"read x < {gate}"))
    engine.running("q/first")
    engine.submit(
        note(engine, "q/low", priority=-1), note(engine, "q/a"), note(engine, "q/b"),
        note(engine, "q/high", priority=5),
    )
    host.release(gate)
    engine.ended("q/low")
    assert engine.lines("order") == ["high", "a", "b", "low"]


def test_common_tasks_start_at_once_all_together(engine, host):
    gates = [host.fifo(f"gate{number}") for number in range(20)]
    engine.submit(
        *(engine.sh(f"t{number}", f"read x < {gate}") for number, gate in enumerate(gates))
    )
    for number in range(20):
        engine.running(f"t{number}")
    for gate in gates:
        host.release(gate)
    engine.ended(*(f"t{number}" for number in range(20)))


def test_max_running_bounds_common_tasks_and_queues_alike(engine, host):
    with engine.store.write():
        engine.store.set_setting("max_running", "2")
    gates = {name: host.fifo(f"gate-{name[-1]}") for name in ("a", "b", "q/c", "q2/d")}
    engine.submit(*(engine.sh(name, f"read x < {gate}") for name, gate in gates.items()))
    while gates:
        running = [name for name in gates if engine.task(name).pid is not None]
        if len(running) < min(2, len(gates)):
            engine.connection.wait_event(0.05)
            continue
        assert len(running) <= 2
        host.release(gates.pop(running[0]))
        engine.ended(running[0])


@pytest.mark.parametrize("setting", ["paused", "slots"])
def test_paused_queue_or_one_without_slots_starts_nothing(engine, setting):
    engine.queue("q", slots=1 if setting == "paused" else 0)
    value = 1 if setting == "paused" else 0
    with engine.store.write():
        engine.store.execute(f"UPDATE queue SET {setting} = {value} WHERE name = 'q'")  # noqa: S608 - one of two words
    engine.submit(engine.spec("q/a"), engine.spec("other/b"))
    engine.ended("other/b")
    assert engine.task("q/a").status == "QUE"
    with engine.store.write():
        engine.store.execute("UPDATE queue SET paused = 0, slots = 1 WHERE name = 'q'")
    engine.connection.sync(20)
    engine.ended("q/a")


def test_changed_definition_keeps_its_place(engine, host):
    gate = host.fifo()
    engine.submit(engine.sh("q/first", f"read x < {gate}"))
    engine.running("q/first")
    engine.submit(note(engine, "q/a"), note(engine, "q/b"))
    changed = note(engine, "q/a")._replace(hash="h2", parameters=("more",))
    assert engine.submit(changed, force=False) == ["changed"]
    host.release(gate)
    engine.ended("q/a", "q/b")
    assert engine.lines("order") == ["a", "b"]


def test_retried_by_hand_goes_last(engine, host):
    gate = host.fifo()
    engine.run(note(engine, "q/again"))
    engine.submit(engine.sh("q/first", f"read x < {gate}"))
    engine.running("q/first")
    engine.submit(note(engine, "q/a"))
    engine.retry("q/again")
    host.release(gate)
    engine.ended("q/again", "q/a")
    assert engine.lines("order") == ["again", "a", "again"]


def test_replaced_while_running_is_stopped_and_run_anew(engine, host):
    engine.submit(engine.spec("q/a", "/bin/sleep", "60"))
    engine.running("q/a")
    other = engine.sh("q/a", "echo new")._replace(hash="h2", while_active="replace")
    assert engine.submit(other, force=False) == ["replaced"]
    engine.ended("q/a")
    assert engine.output("q/a", 2) == "new\n"
    assert [row[2] for row in engine.attempts("q/a")] == ["stopped", "succeeded"]
