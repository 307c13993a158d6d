"""What mgrctl answers, and how it is written in each format. Pure: an answer in, text out.

    text                one line a record, `key=value` a line for a form, `OK`, `ERROR type(object)`
    xml, devel          `<doc>` with `<elem>`s, the form's fields, `<ok/>` or `<error …>`
    json, sjson         the same under `doc`: text `{"$": …}`, attributes `"$name"`, empty `{}`
    bjson               plain strings: `{"elem": […]}`, `{"model": {…}}`, `{"error": {…}}`, no `doc`

Generation 4 has plain strings without `doc` in every JSON and errors as numbers (C36-C44, C50).
"""

import re
from typing import Any, NamedTuple

Fields = list[tuple[str, str]]     # a name may come more than once: one element each

# Compiled when first used: most calls write `OK` and need neither.
_NOT_XML = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_CONTROL = "[\x00-\x1f\x7f\x85\u2028\u2029]+"
_CODES = {"exists": "2", "missed": "3", "value": "4", "limit": "5", "access": "6"}
_INTERNAL = "1"


class Table(NamedTuple):
    """A list; of each row the first field is its key, usable as elid."""

    rows: list[Fields]


class Form(NamedTuple):
    """One record."""

    fields: Fields


class Done(NamedTuple):
    """An action succeeded."""


class Wrong(NamedTuple):
    """The answer is no: `kind` is missed, value, exists, access, limit; `object` the parameter."""

    kind: str
    object: str
    message: str = ""


Answer = Table | Form | Done | Wrong


def exit_code(answer: Answer, form: str) -> int:
    """0, or 1 for an error in text: in the other formats the document itself says it (C38, C44)."""
    return int(isinstance(answer, Wrong) and form == "text")


def write(answer: Answer, form: str, *, generation4: bool = False) -> str:
    """The document in one of request.FORMATS; "" for an empty list in text."""
    if form == "text":
        return _text(answer)
    if form in ("xml", "devel"):
        return _xml(answer, generation4=generation4, indent=form == "devel")
    import json

    document = _plain(answer, form) if generation4 or form == "bjson" else _typed(answer)
    if generation4 and isinstance(answer, Wrong):
        document = {"error": {"code": _code(answer), "obj": answer.object}}
    # A lone surrogate (a byte that is not UTF-8) cannot be written; `?` stands for it.
    text = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
    return text + "\n"


def _code(wrong: Wrong) -> str:
    return _CODES.get(wrong.kind, _INTERNAL)


def _text(answer: Answer) -> str:
    if isinstance(answer, Table):
        return "".join(" ".join(_assigned(row)) + "\n" for row in answer.rows)
    if isinstance(answer, Form):
        return "".join(line + "\n" for line in _assigned(answer.fields))
    if isinstance(answer, Wrong):
        return f"ERROR {answer.kind}({answer.object})\n"
    return "OK\n"


def _assigned(fields: Fields) -> list[str]:
    """`name=value`, its control characters as one blank: a record stays on its line."""
    return [f"{name}={re.sub(_CONTROL, ' ', value)}" for name, value in fields]


def _xml(answer: Answer, *, generation4: bool, indent: bool) -> str:
    step, end = ("  ", "\n") if indent else ("", "")
    if isinstance(answer, Table):
        body = "".join(
            f"{step}<elem>{end}{_nodes(row, step * 2, end)}{step}</elem>{end}"
            for row in answer.rows
        )
    elif isinstance(answer, Form):
        body = _nodes(answer.fields, step, end)
    elif isinstance(answer, Wrong):
        body = step + _xml_error(answer, generation4=generation4) + end
    else:
        body = f"{step}<ok/>{end}"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<doc>{end}{body}</doc>\n'


def _nodes(fields: Fields, step: str, end: str) -> str:
    return "".join(
        f"{step}<{name}>{_escape(value)}</{name}>{end}" if value else f"{step}<{name}/>{end}"
        for name, value in fields
    )


def _xml_error(wrong: Wrong, *, generation4: bool) -> str:
    place = _attribute(wrong.object)
    if generation4:
        return f'<error code="{_code(wrong)}" obj="{place}"/>'
    message = _escape(wrong.message or f"{wrong.kind}({wrong.object})")
    return f'<error type="{wrong.kind}" object="{place}"><msg>{message}</msg></error>'


def _escape(text: str) -> str:
    """Text of a node; what XML cannot hold at all becomes U+FFFD, a CR survives as a reference."""
    text = re.sub(_NOT_XML, "\ufffd", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#13;")


def _attribute(text: str) -> str:
    text = _escape(text).replace('"', "&quot;")
    return text.replace("\n", "&#10;").replace("\t", "&#9;")


def _typed(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Table):
        return {"doc": {"elem": [_grouped(row, _node) for row in answer.rows]}}
    if isinstance(answer, Form):
        return {"doc": _grouped(answer.fields, _node)}
    if isinstance(answer, Wrong):
        message = answer.message or f"{answer.kind}({answer.object})"
        error = {"$type": answer.kind, "$object": answer.object, "msg": _node(message)}
        return {"doc": {"error": error}}
    return {"doc": {"ok": {}}}


def _plain(answer: Answer, form: str) -> dict[str, Any]:
    if isinstance(answer, Table):
        return {"elem": [_grouped(row, str) for row in answer.rows]}
    if isinstance(answer, Form):
        fields = _grouped(answer.fields, str)
        return {"model": fields} if form == "bjson" else fields
    if isinstance(answer, Wrong):
        message = answer.message or f"{answer.kind}({answer.object})"
        return {"error": {"type": answer.kind, "object": answer.object, "msg": message}}
    return {"ok": {}}


def _node(value: str) -> dict[str, str]:
    return {"$": value} if value else {}


def _grouped(fields: Fields, convert: Any) -> dict[str, Any]:
    """One key a name; a name that comes more than once is an array."""
    names = dict.fromkeys(name for name, _ in fields)
    values = {name: [convert(value) for key, value in fields if key == name] for name in names}
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}
