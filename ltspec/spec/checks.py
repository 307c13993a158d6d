"""What only all tasks together tell: identities that clash, needs that lead nowhere or in a circle.

Pure. Works on the rendered turns of all documents; a task of which too little is known (validate
without a required input) is left out, and then an unknown `needs` is not called wrong.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ltspec.model import Need, TaskSpec
from ltspec.spec.problems import Path, Problem, closest, did_you_mean
from ltspec.spec.templates import UNKNOWN
from ltspec.spec.turns import Turn

Key = tuple[str, str, str]                    # manager, queue, id


class Rules(NamedTuple):
    """What the config and the purpose add: the closed set of queues, and whether a `needs` that is
    in none of the files may be in the catalogue.
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
    known = [turn for turn in turns if turn.spec is not None]
    kept = _unique(known, problems)
    _check_queues(kept, rules, problems)
    hazy = any(turn.spec is None and turn.id is UNKNOWN for turn in turns)
    silent = {turn.id for turn in turns if turn.spec is None and isinstance(turn.id, str)}
    index = _Index(kept)
    resolved = [
        turn._replace(spec=_resolve(turn, index, silent, problems,
                                     elsewhere=hazy or rules.needs_elsewhere))
        if turn.spec is not None and turn.spec.needs else turn
        for turn in kept
    ]
    _check_circles(resolved, problems)
    return Checked(resolved, problems)


def _spec(turn: Turn) -> TaskSpec:
    spec = turn.spec
    if spec is None:
        raise TypeError("a turn without a task")
    return spec


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
    queues = {(_spec(turn).manager, _spec(turn).queue): turn for turn in reversed(turns)}
    kept: list[Turn] = []
    for turn in turns:
        spec = _spec(turn)
        key = (spec.manager, spec.queue, spec.id)
        file = (spec.manager, spec.queue, spec.pidfile_name or spec.id)
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
    spec = _spec(turn)
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
        queue = _spec(turn).queue
        if queue and queue not in rules.queues:
            problems.append(_problem(
                turn, "queue", "LT405", f"the config has no queue `{queue}`",
                hint=did_you_mean(queue, rules.queues) or "add it to `queues` in the config"))


class _Index:
    """Tasks by what `needs` names them with."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.by_key: dict[Key, Turn] = {}
        self.by_id: dict[tuple[str, str], list[Turn]] = {}
        for turn in turns:
            spec = _spec(turn)
            self.by_key[spec.manager, spec.queue, spec.id] = turn
            self.by_id.setdefault((spec.manager, spec.id), []).append(turn)

    def names(self, manager: str) -> list[str]:
        return [name for owner, name in self.by_id if owner == manager]


def _resolve(turn: Turn, index: _Index, silent: set[str], problems: list[Problem],
             *, elsewhere: bool) -> TaskSpec:
    spec = _spec(turn)
    needs: list[Need] = []
    for at, need in enumerate(spec.needs):
        found = _find(spec, need, index)
        if len(found) > 1:
            queues = ", ".join(sorted(_spec(one).reference for one in found))
            problems.append(_problem(turn, "needs", "LT409",
                                     f"`{need.id}` may be any of {queues}", (at,),
                                     "write QUEUE/ID"))
        elif found:
            needs.append(need._replace(queue=_spec(found[0]).queue))
        else:
            if not elsewhere and need.id not in silent:
                problems.append(_unknown_need(turn, at, need, index))
            needs.append(need)
    return spec._replace(needs=tuple(needs))


def _find(spec: TaskSpec, need: Need, index: _Index) -> list[Turn]:
    if need.queue is not None:
        found = index.by_key.get((spec.manager, need.queue, need.id))
        return [found] if found else []
    candidates = index.by_id.get((spec.manager, need.id), [])
    same_file = [turn for turn in candidates if _spec(turn).source == spec.source]
    return same_file or candidates


def _unknown_need(turn: Turn, at: int, need: Need, index: _Index) -> Problem:
    name = f"{need.queue}/{need.id}" if need.queue else need.id
    others = index.by_id.get((_spec(turn).manager, need.id))
    if others:
        hint = f"did you mean `{_spec(others[0]).reference}`?"
    else:
        near = closest(need.id, index.names(_spec(turn).manager))
        hint = f"did you mean `{near}`?" if near else "give the file that declares it as well"
    return _problem(turn, "needs", "LT402", f"needs `{name}`, which none of the files declares",
                    (at,), hint)


def _check_circles(turns: Sequence[Turn], problems: list[Problem]) -> None:
    graph: dict[Key, list[Key]] = {}
    by_key: dict[Key, Turn] = {}
    for turn in turns:
        spec = _spec(turn)
        key = (spec.manager, spec.queue, spec.id)
        by_key[key] = turn
        graph[key] = [(spec.manager, need.queue, need.id) for need in spec.needs
                      if need.queue is not None]
    for circle in circles(graph):
        names = [_spec(by_key[key]).reference for key in circle]
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
