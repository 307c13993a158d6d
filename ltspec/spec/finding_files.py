"""Which files are meant by the paths of a command line: files, directories, globs, `-`."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ltspec.spec.problems import Problem, did_you_mean
from ltspec.spec.reading import MAX_BYTES

ENDINGS = (".yml", ".yaml")
STDIN = "-"


class Found(NamedTuple):
    """One file: how it is called in problems, and its absolute path ("" for standard input)."""

    name: str
    path: str


def find(paths: Sequence[str], root: str | None) -> tuple[list[Found], list[Problem]]:
    """The files, each once: directories are searched recursively, in order of names. With `root`
    (`--untrusted`) a file that is not within it is a problem.
    """
    files: dict[str, Found] = {}
    problems: list[Problem] = []
    for given in paths:
        try:
            names = list(_names(given))
        except OSError as error:
            problems.append(Problem("LT101", f"cannot read it: {_reason(error)}", given))
            continue
        if not names:
            problems.append(_nothing(given))
        for name in names:
            path = "" if name == STDIN else os.path.realpath(name)
            if root is not None and path and not _within(path, root):
                problems.append(Problem("LT101", f"is not within {root}", name,
                                        hint="--untrusted reads nothing outside"))
            else:
                files.setdefault(path, Found("<stdin>" if name == STDIN else name, path))
    return list(files.values()), problems


def _within(path: str, root: str) -> bool:
    return os.path.commonpath([path, os.path.realpath(root)]) == os.path.realpath(root)


def _names(given: str) -> Iterator[str]:
    if given == STDIN or not os.path.lexists(given):
        if given == STDIN:
            yield given
        elif any(mark in given for mark in "*?["):
            import glob

            yield from (name for name in sorted(glob.glob(given, recursive=True))
                        if not os.path.isdir(name))
    elif os.path.isdir(given):
        yield from _in_directory(given)
    else:
        yield given


def _in_directory(directory: str) -> Iterator[str]:
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        path = entry.path.removeprefix("./")
        if entry.is_dir(follow_symlinks=False):
            yield from _in_directory(path)
        elif entry.name.endswith(ENDINGS):
            yield path


def _nothing(given: str) -> Problem:
    if os.path.isdir(given):
        return Problem("LT112", "no spec in this directory", given,
                       hint="specs end in .yml or .yaml")
    if any(mark in given for mark in "*?["):
        return Problem("LT112", "no file matches", given)
    directory, name = os.path.split(given)
    try:
        hint = did_you_mean(name, os.listdir(directory or "."))
    except OSError:
        hint = f"there is no directory {directory} either"
    return Problem("LT101", "no such file", given, hint=hint)


def read(found: Found) -> tuple[bytes, list[Problem]]:
    """The file's bytes, not more than are allowed; pipes and devices are refused."""
    try:
        if not found.path:
            return sys.stdin.buffer.read(MAX_BYTES + 1), []
        with open(os.open(found.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not os.path.isfile(found.path):
                return b"", [Problem("LT101", "is not a file", found.name)]
            return file.read(MAX_BYTES + 1), []
    except OSError as error:
        return b"", [Problem("LT101", f"cannot read it: {_reason(error)}", found.name)]


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
