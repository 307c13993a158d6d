"""How soon a dead supervisor is followed: at once, or later and later."""

import pytest

from ltspec.supervisor import brake


@pytest.mark.parametrize(("lives", "pause"), [(0, 0), (1, 0.1), (2, 0.2), (5, 1.6), (9, 25.6),
                                              (10, 30), (99, 30)])
def test_fruitless_lives_in_a_row_make_the_pause_longer(lives, pause):
    assert brake.seconds(lives) == pytest.approx(pause)


def test_one_that_says_it_cannot_start_is_tried_more_often():
    assert [brake.seconds(lives, waiting=True) for lives in (1, 99)] == [0.1, 3.0]


@pytest.mark.parametrize(("worked", "lived", "fruitful"), [
    (False, 0.3, False), (True, 0.3, True), (False, 60.0, True),
])
def test_life_is_of_use_where_it_ended_a_task_or_was_long(worked, lived, fruitful):
    assert brake.was_fruitful(worked=worked, lived=lived) is fruitful


def test_supervisor_that_has_ended_a_task_is_followed_at_once_however_often(engine):
    for number in range(3):
        engine.run(engine.spec(f"t{number}"))
        engine.kill_supervisor()
    engine.connection.fileno()
    assert engine.log.count("starts in 0 s") == 3
