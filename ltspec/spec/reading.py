"""From bytes to values with places: YAML through libyaml, refusing what would hurt.

A node tree of PyYAML is composed in C and kept beside the plain values, so that a place is looked
up only for a problem. Limits (file size, nesting, number of nodes, what aliases expand to) are
checked while composing; no input is read further than they allow.
"""

from typing import Any, NamedTuple

import yaml
from yaml._yaml import CParser
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ltspec.spec.problems import Path, Problem, dotted
from ltspec.spec.scalars import plain

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 300_000
MAX_EXPANSION = 100_000          # nodes that aliases may add to the written ones

_CORE = "tag:yaml.org,2002:"
_PLAIN, _TEXT, _BLOCK = "plain", "text", "block"
_COLLECTIONS = frozenset({_BLOCK, _CORE + "map", _CORE + "seq"})


class Source(NamedTuple):
    """One file as read: `name` is how problems call it, `path` is absolute ("" for stdin)."""

    name: str
    path: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines without their ends, as YAML counts them."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


class Document(NamedTuple):
    """One YAML document: its value, and its nodes for the places."""

    source: Source
    number: int                              # among those of its file, from 0
    value: Any
    node: Node

    def problem(self, code: str, message: str, path: Path = (), *, key: bool = False,
                needle: str = "", hint: str = "", severity: str = "error") -> Problem:
        """A problem at the place of `path`; at its key with `key`, at `needle` inside it."""
        node = find(self.node, path, key=key)
        line, column = node.start_mark.line, node.start_mark.column
        if needle:
            line, column = _narrow(self.source.lines, node, needle)
        return Problem(code, message, self.source.name, line + 1, column + 1, dotted(path),
                       hint, severity)


def _narrow(lines: list[str], node: Node, needle: str) -> tuple[int, int]:
    """Where `needle` stands within the node's text; the node's start where it does not."""
    start, end = node.start_mark, node.end_mark
    for number in range(start.line, min(end.line + 1, len(lines))):
        column = lines[number].find(needle, start.column if number == start.line else 0)
        if column >= 0 and (number < end.line or column < end.column):
            return number, column
    return start.line, start.column


def find(node: Node, path: Path, *, key: bool = False) -> Node:
    """The node at `path`, or the nearest one above it that was written."""
    for index, part in enumerate(path):
        last = index == len(path) - 1
        if isinstance(node, MappingNode):
            pair = _pair(node, str(part))
            if pair is None:
                return node
            node = pair[0] if key and last else pair[1]
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return node
    return node


def aliased(node: Node) -> frozenset[int]:
    """The ids of the nodes that aliases stand for; without them none is reached twice."""
    waiting, seen, found = [node], set[int](), set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            found.add(id(one))
            continue
        seen.add(id(one))
        if isinstance(one, MappingNode):
            waiting.extend(part for pair in one.value for part in pair)
        elif isinstance(one, SequenceNode):
            waiting.extend(one.value)
    return frozenset(found)


def within(node: Node) -> frozenset[int]:
    """The ids of a node and of all in it."""
    found = {id(node)}
    if isinstance(node, MappingNode):
        return frozenset(found.union(*(within(part) for pair in node.value for part in pair)))
    if isinstance(node, SequenceNode):
        return frozenset(found.union(*map(within, node.value)))
    return frozenset(found)


def is_plain(node: Node) -> bool:
    """True for a scalar without quotes."""
    return isinstance(node, ScalarNode) and node.tag == _PLAIN


def _pair(mapping: MappingNode, name: str) -> tuple[Node, Node] | None:
    for pair in mapping.value:
        if pair[0].value == name:
            return pair[0], pair[1]
    for pair in mapping.value:
        if pair[0].value == "<<" and pair[0].tag == _PLAIN:
            merged = pair[1].value if isinstance(pair[1], SequenceNode) else [pair[1]]
            for one in merged:
                found = _pair(one, name) if isinstance(one, MappingNode) else None
                if found is not None:
                    return found
    return None


