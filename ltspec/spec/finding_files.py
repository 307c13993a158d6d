"""Which files are meant by the paths of a command line: files, directories, globs, `-`."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ltspec.spec.problems import Problem, did_you_mean
from ltspec.spec.reading import MAX_BYTES

ENDINGS = (".yml", ".yaml")
STDIN = "-"
_MARKS = "*?["


class Found(NamedTuple):
    """One file: how it is called in problems, its absolute path ("" for standard input), and the
    directories whose files are given with it: the one that was named, and its own.
    """

    name: str
    path: str
    trees: tuple[str, ...] = ()


def find(paths: Sequence[str], root: str | None) -> tuple[list[Found], list[Problem]]:
    """The files, each once: directories are searched recursively, in order of names. With `root`
    (`--untrusted`) a file that is not within it is a problem.
    """
    files: dict[str, Found] = {}
    problems: list[Problem] = []
    for given in paths:
        try:
            names = list(_names(given, root))
        except OSError as error:
            problems.append(Problem("LT101", f"cannot read it: {_reason(error)}", given))
            continue
        if not names:
            problems.append(_nothing(given))
        for name in names:
            path = "" if name == STDIN else os.path.realpath(name)
            if root is not None and path and not within(path, root):
                problems.append(Problem("LT101", f"is not within {os.path.realpath(root)}", name,
                                        hint="--untrusted reads nothing outside that directory; "
                                             "--root names another one"))
            else:
                files.setdefault(path, Found("<stdin>" if name == STDIN else name, path,
                                             _trees(given, path)))
    return list(files.values()), problems


def _trees(given: str, path: str) -> tuple[str, ...]:
    if not path:
        return ()
    return (os.path.dirname(path), *([os.path.realpath(given)] if os.path.isdir(given) else []))


def within(path: str, root: str) -> bool:
    """True where an absolute path without symbolic links lies in the directory `root`."""
    return os.path.commonpath([path, os.path.realpath(root)]) == os.path.realpath(root)


def _names(given: str, root: str | None) -> Iterator[str]:
    if given == STDIN:
        yield given
    elif os.path.isdir(given):
        found = _in_directory(given, root)
        yield from sorted(found, key=lambda name: name.split("/"))
    elif os.path.lexists(given):
        yield given
    elif any(mark in given for mark in _MARKS):
        yield from sorted(_matches(f"{given}/*" if given.endswith("**") else given, root))


def _in_directory(directory: str, root: str | None) -> Iterator[str]:
    for place in _directories(directory, root):
        if _outside(place, root):
            yield place
            continue
        for entry in os.scandir(place):
            if entry.name.endswith(ENDINGS) and not entry.name.startswith("."):
                path = entry.path.removeprefix("./")
                if not entry.is_dir():
                    yield path


def _matches(pattern: str, root: str | None) -> Iterator[str]:
    """The files of a glob. Not `glob`'s own `**`: it goes round in circles of links."""
    import glob

    before, mark, after = pattern.partition("**/")
    if not mark:
        yield from (name for name in glob.glob(pattern) if not os.path.isdir(name))
        return
    for top in sorted(glob.glob(before)) if before else ["."]:
        for place in _directories(top, root):
            if _outside(place, root):
                yield place
            else:
                here = os.path.normpath(place)
                prefix = "" if here == "." else f"{glob.escape(here)}/"
                yield from _matches(prefix + after, root)


def _directories(top: str, root: str | None) -> Iterator[str]:
    """A directory and those below it, each once. Links to directories are followed last, so that
    what can be reached without one is called by its own name; what leads out of `root` is named,
    not searched.
    """
    waiting, links, seen = [top], list[str](), set[str]()
    while waiting or links:
        place = (waiting or links).pop(0)
        here = os.path.realpath(place)
        if here in seen:
            continue
        seen.add(here)
        yield place
        if _outside(place, root):
            continue
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            if not entry.name.startswith(".") and entry.is_dir():
                (links if entry.is_symlink() else waiting).append(entry.path.removeprefix("./"))


def _outside(path: str, root: str | None) -> bool:
    return root is not None and not within(os.path.realpath(path), root)


def _nothing(given: str) -> Problem:
    if os.path.isdir(given):
        return Problem("LT112", "no spec in this directory", given,
                       hint="specs end in .yml or .yaml")
    if any(mark in given for mark in _MARKS):
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
