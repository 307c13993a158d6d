"""The journal of starts: what it holds, and what is made of it after a power cut."""

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from ltspec import alive, clock
from ltspec.catalogue.lifecycle import Start
from ltspec.paths import Places
from ltspec.supervisor import journal
from ltspec.supervisor.journal import SLOTS, Entry, Journal


@pytest.fixture
def places(tmp_path):
    return Places(str(tmp_path), str(tmp_path / "run"))


@pytest.fixture
def written(places):
    """A journal that has been begun."""
    one = Journal(places, "this-boot")
    one.restart("state-1")
    return one


def start(key, number=1, **fields):
    return Start(key, number, f"token{key}", "this-boot", 1.5, 2.25, "hash", **fields)


def write(one, begun):
    one.about(begun)
    one.sync()


def contents(places):
    found = journal.read(places)
    assert found is not None
    return found


def entries(places):
    return contents(places).entries


def test_each_write_tells_how_far_the_start_came(places, written):
    write(written, start(7))
    assert entries(places) == [Entry(start(7), begun=False)]
    written.begun()
    assert entries(places) == [Entry(start(7), begun=True)]
    written.started(4711, 99)
    assert entries(places) == [Entry(start(7, pid=4711, ticks=99), begun=True)]
    assert contents(places)[:2] == ("state-1", "this-boot")


def test_slots_follow_each_other_until_it_is_full_and_begins_anew(places, written):
    for key in range(SLOTS):
        assert written.is_full == (key == SLOTS - 1)     # room for one start that is only announced
        write(written, start(key))
        written.started(key + 1, 1)
    assert written.is_full
    assert [entry.start.key for entry in entries(places)] == list(range(SLOTS))
    assert written.names(SLOTS - 1)
    size = os.path.getsize(places.journal)
    written.restart("state-2")
    assert (entries(places), written.is_full, written.names(0)) == ([], False, False)
    assert os.path.getsize(places.journal) == size


def test_attempt_that_came_to_nothing_leaves_the_one_before_it_alone(places, written):
    write(written, start(7, 1))
    write(written, start(7, 2))
    written.void(7, 2)
    written.void(7, 3)                       # never written
    assert [entry.start.number for entry in entries(places)] == [1]
    assert written.names(7)


@pytest.mark.parametrize("text", [None, "", "-\n", "garbage\n" * 99, "a b c d\n"])
def test_file_that_was_never_begun_says_nothing(places, text):
    if text is not None:
        Path(places.journal).parent.mkdir()
        with open(places.journal, "w", encoding="ascii") as file:
            file.write(text)
    assert journal.read(places) is None


def test_slot_of_somebody_else_is_left_out(places, written):
    write(written, start(7))
    file = Path(places.journal)
    lines = file.read_text().splitlines(keepends=True)
    lines[2] = "state-1 b c d e f g h".ljust(255) + "\n"
    file.write_text("".join(lines))
    assert [entry.start.key for entry in entries(places)] == [7]


