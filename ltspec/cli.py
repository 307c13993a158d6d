"""The `ltspec` command: finds the command's name, loads that one module, runs it, and is the one
place where an exception becomes a message and an exit code (DESIGN 9).

`--version` is answered before anything is loaded; every command pays only for what it imports.
"""

import os
import sys

from ltspec import __version__

INTERRUPTED = 130
BUG = 3
CANNOT = 5
READER_LEFT = 141      # as a shell reports a program that SIGPIPE ended


def entry() -> "NoReturn":
    """What the installed program runs: `main`, and then out at once.

    Taking the interpreter down piece by piece would be a tenth of a short command's time. Nothing
    needs it: files are closed where they are written, and the catalogue bears any kill.
    """
    code = main()
    _flush_stdout()
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(code)


def main(argv: list[str] | None = None) -> int:
    """Run `ltspec ARGV…` and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] in (["--version"], ["-V"]):
        return _guarded(_print_version, words)
    return _guarded(_dispatch, words)


def _print_version(_words: list[str]) -> int:
    from ltspec.output import plain

    plain.line(f"ltspec {__version__}")
    return 0


def _dispatch(words: list[str]) -> int:
    from ltspec.commands import table
    from ltspec.errors import UsageError
    from ltspec.output import plain

    config, words = _global_options(words)
    if not words or words[0] in ("-h", "--help", "help"):
        if words[1:]:
            return _dispatch([words[1], "--help"])
        plain.line(table.overview())
        return 0 if words else UsageError.exit_code
    name, *rest = words
    module = table.load(name)
    parser = table.parser_of(name)
    rest, command_line = _split_command_line(rest, takes=getattr(module, "TAKES_COMMAND", False))
    args = parser.parse_args(rest)
    if command_line is not None:
        args.command_line = [*args.command_line, *(["--"] * bool(args.command_line)), *command_line]
    args.config = getattr(args, "config", None) or config
    return int(module.run(args))


def _global_options(words: list[str]) -> tuple[str | None, list[str]]:
    """The options before the command's name, and the rest."""
    from ltspec.errors import UsageError

    config = None
    while words and words[0].startswith("-") and words[0] not in ("-h", "--help"):
        word, *words = words
        if word.startswith("--config="):
            config = word.partition("=")[2]
        elif word == "--config" and words:
            config, *words = words
        elif word == "--config":
            raise UsageError("--config needs a file\nsee `ltspec --help`")
        else:
            raise UsageError(f"there is no option {word!r} before the command\nsee `ltspec --help`")
    return config, words


def _split_command_line(
    words: list[str], *, takes: bool
) -> tuple[list[str], list[str] | None]:
    """What stands after the first `--` belongs to the program that `run` starts."""
    if not takes or "--" not in words:
        return words, None
    place = words.index("--")
    return words[:place], words[place + 1 :]


def _guarded(run: "Runner", words: list[str]) -> int:
    """Run it; turn whatever leaves it into a message on stderr and an exit code."""
    from ltspec.errors import LtspecError

    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = run(words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except LtspecError as error:
        return _tell(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as error:      # argparse's --help
        return error.code if isinstance(error.code, int) else 0
    except OSError as error:
        return _tell_system(error)
    except BaseException as error:  # noqa: BLE001 - the last handler; it reports and gives 3
        return _report_bug(error, words)
    return code


def _tell(error: Exception) -> int:
    from ltspec.errors import InvalidSpec
    from ltspec.output import plain

    _flush_stdout()
    if isinstance(error, InvalidSpec) and error.problems:
        from ltspec.output.findings import print_problems

        print_problems(error.problems)
    plain.error(str(error))
    return int(error.exit_code)  # type: ignore[attr-defined]  # an LtspecError, loaded late


def _flush_stdout() -> None:
    """What was said so far comes before the error; a reader that left is no second error."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _reader_left()


def _reader_left() -> int:
    """Quiet end where the reader of our output has gone (`ltspec list | head -1`)."""
    if sys.stdout is not None:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
    return READER_LEFT


def _tell_system(error: OSError) -> int:
    """The system refused something that no room has translated: still a message, not a trace."""
    from ltspec.output import plain

    if error.errno is None or error.strerror is None:
        return _report_bug(error, sys.argv[1:])
    _reader_left()
    place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    plain.error(f"the system does not allow it: {place}{error.strerror}")
    return CANNOT


def _report_bug(error: BaseException, words: list[str]) -> int:
    from ltspec.output import bug, plain

    path = bug.write_report(error, words)
    plain.error(
        f"this is a bug of ltspec: {type(error).__name__}: {error}\n"
        f"the report is in {path}; look it over and send it to the authors"
    )
    return BUG


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Runner = Callable[[list[str]], int]
