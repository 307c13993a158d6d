"""What only all tasks together tell: identities that clash, needs that lead nowhere or in a circle.

Pure. Works on what is known of the rendered turns of all documents. Where validate does not know a
task's queue or id, it may be what a `needs` names, if the constant ends of its texts allow that.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ltspec.model import Need, TaskSpec
from ltspec.spec.problems import Path, Problem, closest, did_you_mean
from ltspec.spec.templates import has_template
from ltspec.spec.turns import Turn

Key = tuple[str, str, str]                    # manager, queue, id


class Rules(NamedTuple):
    """What the config and the purpose add: the closed set of queues, and whether a `needs` that is
    in none of the tasks may be elsewhere: in the catalogue, or in a file that could not be read.
    """

    queues: frozenset[str] | None
    needs_elsewhere: bool


class Checked(NamedTuple):
    """The tasks with their needs resolved, and what is wrong."""

    turns: list[Turn]
    problems: list[Problem]


def check(turns: Sequence[Turn], rules: Rules) -> Checked:
    """All checks across tasks."""
    problems: list[Problem] = []
    kept = _unique([turn for turn in turns if turn.known is not None], problems)
    _check_queues(kept, rules, problems)
    index = _Index(kept, [turn for turn in turns if turn.known is None or turn.failed])
    resolved = [
        _resolve(turn, index, problems, elsewhere=rules.needs_elsewhere)
        if _known(turn).needs else turn
        for turn in kept
    ]
    _check_circles(resolved, problems)
    return Checked(resolved, problems)


def _known(turn: Turn) -> TaskSpec:
    known = turn.known
    if known is None:
        raise TypeError("a turn of which queue or id are not known")
    return known


def _place(turn: Turn, name: str, sub: Path = ()) -> tuple[Any, Path]:
    field = turn.definition.fields.get(name)
    if field is None:
        return turn.definition.own.place, ()
    return field.place_of(sub)


def _problem(turn: Turn, name: str, code: str, message: str, sub: Path = (),
             hint: str = "") -> Problem:
    place, path = _place(turn, name, sub)
    problem: Problem = place.problem(code, message, path, hint=hint)
    return problem


def _where(turn: Turn) -> str:
    place, path = _place(turn, "id")
    found = place.problem("", "", path)
    return f"{found.file}:{found.line}"


def _unique(turns: Sequence[Turn], problems: list[Problem]) -> list[Turn]:
    seen: dict[Key, Turn] = {}
    files: dict[Key, Turn] = {}
    queues = {(_known(turn).manager, _known(turn).queue): turn for turn in reversed(turns)}
    kept: list[Turn] = []
    for turn in turns:
        spec = _known(turn)
        key = (spec.manager, spec.queue, spec.id)
        file = (spec.manager, spec.queue, spec.pidfile_name or spec.id)
        if "when" in turn.unchecked:
            kept.append(turn)                 # it may be there where another one is not
            continue
        if key in seen:
            problems.append(_duplicate(turn, seen[key]))
            continue
        seen[key] = turn
        if file in files:
            problems.append(_problem(turn, "id", "LT408", f"its PID-file `{file[2]}` is the one of "
                                     f"the task at {_where(files[file])}"))
            continue
        files[file] = turn
        if len(file[2].encode()) > 250:
            problems.append(_problem(turn, "id", "LT408", "the name of its PID-file is too long"))
        if not spec.queue and (spec.manager, file[2]) in queues:
            other = queues[spec.manager, file[2]]
            problems.append(_problem(
                turn, "id", "LT404", f"`{file[2]}` is a queue's name too ({_where(other)})",
                hint="give the task another id, or a queue: both would have one PID-file path"))
            continue
        kept.append(turn)
    return kept


def _duplicate(turn: Turn, first: Turn) -> Problem:
    spec = _known(turn)
    if turn.definition is first.definition:
        message = (f"`{spec.id}` twice: in turn {first.number + 1} and turn {turn.number + 1} "
                   "of the loop")
        hint = "put what differs into the id: {{ item }}"
    else:
        message = f"`{spec.reference}` is declared already, at {_where(first)}"
        hint = "give one of them another id or queue"
    return _problem(turn, "id", "LT401", message, hint=hint)


def _check_queues(turns: Iterable[Turn], rules: Rules, problems: list[Problem]) -> None:
    if rules.queues is None:
        return
    for turn in turns:
        queue = _known(turn).queue
        if queue and queue not in rules.queues:
            problems.append(_problem(
                turn, "queue", "LT405", f"the config has no queue `{queue}`",
                hint=did_you_mean(queue, rules.queues) or "add it to `queues` in the config"))


class _Index:
    """Tasks by what `needs` names them with; `others` are those that it may name all the same."""

    def __init__(self, turns: Sequence[Turn], others: Sequence[Turn]) -> None:
        self.by_key: dict[Key, Turn] = {}
        self.by_id: dict[tuple[str, str], list[Turn]] = {}
        self.others = others
        for turn in turns:
            spec = _known(turn)
            key = (spec.manager, spec.queue, spec.id)
            if self.by_key.setdefault(key, turn) is turn:
                self.by_id.setdefault((spec.manager, spec.id), []).append(turn)

    def may_be(self, need: Need) -> bool:
        """True where a task may be meant that is wrong, left out by `when`, or not wholly known."""
        return any(
            _could_be(turn, "id", need.id)
            and (need.queue is None or _could_be(turn, "queue", need.queue))
            for turn in self.others
        )

    def names(self, manager: str) -> list[str]:
        return [name for owner, name in self.by_id if owner == manager]


def _could_be(turn: Turn, name: str, text: str) -> bool:
    """Whether a task's id or queue may be `text`, as far as their constant ends tell."""
    if turn.failed or name in turn.definition.broken:
        return name == "queue" or not isinstance(turn.id, str) or turn.id == text
    if name == "id" and isinstance(turn.id, str):
        return bool(turn.id == text)
    field = turn.definition.fields.get(name)
    if field is None:
        return name == "id"                   # that it is missing is reported
    written = field.value.written
    if not has_template(written):
        return bool(written == text)
    first = min(at for at in (written.find("{{"), written.find("{%")) if at >= 0)
    prefix, suffix = written[:first], written[max(written.rfind("}}"), written.rfind("%}")) + 2:]
    return (len(text) > len(prefix) + len(suffix)
            and text.startswith(prefix) and text.endswith(suffix))


