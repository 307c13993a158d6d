"""The private directory at the end of a task's PATH: `mgrctl` and `ltspec`, nothing else.

Made anew at each start of a supervisor, so an upgrade or a moved installation cannot leave it
pointing at something old. It stands in the run directory because tasks of other users must reach
it; what it holds is readable by all and writable by us alone.
"""

import os
import shlex
import sys

from ltspec.paths import Places

_PROGRAMS = {"mgrctl": "ltspec.mgrctl.command", "ltspec": "ltspec.cli"}


def install(places: Places) -> None:
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
