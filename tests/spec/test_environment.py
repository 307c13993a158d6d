"""What a task's environment says of the host: its time zone and its accounts."""

import grp
import os
import pwd

import pytest

from ltspec.spec import accounts, environment


@pytest.mark.parametrize(("link", "zone"), [
    ("share/zoneinfo/Europe/Berlin", "Europe/Berlin"), ("copied", ":{place}"), (None, "UTC"),
])
def test_the_time_zone_is_named_where_the_host_names_it(tmp_path, monkeypatch, link, zone):
    place = tmp_path / "localtime"
    monkeypatch.setattr(environment, "LOCAL_TIME", str(place))
    if link is not None:
        target = tmp_path / link
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        place.symlink_to(target)
    assert environment.time_zone() == zone.format(place=place)


def test_an_account_is_found_by_name_and_by_number():
    me, mine = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
    assert accounts.user(str(me.pw_uid)) == accounts.user(me.pw_name) == me
    assert accounts.group(str(mine.gr_gid)) == accounts.group(mine.gr_name) == mine


@pytest.mark.parametrize("name", ["nobody-here", "4294000000", "99999999999999999999", "-1", "٣"])
def test_an_account_that_the_host_lacks_is_not_found(name):
    for find in (accounts.user, accounts.group):
        with pytest.raises(KeyError):
            find(name)
