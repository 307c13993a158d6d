"""What libyaml says of a text that is not YAML, in words that tell the way out."""

import re
from typing import Any

import yaml
from yaml.reader import ReaderError

from ltspec.spec.problems import Problem
from ltspec.spec.reading import Source

# What libyaml says -> what is said instead, and the hint. The first that is contained counts.
_WORDS = (
    ("mapping values are not allowed",
     "a `: ` where no new key can begin",
     "quote a value that holds a colon and a blank; else look at the indentation, and for the "
     "colon of the line above"),
    ("found character that cannot start any token",
     "a character that no value can begin with",
     "use blanks, not tabs, to indent, and quote a value that begins with @, %, ` or a tab"),
    ("found a tab character", "a tab where blanks must indent", "replace the tab by blanks"),
    ("found undefined alias", "an alias without its anchor", "define it before: `&name value`"),
    ("found unknown escape character", "an unknown escape in double quotes",
     "double the backslash, or use single quotes"),
    ("unexpected end of stream", "these quotes are not closed", "close them"),
    ("found duplicate anchor", "this anchor is already there", "give it another name"),
    ("expected ',' or '}'", "`{` is not closed",
     "close it with `}`, or quote a value that begins with {{"),
    ("expected ',' or ']'", "`[` is not closed", "close it with `]`, or quote the value"),
    ("did not find expected '-' indicator", "the list ends here, but the indentation goes on",
     "indent every `-` of a list alike"),
    ("did not find expected key", "no key where one must be",
     "indent the keys of a mapping alike, and close every quote above"),
    ("could not find expected ':'", "a key without its `:`",
     "write `key: value`, with a blank after the colon"),
    ("did not find expected alphabetic or numeric character",
     "`*` and `&` at the beginning of a value stand for an alias and an anchor",
     'quote the value: "*.log"'),
    ("document start", "text after the end of the document",
     "begin another document with `---`"),
    ("exceeded maximum depth", "nested too deep", ""),
    ("exceeded maximum nesting depth", "nested too deep", ""),        # since PyYAML 6.0.4
)


_CONFLICT = re.compile(r"^<{7} ", re.MULTILINE)


def explain(error: yaml.YAMLError, source: Source) -> Problem:
    """The problem that stands for an exception of the parser."""
    if isinstance(error, ReaderError):
        return _unreadable(error, source)
    if conflict := _CONFLICT.search(source.text):
        line = source.text.count("\n", 0, conflict.start()) + 1
        return Problem("LT104", "a conflict that git left in the file", source.name, line, 1,
                       hint="keep what is right of it, and take the three marks away")
    mark = _mark(error)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    said = str(getattr(error, "problem", None) or error)
    known = ((message, hint) for words, message, hint in _WORDS if words in said)
    message, hint = next(known, (f"not YAML: {said}", ""))
    written = source.lines[line - 1] if 0 < line <= len(source.lines) else ""
    code = "LT104"
    if "undefined alias" in said:
        code = "LT110"
        name = re.match(r"\*([^\s,\]}]+)", written[column - 1 :])
        message = f"`*{name[1]}` has no anchor" if name else message
        hint = f"define it before: `&{name[1]} value`" if name else hint
    elif "exceeded maximum" in said:
        code = "LT105"
    elif re.search(r"(?:^|[:-]) +\{\{", written[:column]):
        hint = 'quote a value that begins with {{: "{{ … }}"'
    return Problem(code, message, source.name, line, column, hint=hint)


def _mark(error: yaml.YAMLError) -> Any:
    """Where it is: for what was not closed where that begins, unless both are on one line."""
    stopped: Any = getattr(error, "problem_mark", None)
    begun: Any = getattr(error, "context_mark", None)
    context = str(getattr(error, "context", None))
    if begun is None:
        return stopped
    opened = any(words in context for words in ("simple key", "quoted scalar", "flow"))
    begins = "alias" in context or (opened and (stopped is None or begun.line != stopped.line))
    return begun if begins or stopped is None else stopped


def _unreadable(error: ReaderError, source: Source) -> Problem:
    text = source.text.encode()[: error.position].decode(errors="replace")
    line = text.count("\n") + 1
    column = len(text) - text.rfind("\n")
    character = error.character if isinstance(error.character, int) else ord(error.character[0])
    message = f"the character U+{character:04X} is not allowed in YAML"
    hint = f'write it as an escape in double quotes: "\\x{character:02x}"' if character else ""
    return Problem("LT104", message, source.name, line, column, hint=hint)
