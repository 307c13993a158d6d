"""Which mgrctl a task's end is reported to: the setting `auto`, `off` or a path, made definite.

The installed package has a `mgrctl` of its own. A setting that leads back to it would report to
ourselves, so it is refused; where that cannot be seen (a wrapper of a wrapper), our command knows
by its environment that a report is being sent, and refuses then.
"""

import os
import sys

from ltspec.errors import Refused

PANELS = ("/usr/local/mgr5/sbin/mgrctl", "/usr/local/ispmgr/sbin/mgrctl")
REPORTING = "LTSPEC_REPORTING"     # set in the environment of a mgrctl that is sent a report
_OURS = b"ltspec.mgrctl"           # what every script of ours says that starts our command
_LOOK = 65536                      # bytes of a file that are searched for it


def resolve(setting: str, panels: tuple[str, ...] = PANELS) -> str:
    """The mgrctl to call, absolute, or "" for none.

    `auto` is the first of `panels` that can be run and is not ours. A path need not exist yet: the
    reports wait until it does. Raises Refused for a path that is relative or leads back to us.
    """
    if setting == "off":
        return ""
    if setting == "auto":
        usable = (path for path in panels if os.access(path, os.X_OK) and os.path.isfile(path))
        return next((path for path in usable if not is_ours(path)), "")
    if not setting.startswith("/"):
        raise Refused(f"mgrctl: {setting!r} is neither auto nor off nor an absolute path")
    if is_ours(setting):
        raise Refused(
            f"mgrctl: {setting} leads back to ltspec's own mgrctl\n"
            "reports go to a panel: name the panel's mgrctl, or write `mgrctl: off`"
        )
    return setting


def is_ours(path: str) -> bool:
    """True where running `path` runs our own command: by its real place, or by what it says."""
    real = os.path.realpath(path)
    if real in {os.path.realpath(os.path.join(folder, "mgrctl")) for folder in _own_folders()}:
        return os.path.exists(real)
    if not os.path.isfile(real):
        return False  # not there yet; and reading a FIFO would block
    try:
        with open(real, "rb") as file:
            head = file.read(_LOOK)
    except OSError:
        return False  # not readable: then nothing says that it is ours
    return _OURS in head or _names_ours(head)


def _own_folders() -> set[str]:
    """Where the package's commands are installed: beside the interpreter and the running script."""
    return {os.path.dirname(sys.executable), os.path.dirname(os.path.abspath(sys.argv[0]))}


def _names_ours(head: bytes) -> bool:
    """True for a script that names the absolute path of our command (`exec /venv/bin/mgrctl …`)."""
    if not head.startswith(b"#!"):
        return False
    return any(os.fsencode(os.path.join(folder, "mgrctl")) in head for folder in _own_folders())
