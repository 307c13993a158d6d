"""The configuration: where it is looked for, whose it may be, its problems with their places."""

import os
from typing import Any

import pytest

from ltspec import config
from ltspec.errors import CannotDo, InvalidSpec, NotFound


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_without_a_file_all_is_default(guarded_machine):
    assert config.load() == config.Config()


def test_a_whole_configuration(tmp_path):
    loaded = config.load(write(tmp_path / "c.yml", """
manager: billmgr
idle_exit: 1m
queues: { backups: { slots: 3, on_reboot: hold, paused: true }, plain: {} }
retention: { age: 90d, count: 5, size: 2GiB }
pidfile_name: binary.id
defaults: { nice: 10 }
"""))
    assert (loaded.manager, loaded.manager_named, loaded.idle_exit) == ("billmgr", True, 60)
    assert loaded.queues["backups"] == config.QueueSettings(3, "hold", True)
    assert loaded.queues["plain"] == config.QueueSettings()
    assert loaded.retention == config.Retention(90 * 86400, 5, 2 * 2**30)


def test_the_named_file_wins_then_the_variable_then_the_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "ltspec.yml", "manager: here")
    assert config.load().manager == "here"
    monkeypatch.setenv("LTSPEC_CONFIG", write(tmp_path / "b.yml", "manager: variable"))
    assert config.load().manager == "variable"
    assert config.load_given().manager == "here"
    assert config.load(write(tmp_path / "c.yml", "manager: named")).manager == "named"


def test_a_named_file_that_is_missing_is_told(tmp_path):
    with pytest.raises(NotFound, match="no configuration"):
        config.load(str(tmp_path / "x.yml"))


@pytest.mark.parametrize("mode", [0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(tmp_path, mode):
    path = write(tmp_path / "c.yml", "manager: x", mode)
    with pytest.raises(CannotDo, match="chmod go-w"):
        config.load(path)
    assert config.load_given(path).manager == "x"


def test_a_directory_that_others_may_write_is_refused(tmp_path):
    place = tmp_path / "open"
    place.mkdir()
    path = write(place / "c.yml", "manager: x")
    place.chmod(0o777)
    with pytest.raises(CannotDo, match="others may write"):
        config.load(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path):
    path = write(tmp_path / "c.yml", "manager: x")
    os.chown(path, 4242, 4242)
    with pytest.raises(CannotDo, match="belongs to user 4242"):
        config.load(path)


@pytest.mark.parametrize(("text", "code", "place"), [
    ("mangr: x", "LT201", (1, 1)), ("queues: { a: { slots: -1 } }", "LT206", (1, 23)),
    ("run_dir: var", "LT205", (1, 10)), ("a: b: c", "LT104", (1, 5)),
    ("manager: a\n---\nmanager: b", "LT701", (3, 1)), ("defaults: { nicee: 1 }", "LT201", (1, 13)),
])
def test_a_wrong_configuration_has_its_problems_with_places(tmp_path, text, code, place):
    with pytest.raises(InvalidSpec) as caught:
        config.load(write(tmp_path / "c.yml", text))
    problem: Any
    (problem,) = caught.value.problems
    assert (problem.code, (problem.line, problem.column)) == (code, place)
