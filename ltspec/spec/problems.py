"""Problems are data: what is wrong, where, and the way out. Nothing is printed or raised here.

A problem's code is a promise (docs/problems.md, `codes.py`): it keeps its meaning for ever. The
severity is `error` (nothing of these files is applied) or `warning` (`--strict` makes it an error).
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

ERROR = "error"
WARNING = "warning"

# A part of a place in a document: a key or an index.
Path = tuple[str | int, ...]

_IGNORE = re.compile(r"#\s*ltspec:\s*ignore\s+(LT\d+(?:[\s,]+LT\d+)*)")

_ABOUT_IGNORE = re.compile(r"#\s*ltspec\b\W*ignor")
_ELSEWHERE = re.compile("LT508|LT509|LT6")   # of apply, or of what validate could not check


class Problem(NamedTuple):
    """One finding. Lines and columns count from 1; 0 where the place is a whole file or option."""

    code: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""               # tasks[2].env.LANG
    hint: str = ""
    severity: str = ERROR
    source_line: str = ""

    @property
    def place(self) -> tuple[str, int, int, str, str]:
        """What problems are sorted by."""
        return (self.file, self.line, self.column, self.code, self.message)


def dotted(path: Path) -> str:
    """A place in a document as people write it: `tasks[2].env.LANG`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or ""."""
    import difflib

    candidates = sorted(set(known))
    folded = {candidate.lower().replace("-", "_"): candidate for candidate in candidates}
    if (same := folded.get(word.lower().replace("-", "_"))) is not None:
        return same
    found = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint naming the closest known word, or ""."""
    found = closest(word, known)
    return f"did you mean `{found}`?" if found else ""


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sorted by place, each once."""
    return tuple(sorted(set(problems), key=lambda problem: problem.place))


def merge_turns(problems: Sequence[Problem]) -> list[Problem]:
    """The problems of a loop's turns: of those with one place and code the first, and a count."""
    first: dict[tuple[str, int, int, str, str], int] = {}
    counts: dict[int, int] = {}
    kept: list[Problem] = []
    for problem in problems:
        key = (problem.file, problem.line, problem.column, problem.code, problem.path)
        if key in first:
            counts[first[key]] = counts.get(first[key], 0) + 1
            continue
        first[key] = len(kept)
        kept.append(problem)
    for index, more in counts.items():
        turns = f"{more} more turn{'s' if more > 1 else ''} of the loop"
        kept[index] = kept[index]._replace(message=f"{kept[index].message} (and in {turns})")
    return kept


def ignored_codes(line: str) -> frozenset[str]:
    """The codes that a `# ltspec: ignore LT503` comment on this line silences."""
    found = _IGNORE.search(line)
    return frozenset(re.findall(r"LT\d+", found[1])) if found else frozenset()


def idle_ignores(problems: Iterable[Problem], file: str, lines: Sequence[str]) -> list[Problem]:
    """Comments that silence none of a file's problems, or that are not understood. What is checked
    only at apply, or not checked here, may still give what a comment names: it is left alone.
    """
    given: dict[int, set[str]] = {}
    for problem in problems:
        given.setdefault(problem.line, set()).add(problem.code)
    found = []
    for number, line in enumerate(lines, 1):
        if not (mark := _ABOUT_IGNORE.search(line)):
            continue
        codes = ignored_codes(line)
        if not codes:
            message, hint = "this comment is not understood", "write `# ltspec: ignore LT502`"
        elif any(_ELSEWHERE.match(code) for code in codes) or given.get(number, set()) & codes:
            continue
        else:
            message = f"nothing on this line gives {' or '.join(sorted(codes))}"
            hint = "take the comment away, or put it on the line of the warning"
        found.append(Problem("LT511", message, file, number, mark.start() + 1, hint=hint,
                             severity=WARNING))
    return found


def silence(problems: Iterable[Problem], lines: Sequence[str]) -> list[Problem]:
    """Without the warnings that their line's comment silences. An error cannot be silenced: what
    it is about could not be applied.
    """
    kept = []
    for problem in problems:
        line = lines[problem.line - 1] if 0 < problem.line <= len(lines) else ""
        if problem.code not in ignored_codes(line):
            kept.append(problem)
        elif problem.severity == ERROR:
            hint = f"{problem.hint}; " if problem.hint else ""
            kept.append(problem._replace(hint=f"{hint}only a warning can be ignored"))
    return kept
