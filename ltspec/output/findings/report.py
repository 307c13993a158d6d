"""What a reporter gets: the problems, and what was looked at."""

import os
from typing import NamedTuple

from ltspec.spec.problems import ERROR, Problem


class Report(NamedTuple):
    """The result of one validation. `files` are named as in the problems; `unknown` counts tasks
    that cannot be resolved without values, `unchecked` says what was not checked of them: with
    `strict` these are among the problems instead.
    """

    problems: tuple[Problem, ...]
    files: tuple[str, ...]
    tasks: int
    skipped: int = 0
    unknown: int = 0
    strict: bool = False
    unchecked: tuple[Problem, ...] = ()

    @property
    def errors(self) -> int:
        """How many errors."""
        return sum(problem.severity == ERROR for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many warnings."""
        return len(self.problems) - self.errors

    @property
    def failed(self) -> bool:
        """True where the answer is no: with `strict` a warning is enough."""
        return self.errors > 0 or (self.strict and bool(self.problems))

    def level(self, problem: Problem) -> str:
        """`error` or `warning`; with `strict` every problem is an error."""
        return ERROR if self.strict else problem.severity

    def from_top(self, top: str) -> "Report":
        """The same with the paths of files below the directory `top` (absolute) as from there."""
        names = {name: _from_top(name, top)
                 for name in {*self.files, *(problem.file for problem in self.problems)}}
        return self._replace(
            files=tuple(names[name] for name in self.files),
            problems=tuple(problem._replace(file=names[problem.file]) for problem in self.problems),
        )


def _from_top(name: str, top: str) -> str:
    if not name or name == "<stdin>":
        return name
    path = os.path.normpath(os.path.join(os.getcwd(), name))
    below = path.removeprefix(top.rstrip("/") + "/")
    return name if below == path else below


def full_message(problem: Problem) -> str:
    """Message and hint, for formats that know only one text."""
    return f"{problem.message}: {problem.hint}" if problem.hint else problem.message
