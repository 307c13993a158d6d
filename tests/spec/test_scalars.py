"""Plain scalars are YAML 1.2's; numbers keep their text; durations, sizes and instants."""
# ruff: noqa: E501 - the tables of cases are read row by row

import pytest

from ltspec.spec import scalars


@pytest.mark.parametrize("text", [
    "no", "No", "NO", "yes", "on", "off", "y", "n", "0755", "007", "1_000", "12:30:00", "190:20:30",
    "2026-01-02", "2026-01-02T03:04:05Z", "1.2.3", "0b101", "-", "+", ".", "1e", "0x", "0o8", "=",
    "١٢", "1" * 400,
])
def test_plain_text_stays_text(text):
    assert scalars.plain(text) == text


@pytest.mark.parametrize(("text", "value"), [
    ("null", None), ("~", None), ("", None), ("true", True), ("FALSE", False), ("5", 5), ("-5", -5),
    ("+5", 5), ("0x1F", 31), ("0o17", 15), ("1.10", 1.1), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0),
    ("-0", 0), (".inf", float("inf")),
])
def test_core_scalars_have_their_value(text, value):
    found = scalars.plain(text)
    assert found == value
    assert isinstance(found, type(value))


@pytest.mark.parametrize("text", ["1.10", "+5", "0x1F", "1e3", "5.", "-0", "1.0", "10", "0.1", ".5"])
def test_a_number_keeps_its_text(text):
    assert scalars.as_text(scalars.plain(text)) == text


def test_booleans_as_text_are_those_of_yaml():
    assert [scalars.as_text(True), scalars.as_text(False)] == ["true", "false"]


@pytest.mark.parametrize(("text", "seconds"), [
    ("90s", 90), ("2h30m", 9000), ("1.5h", 5400), ("1w2d", 777600), ("500ms", 0.5), (90, 90),
    ("1m500ms", 60.5),
])
def test_durations(text, seconds):
    assert scalars.duration(text) == seconds
    assert not isinstance(text, str) or scalars.is_duration(text)


@pytest.mark.parametrize("text", ["", "5", "5x", "m5", "30m2h", "5 m", "-5s", "5s5s", "1e3s", "5M"])
def test_what_is_no_duration(text):
    assert not scalars.is_duration(text)


@pytest.mark.parametrize(("text", "count"), [
    (5, 5), ("5B", 5), ("1kB", 1000), ("1KiB", 1024), ("1.5MiB", 1572864), ("2GB", 2 * 10**9),
])
def test_sizes(text, count):
    assert scalars.size(text) == count


def test_an_instant_has_its_zone():
    assert scalars.instant("2026-12-24T03:00:00+01:00") == scalars.instant("2026-12-24T02:00:00Z")


def test_a_day_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="day"):
        scalars.instant("2026-02-30T00:00:00Z")