def _resolve(turn: Turn, index: _Index, problems: list[Problem], *, elsewhere: bool) -> Turn:
    spec = _known(turn)
    needs: list[Need] = []
    for at, need in enumerate(spec.needs):
        found = _find(spec, need, index)
        if len(found) > 1:
            queues = ", ".join(sorted(_known(one).reference for one in found))
            problems.append(_problem(turn, "needs", "LT409",
                                     f"`{need.id}` may be any of {queues}", (at,),
                                     "write QUEUE/ID"))
        elif found:
            needs.append(need._replace(queue=_known(found[0]).queue))
        else:
            if not elsewhere and not index.may_be(need):
                problems.append(_unknown_need(turn, at, need, index))
            needs.append(need)
    resolved = spec._replace(needs=tuple(needs))
    return turn._replace(known=resolved, spec=resolved if turn.spec is not None else None)


def _find(spec: TaskSpec, need: Need, index: _Index) -> list[Turn]:
    if need.queue is not None:
        found = index.by_key.get((spec.manager, need.queue, need.id))
        return [found] if found else []
    candidates = index.by_id.get((spec.manager, need.id), [])
    same_file = [turn for turn in candidates if _known(turn).source == spec.source]
    return same_file or candidates


def _unknown_need(turn: Turn, at: int, need: Need, index: _Index) -> Problem:
    name = f"{need.queue}/{need.id}" if need.queue else need.id
    others = index.by_id.get((_known(turn).manager, need.id))
    if others:
        hint = f"did you mean `{_known(others[0]).reference}`?"
    else:
        near = closest(need.id, index.names(_known(turn).manager))
        hint = f"did you mean `{near}`?" if near else "give the file that declares it as well"
    return _problem(turn, "needs", "LT402", f"needs `{name}`, which none of the files declares",
                    (at,), hint)


def _check_circles(turns: Sequence[Turn], problems: list[Problem]) -> None:
    graph: dict[Key, list[Key]] = {}
    by_key: dict[Key, Turn] = {}
    for turn in turns:
        spec = _known(turn)
        key = (spec.manager, spec.queue, spec.id)
        by_key.setdefault(key, turn)
        graph.setdefault(key, []).extend((spec.manager, need.queue, need.id)
                                         for need in spec.needs if need.queue is not None)
    for circle in circles(graph):
        names = [_known(by_key[key]).reference for key in circle]
        turn = by_key[circle[0]]
        problems.append(_problem(turn, "needs", "LT403",
                                 "needs in a circle: " + " -> ".join((*names, names[0])),
                                 hint="take one of them away"))


def circles(graph: Mapping[Any, Sequence[Any]]) -> list[list[Any]]:
    """The circles that a walk in depth meets, each once, in the order of the nodes. The nodes that
    a list names and that have no entry of their own lead nowhere.
    """
    found: list[list[Any]] = []
    done: set[Any] = set()
    for start in graph:
        if start in done:
            continue
        path: list[Any] = [start]
        at: dict[Any, int] = {start: 0}
        branches = [iter(graph[start])]
        while branches:
            following = next(branches[-1], None)
            if following is None:
                branches.pop()
                done.add(path[-1])
                del at[path.pop()]
            elif following in at:
                found.append(path[at[following]:])
            elif following in graph and following not in done:
                at[following] = len(path)
                path.append(following)
                branches.append(iter(graph[following]))
    return found
