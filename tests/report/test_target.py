"""Which mgrctl is the panel's, and that it is never our own."""

import os
import sys

import pytest

from ltspec.errors import Refused
from ltspec.spec import panel as target


def own_mgrctl(folder):
    """What pip writes for the entry point."""
    path = folder / "mgrctl"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nfrom ltspec.mgrctl.command import main\n"
        "sys.exit(main())\n"
    )
    path.chmod(0o755)
    return path


def test_off_reports_nowhere():
    assert target.resolve("off") == ""


def test_auto_without_a_panel_reports_nowhere(tmp_path):
    assert target.resolve("auto", (str(tmp_path / "mgrctl"),)) == ""


def test_auto_takes_the_first_of_the_two_places(panel, tmp_path):
    places = (str(tmp_path / "none"), str(panel.mgrctl))
    assert target.resolve("auto", places) == str(panel.mgrctl)


def test_auto_passes_over_our_own_command_at_the_panels_place(panel, tmp_path):
    ours = tmp_path / "mgr5"
    ours.mkdir()
    (ours / "mgrctl").symlink_to(own_mgrctl(tmp_path))
    assert target.resolve("auto", (str(ours / "mgrctl"), str(panel.mgrctl))) == str(panel.mgrctl)


def test_auto_passes_over_what_cannot_be_run(panel):
    panel.mgrctl.chmod(0o644)
    assert target.resolve("auto", (str(panel.mgrctl),)) == ""


def test_path_of_the_panel_is_taken_also_before_it_exists(tmp_path):
    assert target.resolve(f"{tmp_path}/later/mgrctl") == f"{tmp_path}/later/mgrctl"


def test_path_of_our_own_command_is_refused(tmp_path):
    with pytest.raises(Refused, match="leads back to ltspec's own"):
        target.resolve(str(own_mgrctl(tmp_path)))


def test_symbolic_link_to_our_own_command_is_refused(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(own_mgrctl(tmp_path))
    with pytest.raises(Refused, match="leads back"):
        target.resolve(str(link))


def test_script_that_calls_our_own_command_is_refused(tmp_path):
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec {os.path.dirname(sys.executable)}/mgrctl "$@"\n')
    with pytest.raises(Refused, match="leads back"):
        target.resolve(str(wrapper))


def test_relative_path_is_refused():
    with pytest.raises(Refused, match="absolute"):
        target.resolve("sbin/mgrctl")


def test_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert target.resolve(f"{tmp_path}/fifo") == f"{tmp_path}/fifo"
