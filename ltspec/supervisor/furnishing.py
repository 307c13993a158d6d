"""What stands in the run directory besides PID-files: the mark that it is ours, the second socket,
and the private directory at the end of a task's PATH with `mgrctl` and `ltspec`, nothing else.

Made anew at each start of a supervisor, so an upgrade or a moved installation cannot leave the
programs pointing at something old. They stand here because tasks of other users must reach them;
they are readable by all and writable by us alone.
"""

import os
import shlex
import socket
import stat
import sys

from ltspec import pidfile
from ltspec.paths import Places, make_private
from ltspec.supervisor.door import listen

_PROGRAMS = {"mgrctl": "ltspec.mgrctl.command", "ltspec": "ltspec.cli"}


def furnish(places: Places) -> bool:
    """Make or check the directory and put everything in its place; True where it is a panel's too.

    Raises CannotDo where it is not ours to use, OSError.
    """
    make_private(places.run_dir, 0o711)
    shared = pidfile.is_shared(places.run_dir)
    install_programs(places)
    return shared


def second_socket(places: Places, handed_down: int | None) -> socket.socket:
    """The socket for tasks of other users: the guardian's, or a new one where its path is gone."""
    path = f"{places.run_dir}/{pidfile.FINISH_SOCKET}"
    if handed_down is not None and _is_socket(path):
        return socket.socket(fileno=handed_down)
    return socket.socket(fileno=listen(path, 0o666))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def install_programs(places: Places) -> None:
    """Write both programs; each is replaced as a whole, a running one goes on with its old file."""
    os.makedirs(places.tools, exist_ok=True)
    os.chmod(places.tools, 0o755)  # noqa: S103 - every task looks for programs here
    for name, module in _PROGRAMS.items():
        _write(os.path.join(places.tools, name), _text(module))


def _text(module: str) -> str:
    code = f"import sys; from {module} import main; sys.exit(main())"
    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(code)} "$@"\n'


def _write(path: str, text: str) -> None:
    temporary = path + ".new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(temporary, flags, 0o700)
    try:
        os.write(file, os.fsencode(text))
        os.fchmod(file, 0o755)
    finally:
        os.close(file)
    os.rename(temporary, path)
