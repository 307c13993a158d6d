"""What stands in the run directory besides PID-files: the mark that it is ours, the second socket,
and the private directory at the end of a task's PATH with `mgrctl` and `ltspec`, nothing else.

Made anew at each start of a supervisor, so an upgrade or a moved installation cannot leave the
programs pointing at something old. They stand here because tasks of other users must reach them;
they are readable by all and writable by us alone.
"""

import contextlib
import os
import shlex
import socket
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


def second_socket(places: Places) -> socket.socket:
    """The socket for tasks of other users, made anew: they try again while nobody listens there."""
    return socket.socket(fileno=listen(f"{places.run_dir}/{pidfile.FINISH_SOCKET}", 0o666))


def install_programs(places: Places) -> None:
    """Write both programs; each is replaced as a whole, a running one goes on with its old file."""
    directory = pidfile.own_directory(places.run_dir, os.path.basename(places.tools))
    try:
        os.fchmod(directory, 0o755)          # every task looks for programs here
        for name, module in _PROGRAMS.items():
            _write(directory, name, _text(module))
    finally:
        os.close(directory)


def _text(module: str) -> str:
    code = f"from {module} import entry; entry()"
    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(code)} "$@"\n'


def _write(directory: int, name: str, text: str) -> None:
    temporary = name + ".new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    file = os.open(temporary, flags, 0o700, dir_fd=directory)
    try:
        pidfile.write_all(file, os.fsencode(text))
        os.fchmod(file, 0o755)
    finally:
        os.close(file)
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
