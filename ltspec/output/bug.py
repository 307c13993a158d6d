"""Writes the report of a bug of ltspec to a file, for the user to read and to send.

Holds the versions, the command line and the trace. Never values of variables; of `-e k=v` and
`--env k=v` only the names.
"""

import os
import sys
import tempfile
import time
import traceback

from ltspec import __version__
from ltspec.errors import LtspecError

_HIDE_AFTER = ("-e", "--extra-var", "--env")


def write_report(error: BaseException, words: list[str]) -> str:
    """Write it under the state directory, or where that cannot be, the temporary one."""
    trace = "".join(traceback.format_exception(error))
    text = (
        f"ltspec {__version__}, Python {sys.version.split()[0]}, {' '.join(os.uname()[::2])}\n"
        f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n"
        f"command line: {hidden_values(words)!r}\n\n{trace}"
    )
    name = f"bug-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}.txt"
    for directory in _directories():
        path = os.path.join(directory, name)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(path, flags, 0o600), "w", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return path
    sys.stderr.write(text)
    return "the lines above (no directory takes a file)"


def _directories() -> list[str]:
    from ltspec.paths import places

    try:
        state = [places().state_dir]
    except LtspecError:
        state = []
    return [*state, tempfile.gettempdir()]


def hidden_values(words: list[str]) -> list[str]:
    """The words without what `-e`, `--env` set and without the program's own arguments."""
    shown: list[str] = []
    for place, word in enumerate(words):
        if word == "--":
            return [*shown, "--", "…"]
        after = words[place - 1] if place else ""
        name, sign, _ = word.partition("=")
        hide = sign and (after in _HIDE_AFTER or name in _HIDE_AFTER)
        shown.append(f"{name}=…" if hide else word)
    return shown
