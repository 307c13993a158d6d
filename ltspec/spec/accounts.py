"""The accounts of this host that a spec may name: by name, or by number where no name is so."""

import grp
import pwd


def user(name: str) -> pwd.struct_passwd:
    """The entry of a user, `backup` or `1001`. Raises KeyError where the host has none."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return pwd.getpwuid(_number(name))


def group(name: str) -> grp.struct_group:
    """The entry of a group, `backup` or `1001`. Raises KeyError where the host has none."""
    try:
        return grp.getgrnam(name)
    except KeyError:
        return grp.getgrgid(_number(name))


def _number(name: str) -> int:
    if not (name.isascii() and name.isdigit() and len(name) <= 10):
        raise KeyError(name)
    return int(name)
