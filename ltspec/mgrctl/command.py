"""The `mgrctl` command: reads the line, answers, writes the document, gives the exit code.

An error is part of the answer (`ERROR type(object)` in text with exit code 1, `<error>` with 0 in
the other formats); what is no answer at all, a wrong line or an unusable catalogue, is text on
stderr and an exit code that is not 0 (C28, C38, C40, C44).
"""

import os
import sys
from collections.abc import Sequence

from ltspec.mgrctl.request import FORMATS, USAGE, BadUsage, Request, parse

REPORTING = "LTSPEC_REPORTING"       # report.sender sets it for the mgrctl that it calls
GENERATION = "LTSPEC_MGRCTL_GENERATION"
JSON = ("json", "sjson", "bjson")
CANNOT = 5
READER_LEFT = 141
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from ltspec.mgrctl.answer import Answer
    from ltspec.mgrctl.context import Context


def entry() -> "NoReturn":
    """What the installed program runs: `main`, and then out at once, as `ltspec.cli.entry` does.

    All that is written is flushed where it is written.
    """
    os._exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `mgrctl ARGUMENTS…` and return its exit code."""
    from ltspec.errors import LtspecError

    try:
        request = parse(sys.argv[1:] if arguments is None else arguments, os.environ)
        return _answered(request)
    except BadUsage as error:
        _say(f"mgrctl: {error}\n" * bool(str(error)) + USAGE)
        return 1
    except LtspecError as error:
        _say(f"mgrctl: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        return _reader_left()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _say(f"mgrctl: the system does not allow it: {error}\n")
        return CANNOT


def _answered(request: Request) -> int:
    from ltspec.mgrctl import answer, functions
    from ltspec.mgrctl.context import Context

    if request.function == "-R":
        return 0
    if request.function == "-i":
        _write(functions.index())
        return 0
    context = Context(request)
    try:
        result = _result(context)
        form = request.format if request.format in FORMATS else "text"
        differs = form in JSON or (form != "text" and isinstance(result, answer.Wrong))
        old = differs and _is_generation4(context)
    finally:
        context.close()
    _write(answer.write(result, form, generation4=old))
    if isinstance(result, answer.Wrong) and form == "text" and result.message:
        _say(f"mgrctl: {result.message}\n")
    return answer.exit_code(result, form)


def _result(context: "Context") -> "Answer":
    from ltspec.mgrctl import functions
    from ltspec.mgrctl.answer import Wrong

    if context.request.format not in FORMATS:
        return Wrong("value", "out", f"the formats are {', '.join(FORMATS)}")
    if os.environ.get(REPORTING):
        return Wrong("value", "mgrctl", "a report came back to ltspec: `mgrctl` names no panel's")
    return functions.answer(context)


def _is_generation4(context: "Context") -> bool:
    """The switch of C50: -4, the environment, or the configuration."""
    from ltspec.errors import LtspecError

    said = os.environ.get(GENERATION)
    if context.request.generation4 or said:
        return context.request.generation4 or said == "4"
    try:
        return context.config.generation4
    except LtspecError:
        return False  # what was asked for is done; a broken configuration does not undo it


def _write(text: str) -> None:
    """UTF-8 on stdout whatever the locale is; a byte that was not UTF-8 stays that byte."""
    if sys.stdout is not None:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()


def _say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stderr.buffer.flush()


def _reader_left() -> int:
    """Quiet end where the reader of our output has gone (`mgrctl longtask | head -1`)."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.close(devnull)
    return READER_LEFT
