"""The functions of templates that reach out of the spec: `env('X')` and `file('path')`.

They are real where the spec is applied. `validate` depends only on the files given (DESIGN 6): it
never calls env(), and file() reads for it what lies in the directories of the specs.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ltspec.spec.finding_files import within
from ltspec.spec.templates import NotKnownError, TemplateError

MAX_FILE = 1024 * 1024
NAMES = ("env", "file")
_NOTHING: Any = object()


def functions(directory: str, environment: Mapping[str, str]) -> dict[str, Callable[..., Any]]:
    """Both functions; `directory` is where relative paths begin."""

    def env(name: str, default: Any = _NOTHING) -> Any:
        value = environment.get(name, default)
        if value is _NOTHING:
            raise TemplateError("LT315", f"the environment has no `{name}`",
                                f"set it, or give a default: env('{name}', '…')", str(name))
        return value

    def file(path: str) -> str:
        return _text(os.path.join(directory, str(path)), str(path))

    return {"env": env, "file": file}


def functions_of_files(directory: str, trees: Sequence[str],
                       root: str | None) -> dict[str, Callable[..., Any]]:
    """What `validate` has of them: a file() that reads within one of the `trees` (absolute), and
    with `root` within it too. Any other file, and one that is not there, is not known: the host may
    have it.
    """
    bounds = [root] if root is not None else []

    def file(path: str) -> str:
        full = os.path.realpath(os.path.join(directory, str(path)))
        given = any(within(full, tree) for tree in trees) and all(
            within(full, bound) for bound in bounds)
        if not given or not os.path.exists(full):
            raise NotKnownError("LT312", f"{full} is not among the files given")
        return _text(full, str(path))

    return {"file": file}


def _text(full: str, written: str) -> str:
    try:
        with open(os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise TemplateError("LT312", f"{full} is not a file", "", written)
            data = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise TemplateError("LT312", f"cannot read {full}: {error.strerror}",
                            "a relative path begins at the spec's directory", written) from error
    if len(data) > MAX_FILE:
        raise TemplateError("LT312", f"{full} is larger than 1 MiB", "", written)
    try:
        return data.decode().rstrip("\n")
    except UnicodeDecodeError as error:
        raise TemplateError("LT312", f"{full} is not UTF-8 text", "", written) from error
