"""The exceptions that mean "cannot go on", and the exit code of each.

Problems in a spec and the ends of tasks are data, not exceptions. The tree is flat:

    LtspecError            1   the answer is no
      NotFound             1   no such task, queue or file
      Refused              1   allowed in general, not in this state
      InvalidSpec          1   one or more problems, already collected
      UsageError           2   the command line is wrong
      CannotDo             5   permission, disk full, no supervisor, time limit
        CatalogueError     5   the database cannot be opened, read or written
        SupervisorError    5   the supervisor cannot be started or reached

A message says what is wrong, where, and what to do next, in at most three lines.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LtspecError(Exception):
    """Base of all; `exit_code` is what the command ends with (DESIGN 9)."""

    exit_code = 1


class NotFound(LtspecError):
    """No such task, queue or file."""


class Refused(LtspecError):
    """The request is understood and not allowed in the present state."""


class InvalidSpec(LtspecError):
    """The specs have problems; `problems` holds them, in order of their places."""

    def __init__(self, message: str, problems: "tuple[Any, ...]" = ()) -> None:
        super().__init__(message)
        self.problems = problems


class UsageError(LtspecError):
    """The command line is wrong."""

    exit_code = 2


class CannotDo(LtspecError):
    """The machine does not allow it: permission, disk, no supervisor, a time limit."""

    exit_code = 5


class CatalogueError(CannotDo):
    """The catalogue cannot be opened, read or written; `transient` where waiting may heal it.

    `kind` is SQLite's word for the reason (FULL, BUSY, CORRUPT, NOTADB, …), or OLDER or NEWER.
    """

    transient = False
    kind = ""


class SupervisorError(CannotDo):
    """The supervisor cannot be started or reached."""
