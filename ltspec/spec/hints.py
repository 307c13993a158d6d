"""The way out for what people write who know other tools, or another form of the same thing.

Only hints: what is wrong is decided elsewhere. Each gives "" where it knows nothing.
"""

import re
from collections.abc import Sequence
from typing import Any

from ltspec.spec.problems import Path
from ltspec.spec.scalars import as_text

# The booleans of YAML 1.1, which are text in YAML 1.2 -> what is meant.
WORDS = {"yes": "true", "on": "true", "y": "true", "true": "true",
         "no": "false", "off": "false", "n": "false", "false": "false"}

# What other tools call it -> what it is called here.
_OTHER_TOOLS = {
    "args": "parameters", "arguments": "parameters", "argv": "parameters", "params": "parameters",
    "cmd": "command", "exec": "command", "shell": "script", "run": "script", "bash": "script",
    "depends_on": "needs", "after": "needs", "dependencies": "needs", "requires": "needs",
    "workdir": "cwd", "working_dir": "cwd", "working_directory": "cwd", "chdir": "cwd",
    "dir": "cwd",
    "environment": "env", "with_items": "loop", "matrix": "loop", "if": "when",
    "become_user": "user", "uid": "user", "gid": "group", "retry": "retries",
    "max_retries": "retries", "time_limit": "timeout", "label": "name", "description": "name",
    "variables": "vars", "jobs": "tasks", "steps": "tasks", "notify": "on_finish",
    "version": "ltspec", "delay": "start_after", "path": "file", "error": "failure",
    "int": "integer", "max": "limit", "count": "limit",
}
# What has no key here; and what must not be taken for a misspelt one.
_NO_KEY = {
    "schedule": "cron or a systemd timer runs `ltspec apply`: docs/howto/from-cron-and-flock.md",
    "cron": "cron runs `ltspec apply`: docs/howto/from-cron-and-flock.md",
    "become": "say as whom with `user`",
    "register": "a task's output is in its log; what must wait for a task `needs` it",
    "type": "a task has none; leave it out",
    "restart": "`retries` starts a failed task again",
}
_OF_FILES = ("tasks", "vars", "inputs", "manager", "ltspec", "defaults")


def about_key(name: str, path: Path, known: Sequence[str]) -> str:
    """For an unknown key in the mapping at `path`."""
    if _OTHER_TOOLS.get(name) in known:
        return f"here it is called `{_OTHER_TOOLS[name]}`"
    if path == ("defaults",) and name in _OF_FILES:
        return f"`{name}` stands beside `defaults`: move it to the left"
    if name == "required" and "default" in known:
        return "an input without a `default` is required"
    if name.startswith("x-"):
        return "there are no keys of one's own; what is shared stands in `defaults` or `vars`"
    return _NO_KEY.get(name, "") if "command" in known else ""


def about_type(names: Sequence[str], value: Any, path: Path) -> str:
    """For a value that is none of the types `names`, a list of JSON Schema's words."""
    field = path[-1] if path else ""
    return _of_field(str(field), value, path) or _of_types(names, value)


def _of_field(field: str, value: Any, path: Path) -> str:
    if path == () and isinstance(value, list):
        return "put the list under `tasks:`"
    if "secrets" in path[-2:-1]:
        return "say where it is read: { file: … } or { command: … }"
    if field == "umask" and re.fullmatch("(0o)?[0-7]{1,4}", as_text(value)):
        return f'quote it, octal: "{as_text(value).removeprefix("0o").zfill(4)}"'
    if isinstance(value, list):
        return {"env": "write it as a mapping: { NAME: value }",
                "script": "write it as one text: `script: |`, the lines below it"}.get(field, "")
    if isinstance(value, dict):
        return {"needs": "put it into a list: [{ id: … }]",
                "tasks": "write it as a list; each task has its name as `id`",
                "loop": "put it into `vars`, and write `loop: NAME | dict2items`"}.get(field, "")
    return ""


def _of_types(names: Sequence[str], value: Any) -> str:
    if "boolean" in names and isinstance(value, str) and value.lower() in WORDS:
        return f"write {WORDS[value.lower()]}: \"{value}\" is read as text here"
    if isinstance(value, bool) and "string" in names:
        return f'quote it: "{str(value).lower()}"'
    if value is None:
        return "give it a value, or leave the key out"
    if names == ["integer"] and isinstance(value, str) and value.isdigit():
        return "leave the quotes out"
    if "array" in names and isinstance(value, (str, int)):
        return as_list(as_text(value))
    if names == ["string"] and isinstance(value, (int, float)):
        return f'quote it: "{as_text(value)}"'
    return ""


def as_list(text: str) -> str:
    """How a text that holds several words is written as a list."""
    if any(mark in text for mark in "'\"{[\\"):
        return "write it as a list, one element a value"
    return f"write it as a list: [{', '.join(re.split(r'[, ] *', text.strip(', ')))}]"


def about_form(title: str, value: str, path: Path) -> str:
    """For a text that has not the form that `title` names."""
    if path and path[-1] in ("tags", "needs") and re.search(r"\S[, ]+\S", value):
        return as_list(value)
    if title == "a name":
        return _of_name(value)
    if title == "a size" and re.fullmatch(r"[0-9.]+[KMGTkmgt]", value):
        unit = value.upper()
        return f"write {unit}iB (powers of 1024) or {unit}B (powers of 1000)"
    if path[-1:] == ("umask",) and re.fullmatch("(0o)?[0-7]{1,4}", value):
        return f'write it with four digits: "{value.removeprefix("0o").zfill(4)}"'
    return ""


def _of_name(value: str) -> str:
    if not value:
        return "a name has at least one character"
    if len(value) > 200:
        return "a name has at most 200 characters"
    if value[0] in ".-":
        return "a name must not begin with a dot or a dash"
    wrong = next((c for c in value if not (c.isascii() and (c.isalnum() or c in "._@+-"))), "")
    shown = {" ": "a blank", "\n": "a line end", "\t": "a tab"}.get(wrong, f"`{wrong}`")
    return f"a name has only letters, digits and . _ @ + -, not {shown}"


def about_expression(field: str, text: str) -> str:
    """For the text of a `when` or `loop` that is no expression."""
    if field == "when" and re.search(r"[^=!<>]=[^=]", text):
        return "compare with `==`"
    if field == "loop" and "," in text and not re.search(r"[(\[{]", text):
        return as_list(text)
    return ""
