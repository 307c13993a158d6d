"""Reads mgrctl's command line. Pure: strings in, a Request out.

    mgrctl [-m MGR] [-o FORMAT] FUNC [PARAM=VALUE ...] [-e 'PARAM=$ENV' ...]

Three ways of writing a parameter, and how far each is interpreted:

- an element of its own, `PARAM=VALUE`: the value is everything after the first `=`, raw (C31). It
  is cut at an `&` only where a parameter follows that this function knows and that no other
  element gives (C32, C34), so an error text with `&` in it stays whole;
- joined to the function, `FUNC&PARAM=VALUE&…`, or `func=FUNC&…`: a query string, cut at every `&`
  and url-decoded (C33);
- `-e 'PARAM=$ENV'`: the value of that environment variable, raw, empty where it is not set (C35).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

USAGE = """\
usage: mgrctl [-m MANAGER] [-o FORMAT] FUNCTION [PARAM=VALUE ...] [-e 'PARAM=$ENV' ...]
       mgrctl [-m MANAGER] -i      list the functions
       mgrctl [-m MANAGER] -R      does nothing here: there is no panel to restart
formats: text (default), xml, devel, json, sjson, bjson; -4 answers as generation 4 did
functions: longtask, longtask.add, longtask.delete, longtask.edit, longtask.filter,
           longtask.finish, mgr, exit
"""

FORMATS = ("text", "xml", "devel", "json", "sjson", "bjson")

# What an `&` inside a plain element may begin. longtask.add has none: its values are commands.
_JOINED = {
    "longtask": ("filter", "state", "queue"),
    "longtask.filter": ("filter", "state", "queue"),
    "longtask.edit": ("elid",),
    "longtask.delete": ("elid",),
    "longtask.finish": ("elid", "status", "errmsg"),
}
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class BadUsage(Exception):
    """The line is not of mgrctl's form; the message says what is wrong, "" is just usage."""


class Request(NamedTuple):
    """One call. `manager` is None without -m; `parameters` in the order in which they came."""

    function: str = ""
    manager: str | None = None
    format: str = "text"
    generation4: bool = False
    parameters: tuple[tuple[str, str], ...] = ()
    undecoded: tuple[tuple[str, str], ...] = ()     # the same where they were url-decoded

    def value(self, name: str) -> str:
        """The parameter's value, the last one where it is given twice, "" where it is not."""
        return next((value for key, value in reversed(self.parameters) if key == name), "")

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of a repeated parameter."""
        return tuple(value for key, value in self.parameters if key == name)

    def readings(self, name: str) -> tuple[str, ...]:
        """The value, and what stood there before url-decoding: a path may hold `+` or `%`."""
        raw = [value for key, value in self.undecoded if key == name]
        return tuple(dict.fromkeys([self.value(name), *raw]))


class _Line:
    """The line while it is read: options, the function, and its parameters of three kinds."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.options: dict[str, str] = {}
        self.function = ""
        self.plain: list[str] = []
        self.exact: list[tuple[str, str]] = []       # joined or from -e: not cut again
        self.undecoded: list[tuple[str, str]] = []

    def option(self, letter: str, value: str) -> None:
        if letter != "e":
            self.options[letter] = value
            return
        name, _, source = value.partition("=")
        if source.startswith("$"):
            variable = source[1:].removeprefix("{").removesuffix("}")
            source = self.environ.get(variable, "")
        self.exact.append((name, source))

    def element(self, text: str) -> None:
        first, *rest = text.split("&")
        if not self.function and "=" not in first:
            self.function = first
            self._query(rest)
        elif not self.function and any(piece.startswith("func=") for piece in (first, *rest)):
            self._query([first, *rest])
        elif text:
            self.plain.append(text)

    def _query(self, pieces: list[str]) -> None:
        for piece in pieces:
            name, _, value = piece.partition("=")
            if name == "func":
                self.function = url_decode(value)
            elif name:
                self.exact.append((name, url_decode(value)))
                self.undecoded.append((name, value))

    def request(self) -> Request:
        parameters = [*self.exact, *self._plain_parameters()]
        output = next((value for name, value in reversed(parameters) if name == "out"), None)
        asked = "-i" if "i" in self.options else "-R" if "R" in self.options else ""
        return Request(
            self.function or asked,
            self.options.get("m"),
            output or self.options.get("o", "text"),
            "4" in self.options,
            tuple(parameters),
            tuple(self.undecoded),
        )

    def _plain_parameters(self) -> Iterator[tuple[str, str]]:
        given = {text.partition("=")[0] for text in self.plain} | {name for name, _ in self.exact}
        names = [name for name in _JOINED.get(self.function, ()) if name not in given]
        cut = re.compile("&(?=(?:" + "|".join(names) + ")=)") if names else None
        for text in self.plain:
            for piece in cut.split(text) if cut else [text]:
                name, _, value = piece.partition("=")
                yield name, value


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Request:
    """Read the arguments after the program's name. Raises BadUsage."""
    line = _Line(environ)
    rest = iter(arguments)
    for text in rest:
        letter = text[1:2]
        if not text.startswith("-"):
            line.element(text)
        elif letter in ("m", "o", "e"):
            value = text[2:] or next(rest, None)
            if value is None:
                raise BadUsage(f"-{letter} wants a value")
            line.option(letter, value)
        elif text in ("-i", "-R", "-4"):
            line.option(letter, "")
        else:
            raise BadUsage("" if text in ("-h", "--help") else f"unknown option: {text}")
    request = line.request()
    if not request.function:
        raise BadUsage("no function is named" if arguments else "")
    return request


def url_decode(text: str) -> str:
    """`+` is a blank and `%XX` a byte, as in a query string; what is no escape stays."""
    data = text.replace("+", " ").encode("utf-8", "surrogateescape")
    data = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), data)
    return data.decode("utf-8", "surrogateescape")