class _Refused(Exception):
    """Carries the problem out of libyaml's composing."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Composer(CParser):
    """Composes nodes; the two resolver hooks, called for each node, count depth and nodes."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.file = name
        self.depth = 0
        self.nodes = 0

    def resolve(self, kind: type[Node], _value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _BLOCK

    def descend_resolver(self, parent: Node | None, _index: Any) -> None:
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH:
            self.refuse("LT105", f"nested deeper than {MAX_DEPTH} levels", parent)
        if self.nodes > MAX_NODES:
            self.refuse("LT103", f"more than {MAX_NODES:,} values in one file", parent)

    def ascend_resolver(self) -> None:
        self.depth -= 1

    def refuse(self, code: str, message: str, parent: Node | None) -> None:
        mark = parent.start_mark if parent is not None else None
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _Refused(Problem(code, message, self.file, line, column))


def decode(name: str, path: str, data: bytes) -> tuple[Source, list[Problem]]:
    """The file's text, or why it has none."""
    if len(data) > MAX_BYTES:
        message = f"larger than {MAX_BYTES // 1024 // 1024} MiB"
        hint = "split it into several files"
        return Source(name, path, ""), [Problem("LT103", message, name, 1, 1, hint=hint)]
    try:
        return Source(name, path, data.decode("utf-8-sig")), []
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"not UTF-8: byte 0x{data[error.start]:02x}"
        problem = Problem("LT102", message, name, line, column, hint="save the file as UTF-8")
        return Source(name, path, ""), [problem]


def parse(source: Source) -> tuple[list[Document], list[Problem]]:
    """The documents of one file that are not empty, and what is wrong as YAML."""
    from ltspec.spec.syntax import explain

    documents: list[Document] = []
    problems: list[Problem] = []
    composer: Any = _Composer(source.text.encode(), source.name)
    try:
        while composer.check_node():
            node = composer.get_node()
            builder = _Builder(source.name, problems)
            if "*" not in source.text or builder.bounded(node):
                value = builder.value(node)
                if value is not None:
                    documents.append(Document(source, len(documents), value, node))
    except _Refused as refused:
        problems.append(refused.problem)
    except yaml.YAMLError as error:
        problems.append(explain(error, source))
    return documents, problems


class _Builder:
    """Turns nodes into plain values; what cannot be one is a problem and becomes None."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self.built: dict[int, Any] = {}

    def problem(self, code: str, message: str, node: Node, hint: str = "") -> None:
        mark = node.start_mark
        self.problems.append(
            Problem(code, message, self.file, mark.line + 1, mark.column + 1, hint=hint)
        )

    def bounded(self, root: Node) -> bool:
        """False where aliases lead in a circle or expand too far; linear in what was written."""
        sizes: dict[int, int] = {}
        open_nodes: set[int] = set()

        def measure(node: Node) -> int:
            if isinstance(node, ScalarNode):
                return 1
            key = id(node)
            if key in sizes:
                return sizes[key]
            if key in open_nodes:
                raise _Refused(self._at("an alias inside the very value it stands for", node))
            open_nodes.add(key)
            children = node.value
            if isinstance(node, MappingNode):
                total = 1 + sum(measure(k) + measure(v) for k, v in children)
            else:
                total = 1 + sum(map(measure, children))
            open_nodes.discard(key)
            sizes[key] = total
            return total

        try:
            total = measure(root)
        except _Refused as refused:
            self.problems.append(refused.problem)
            return False
        if total > MAX_EXPANSION and total > self._written(root) + MAX_EXPANSION:
            message = f"aliases expand to {total:,} values"
            self.problems.append(self._at(message, root, "write fewer aliases of large values"))
            return False
        return True

    def _at(self, message: str, node: Node, hint: str = "") -> Problem:
        mark = node.start_mark
        return Problem("LT106", message, self.file, mark.line + 1, mark.column + 1, hint=hint)

    def _written(self, root: Node) -> int:
        seen: set[int] = set()
        waiting: list[Node] = [root]
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, MappingNode):
                waiting.extend(part for pair in node.value for part in pair)
            elif isinstance(node, SequenceNode):
                waiting.extend(node.value)
        return len(seen)

    def value(self, node: Node) -> Any:
        if type(node) is ScalarNode:
            tag = node.tag
            if tag == _PLAIN:
                return plain(node.value)
            if tag == _TEXT:
                return self.text(node)
            return self.tagged(node)
        key = id(node)
        if key not in self.built:
            if node.tag not in _COLLECTIONS:
                self.unknown_tag(node)
            if isinstance(node, MappingNode):
                self.built[key] = self.mapping(node)
            else:
                self.built[key] = [self.value(child) for child in node.value]
        return self.built[key]

    def text(self, node: Node) -> str:
        value: str = node.value
        if "\0" in value:
            self.problem("LT113", "a NUL character", node, "no program can be given one")
            return value.replace("\0", "")
        return value

    def unknown_tag(self, node: Node) -> None:
        self.problem("LT108", f"unknown tag `{node.tag}`", node,
                     "ltspec knows no tags of its own; leave it out")

    def tagged(self, node: Node) -> Any:
        name = node.tag.removeprefix(_CORE)
        if node.tag == name or name not in ("str", "int", "float", "bool", "null"):
            self.unknown_tag(node)
            return None
        if name == "str":
            return self.text(node)
        value = plain(node.value)
        kinds: dict[str, tuple[type, ...]] = {
            "int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),)
        }
        if not isinstance(value, kinds[name]) or (name != "bool" and isinstance(value, bool)):
            self.problem("LT108", f"`{node.value}` is no {name}", node, "leave the tag out")
        return value

    def mapping(self, node: MappingNode) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merges: list[Node] = []
        seen = 0
        for key, child in node.value:
            if type(key) is not ScalarNode:
                self.complex_key(key)
                continue
            if key.value == "<<" and key.tag == _PLAIN:
                merges.append(child)
                continue
            seen += 1
            result[key.value] = self.value(child)
            if len(result) != seen:
                seen -= 1
                self.duplicate(node, key)
        for merge in merges:
            self.merge(result, merge)
        return result

    def complex_key(self, key: Node) -> None:
        template = isinstance(key, MappingNode)
        hint = 'quote a value that begins with {{: "{{ … }}"' if template else ""
        self.problem("LT109", "a key must be text", key, hint)

    def duplicate(self, node: MappingNode, key: ScalarNode) -> None:
        first = next(pair[0] for pair in node.value if pair[0].value == key.value)
        line = first.start_mark.line + 1
        self.problem("LT107", f"`{key.value}` a second time; it is already on line {line}", key,
                     "keep one of them")

    def merge(self, result: dict[str, Any], node: Node) -> None:
        parts = node.value if isinstance(node, SequenceNode) else [node]
        for part in parts:
            value = self.value(part)
            if not isinstance(part, MappingNode):
                self.problem("LT109", "`<<` takes a mapping or a list of mappings", part)
                continue
            for name, child in value.items():
                result.setdefault(name, child)
