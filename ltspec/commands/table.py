"""The table of commands: known by name and summary without loading any of them.

A command's module has `add_arguments(parser)`, `run(args) -> int`, EXAMPLES (pairs of a command
line and what it does, shown by --help and run by the tests) and may have DESCRIPTION.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from ltspec.errors import UsageError

if TYPE_CHECKING:
    from ltspec.commands.arguments import Parser

COMMANDS = {
    "validate": "check spec files, for a person or for CI; needs nothing of this host",
    "render": "show what would be run: argv, environment, PID-file",
    "plan": "show what apply would do, and where each task would stand",
    "apply": "make the tasks of spec files happen",
    "run": "run one command as a task, without a file",
    "list": "show what runs, waits, and has ended",
    "show": "show one task with everything that is known of it",
    "why": "say why a task waits, or how it ended, and what to do",
    "logs": "print what tasks wrote; -f follows",
    "wait": "wait until tasks have ended",
    "stop": "end tasks, or take them out of their queue",
    "retry": "run ended tasks again",
    "remove": "forget ended tasks, with their logs and PID-files",
    "queue": "look at queues and change them while they run",
    "watch": "apply spec files as they are dropped into a directory",
    "progress": "say from inside a task how far it is",
    "prune": "take old history away",
    "report": "look at the reports to the panel, send them again",
    "doctor": "find out what is wrong with this installation, and repair it",
    "init": "write a starting point: jobs, configuration, CI, editor settings",
    "schema": "print the JSON Schema of spec files or of the configuration",
    "wake": "start the supervisor if work waits",
    "supervise": "be the supervisor, in the foreground, for a service manager",
    "completion": "print the completion script of a shell",
    "man": "print the manual pages",
}

# What such a command is called elsewhere.
MEANT = {
    "check": "validate", "lint": "validate", "test": "validate", "template": "render",
    "submit": "apply", "ps": "list", "status": "list", "inspect": "show", "tail": "logs",
    "cancel": "stop", "kill": "stop", "restart": "retry", "rm": "remove", "delete": "remove",
}


def load(name: str) -> ModuleType:
    """The module of a command. Raises UsageError, with the closest names, where there is none."""
    if name not in COMMANDS:
        raise UsageError(_unknown(name))
    return importlib.import_module(f"ltspec.commands.{name.replace('-', '_')}")


def _unknown(name: str) -> str:
    import difflib

    meant = MEANT.get(name)
    close = [meant] if meant else difflib.get_close_matches(name, COMMANDS, n=2, cutoff=0.5)
    hint = " or ".join(f"`ltspec {one}`" for one in close)
    advice = f"did you mean {hint}?" if hint else "`ltspec --help` lists the commands"
    return f"there is no command {name!r}\n{advice}"


def parser_of(name: str) -> "Parser":
    """The parser of one command, with its examples."""
    from ltspec.commands.arguments import Parser

    module = load(name)
    parser = Parser(
        prog=f"ltspec {name}",
        description=getattr(module, "DESCRIPTION", "") or _sentence(COMMANDS[name]),
        examples=module.EXAMPLES,
    )
    module.add_arguments(parser)
    return parser


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."


def overview() -> str:
    """What `ltspec --help` says."""
    width = max(map(len, COMMANDS))
    table = "\n".join(f"  {name.ljust(width)}  {what}" for name, what in COMMANDS.items())
    return f"""usage: ltspec [--config FILE] COMMAND …

Runs long background tasks from declarative spec files: queued, supervised, reported.

{table}

options:
  --config FILE  the configuration to use (default: $LTSPEC_CONFIG, ./ltspec.yml,
                 the user's, the system's)
  --version      print the version
  -h, --help     print this; `ltspec COMMAND --help` has the options and examples

A task is named QUEUE/ID, by its ID where only one task has it, or by its PID-file's path.

start here:
  ltspec init                  write a jobs/ directory to begin with
  ltspec apply jobs/ --wait    make them happen and watch
  ltspec list                  see what runs, waits, and has ended

exit codes: 0 done; 1 the answer is no; 2 usage; 3 a bug; 5 could not do it; 130 interrupted"""


def whole_parser() -> "Parser":
    """All commands in one parser, for the completion of shells."""
    from ltspec.commands.arguments import Parser

    whole = Parser(prog="ltspec")
    whole.add_argument("--version", action="store_true", help="print the version")
    parts = whole.add_subparsers(dest="command")
    for name, summary in COMMANDS.items():
        load(name).add_arguments(parts.add_parser(name, help=summary))
    return whole