def test_one_that_cannot_begin_anew_takes_no_more_starts(places, written):
    """They would count from a state that the catalogue has left."""
    write(written, start(7))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            written.restart("state-2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert written.is_full
    written.restart("state-2")
    assert not written.is_full


def test_start_time_by_the_clock_is_that_of_the_kernel():
    for _ in range(50):
        before = clock.now().boot
        pid = os.posix_spawn("/bin/true", ["true"], {})
        after = clock.now().boot
        try:
            assert alive.ticks_between(pid, before, after) == alive.start_ticks(pid)
            # A tick has passed between the two readings: the kernel is asked.
            assert alive.ticks_between(pid, before - 1, after) == alive.start_ticks(pid)
        finally:
            os.waitpid(pid, 0)


def test_half_of_a_file_is_made_whole(places):
    Path(places.journal).parent.mkdir()
    with open(places.journal, "w", encoding="ascii") as file:
        file.write("state-1 this-boot\n")
    Journal(places, "this-boot")
    assert contents(places)[0] == "state-1"          # what stands in it is replayed first
    Journal(places, "this-boot").restart("state-2")
    assert contents(places) == ("state-2", "this-boot", [])
    assert os.path.getsize(places.journal) == 256 * (SLOTS + 1)


def test_nothing_is_written_over_the_header(written):
    with pytest.raises(RuntimeError, match="no start was announced"):
        written.begun()


# -- what the next supervisor makes of it -----------------------------------------------------


@pytest.mark.parametrize(("boot", "progress", "outcome"), [
    ("this", "about", "succeeded"),          # certainly not begun: its turn comes
    ("another", "about", "lost"),            # synced in time; what came after is not on the disk
    ("this", "begun", "lost"),
    ("another", "begun", "lost"),
    ("this", "gone", "lost"),
    ("foreign", "begun", "succeeded"),       # of a catalogue that is not here any more
])
def test_start_that_only_the_journal_has(engine, boot, progress, outcome):
    engine.queue("q", slots=0)
    engine.submit(engine.sh("q/a", "echo a >> ran"), engine.sh("q/b", "echo b >> ran"))
    engine.kill_both()
    state = "foreign" if boot == "foreign" else engine.store.setting(journal.SETTING)
    ours = clock.boot_id() if boot == "this" else "another-boot"
    one = Journal(engine.places, ours)
    one.restart(state)
    key = engine.task("q/a").key
    write(one, Start(key, 1, "token", ours, 1.5, 2.25, "h1"))
    if progress != "about":
        one.begun()
    if progress == "gone":
        one.started(2**22, 1)                # more than a pid can be
    with engine.store.write():
        engine.store.execute("UPDATE queue SET slots = 1 WHERE name = 'q'")
    a, b = engine.ended("q/a", "q/b")
    assert (a.outcome, b.outcome) == (outcome, "succeeded")
    assert engine.lines("ran") == (["a", "b"] if outcome == "succeeded" else ["b"])
    assert engine.attempts("q/a")[0][2] == outcome


def test_start_that_a_power_cut_took_from_the_catalogue_does_not_happen_twice(engine, host):
    gate = host.fifo()
    engine.queue("q", slots=0)
    engine.submit(engine.sh("q/a", f"echo a >> ran; read x < {gate}"), engine.spec("q/b"))
    before = engine.path("before.db")
    with contextlib.closing(sqlite3.connect(engine.places.catalogue)) as live, \
            contextlib.closing(sqlite3.connect(before)) as copy:
        live.backup(copy)
        copy.execute("UPDATE queue SET slots = 1 WHERE name = 'q'")
        copy.commit()
    engine.queue("q", slots=1)
    pid = engine.running("q/a").pid
    engine.kill_both()
    os.kill(pid, signal.SIGKILL)
    engine.close()
    for suffix in ("", "-wal", "-shm"):
        Path(engine.places.catalogue + suffix).unlink(missing_ok=True)
    shutil.copy(before, engine.places.catalogue)
    file = Path(engine.places.journal)
    file.write_text(file.read_text().replace(clock.boot_id(), "0" * 36))
    a, b = engine.ended("q/a", "q/b")
    assert (a.outcome, b.outcome, engine.lines("ran")) == ("lost", "succeeded", ["a"])


def test_ends_are_on_the_disk_and_the_journal_is_empty_a_second_later(engine):
    engine.run(engine.spec("a"))
    state = engine.store.setting(journal.SETTING)
    engine.until(lambda: engine.store.setting(journal.SETTING) != state, what="it is synced")
    engine.until(lambda: entries(engine.places) == [])


def test_journal_is_emptied_before_a_row_that_it_names_is_removed(engine):
    """Its key may be given to the next task, whose start would then seem to have happened."""
    engine.submit(engine.sh("a", "read x < /dev/null; sleep 60"))
    engine.running("a")
    key = engine.task("a").key
    assert [entry.start.key for entry in entries(engine.places)] == [key]
    engine.ask("a", "remove")
    engine.until(lambda: engine.find("a") is None, what="it is removed")
    assert entries(engine.places) == []
    engine.run(engine.spec("b"))
    assert engine.task("b").key == key
