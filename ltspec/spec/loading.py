"""The way of specs from paths to tasks: read, check against the schema, resolve variables, render,
check across files. All problems of all files come in one pass.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ltspec.model import TaskSpec
from ltspec.spec import finding_files, panel, schema, warnings
from ltspec.spec.checks import Rules, check
from ltspec.spec.configuration import CONFIG_NAME, configuration_problems
from ltspec.spec.functions import functions, functions_of_files
from ltspec.spec.plan import Definition, Layer, Place
from ltspec.spec.problems import (
    ERROR,
    Path,
    Problem,
    did_you_mean,
    idle_ignores,
    in_order,
    merge_turns,
    silence,
)
from ltspec.spec.reading import Document, Source, decode, parse
from ltspec.spec.templates import Templates
from ltspec.spec.turns import Renderer, Setting, Surroundings, Turn
from ltspec.spec.unchecked import unchecked
from ltspec.spec.variables import Given, Resolver, Scope


class Settings(Setting, Protocol):
    """The part of the config that specs depend on."""

    @property
    def manager(self) -> str: ...
    @property
    def manager_named(self) -> bool: ...
    @property
    def base_dir(self) -> str | None: ...
    @property
    def mgrctl(self) -> str: ...
    @property
    def closed_queues(self) -> bool: ...
    @property
    def queues(self) -> Mapping[str, Any]: ...
    @property
    def defaults(self) -> Mapping[str, Any]: ...
    @property
    def document(self) -> Any: ...


class Skipped(NamedTuple):
    """A task whose `when` is false: it declares nothing."""

    file: str                                # absolute; "" for standard input
    id: str


class Loaded(NamedTuple):
    """What came of some paths. `tasks` are complete only where no problem is an error."""

    tasks: tuple[TaskSpec, ...]
    problems: tuple[Problem, ...]
    files: tuple[str, ...]                   # absolute; "" for standard input
    names: tuple[str, ...]                   # the same files as problems call them
    skipped: tuple[Skipped, ...]
    turns: tuple[Turn, ...]                  # one a task: where it came from
    scopes: Mapping[int, Scope]              # by the id of a document, for `render --explain`
    unknown: int                             # tasks of which validate cannot know all
    unchecked: tuple[Problem, ...]           # what it could not check of them

    @property
    def valid(self) -> bool:
        """True where the tasks may be applied."""
        return not any(problem.severity == ERROR for problem in self.problems)

    def problem(self, task: TaskSpec, field: str, code: str, message: str, *, sub: Path = (),
                hint: str = "", severity: str = ERROR) -> Problem:
        """A problem of one of the tasks at the place where the field was written."""
        for turn in self.turns:
            if turn.spec is task:
                written = turn.definition.fields.get(field)
                place, rest = written.place_of(sub) if written else (turn.definition.own.place, ())
                return place.problem(code, message, rest, hint=hint, severity=severity)
        return Problem(code, message, task.source, hint=hint, severity=severity)


class _File(NamedTuple):
    """One parsed file."""

    source: Source
    documents: list[Document]


class Loader:
    """Loads the specs of one command."""

    def __init__(self, settings: Settings, given: Mapping[str, Given], *, for_host: bool,
                 tags: Sequence[str], skip_tags: Sequence[str], root: str | None,
                 before: Callable[[str], None], fits: Callable[[], None]) -> None:
        self.settings = settings
        self.given = given
        self.for_host = for_host
        self.tags = frozenset(tags)
        self.skip_tags = frozenset(skip_tags)
        self.root = root
        self.before = before                 # called with each file's name before it is looked at
        self.fits: Callable[[], None] | None = fits    # called at the first document that fits
        self.templates = Templates()
        self.problems: list[Problem] = []
        self.turns: list[Turn] = []
        self.scopes: dict[int, Scope] = {}
        self.sources: dict[str, Source] = {}
        self.names: set[str] = set()         # that some document uses or declares
        self.files: list[str] = []
        self.unread = False                  # some document's tasks are not known at all
        self.mgrctl = _mgrctl(settings, for_host=for_host)

    def load(self, paths: Sequence[str]) -> Loaded:
        """Everything, in one pass."""
        found, problems = finding_files.find(paths, self.root)
        self.problems += problems
        for file in found:
            self.before(file.name)
            self.files.append(file.path)
            data, problems = finding_files.read(file)
            self.problems += problems
            if not problems:
                self._load_file(file, data)
            self.unread = self.unread or bool(problems)
        self.before("")
        self._check_given()
        return self._finish()

    def _load_file(self, file: finding_files.Found, data: bytes) -> None:
        source, problems = decode(file.name, file.path, data)
        self.sources[file.name] = source
        if problems:
            self.problems += problems
            self.unread = True
            return
        documents, problems = parse(source)
        if os.path.basename(file.path) == CONFIG_NAME:
            self.problems += problems or configuration_problems(documents)
            return
        if not documents and not problems:
            problems = [Problem("LT111", "holds no spec", file.name, 1, 1)]
        if all(problem.code == "LT107" for problem in problems):
            for document in documents:
                self._load_document(document, file.trees)
        else:
            self.unread = True
        self.problems += problems

    def _load_document(self, document: Document, trees: Sequence[str]) -> None:
        broken = frozenset[Path]()
        if not schema.accepts("job")(document.value):
            broken = self._misfits(document)
        elif self.fits is not None:
            self.fits()
            self.fits = None
        if not isinstance(document.value, dict) or any(
                path[:1] in ((), ("inputs",), ("vars",)) for path in broken):
            self.unread = True
            return
        directory = os.path.dirname(document.source.path) if document.source.path else os.getcwd()
        reaching_out = (functions(directory, os.environ) if self.for_host
                        else functions_of_files(directory, trees, self.root))
        resolver = Resolver(document, self.given, self.templates, reaching_out,
                            for_host=self.for_host)
        scope = resolver.resolve()
        self.scopes[id(document)] = scope
        self.problems += resolver.problems
        self.names |= resolver.names | resolver.inputs.keys() | resolver.definitions.keys()
        definitions = [
            Definition(layers, self.templates, broken) for layers in self._layers(document, broken)
        ]
        if not resolver.failed:
            self._render(document, scope, directory, definitions, broken)
        self.unread = self.unread or bool(resolver.failed)
        for definition in definitions:
            self.names |= definition.names()
            self.problems += definition.problems
            self.problems += warnings.definition_warnings(definition, scope, self.templates)
        if not broken and not any(definition.incomplete for definition in definitions):
            self.problems += warnings.document_warnings(
                document, definitions, frozenset(resolver.names), self.given)

    def _misfits(self, document: Document) -> frozenset[Path]:
        """Report what does not fit the schema; the paths of the fields that are broken."""
        from ltspec.spec.findings import findings

        broken: set[Path] = set()
        found_all = findings(document.value, "job")
        for found in found_all:
            self.problems.append(document.problem(found.code, found.message, found.path,
                                                  key=found.at_key, hint=found.hint))
            depth = {"tasks": 3, "defaults": 2}.get(str(found.path[0]), 1) if found.path else 0
            broken.add(found.path[:depth])
        if not found_all:                    # the two disagree: never let it through
            self.problems.append(document.problem("LT205", "does not fit the schema"))
            broken.add(())
        return frozenset(broken)

    def _layers(self, document: Document, broken: frozenset[Path]) -> Iterable[list[Layer]]:
        value = document.value
        config = Layer(self.settings.defaults, Place(self.settings.document, ("defaults",)))
        below = [config]
        if isinstance(value.get("defaults"), dict) and ("defaults",) not in broken:
            known = schema.published("job")["$defs"]["defaults"]["properties"]
            fields = {name: part for name, part in value["defaults"].items() if name in known}
            below = [Layer(fields, Place(document, ("defaults",))), config]
        known = schema.published("job")["$defs"]["task"]["properties"]
        if "tasks" not in value:
            fields = {name: part for name, part in value.items() if name in known}
            yield [Layer(fields, Place(document, ())), *below]
        elif isinstance(value["tasks"], list):
            for at, task in enumerate(value["tasks"]):
                if isinstance(task, dict):
                    fields = {name: part for name, part in task.items() if name in known}
                    yield [Layer(fields, Place(document, ("tasks", at))), *below]

    def _render(self, document: Document, scope: Scope, directory: str,
                definitions: list[Definition], broken: frozenset[Path]) -> None:
        settings = self.settings
        manager = None if ("manager",) in broken else document.value.get("manager")
        named = manager is not None or settings.manager_named
        around = Surroundings(
            setting=settings, scope=scope, base=settings.base_dir or directory,
            source=document.source.path, manager=manager or settings.manager,
            mgrctl=self.mgrctl if named else "",
            environment=os.environ if self.for_host else None,
        )
        for definition in definitions:
            if "command" not in definition.fields and "script" not in definition.fields:
                definition.incomplete = self._no_program(definition, broken)
            renderer = Renderer(definition, around)
            self.turns += renderer.turns()
            self.problems += merge_turns(renderer.problems)

    def _no_program(self, definition: Definition, broken: frozenset[Path]) -> bool:
        """Report it, unless it is told already: a misspelt key, or a wrong one."""
        own = definition.own.place.path
        if not any(path[: len(own)] == own for path in broken):
            self.problems.append(definition.own.place.problem(
                "LT406", "neither `command` nor `script`", hint="say what to run"))
        return True

    def _check_given(self) -> None:
        if not self.sources:
            return
        for name, given in self.given.items():
            if name not in self.names:
                self.problems.append(Problem(
                    "LT310", f"{given.origin}: no spec has a variable `{name}`", "",
                    hint=did_you_mean(name, self.names)))

    def _finish(self) -> Loaded:
        closed = frozenset(self.settings.queues) if self.settings.closed_queues else None
        checked = check(self.turns, Rules(
            closed, needs_elsewhere=self.for_host or self.unread))
        problems = [*self.problems, *merge_turns(checked.problems)]
        chosen = [turn for turn in checked.turns if turn.spec and self._chosen(turn.spec)]
        return Loaded(
            tasks=tuple(turn.spec for turn in chosen if turn.spec is not None),
            problems=in_order(self._with_lines((*problems, *self._idle_ignores(problems)))),
            files=tuple(self.files),
            names=tuple(self.sources),
            skipped=tuple(_skipped(turn) for turn in self.turns if turn.skipped),
            turns=tuple(chosen),
            scopes=self.scopes,
            unknown=sum(turn.spec is None and not turn.skipped and not turn.failed
                        for turn in self.turns),
            unchecked=in_order(self._with_lines(unchecked(self.turns, self.scopes))),
        )

    def _idle_ignores(self, problems: Sequence[Problem]) -> Iterable[Problem]:
        """Of the files without an error, where nothing but the files decides."""
        if self.for_host or self.given:
            return
        for name, source in self.sources.items():
            own = [problem for problem in problems if problem.file == name]
            if "ignor" in source.text and not any(one.severity == ERROR for one in own):
                yield from idle_ignores(own, name, source.lines)

    def _chosen(self, spec: TaskSpec) -> bool:
        if self.tags and not self.tags.intersection(spec.tags):
            return False
        return not self.skip_tags.intersection(spec.tags)

    def _with_lines(self, problems: Iterable[Problem]) -> list[Problem]:
        """Without what comments silence, and with the text of the line."""
        by_file: dict[str, list[Problem]] = {}
        for problem in problems:
            by_file.setdefault(problem.file, []).append(problem)
        result: list[Problem] = []
        for file, group in by_file.items():
            source = self.sources.get(file)
            lines = source.lines if source else []
            kept = silence(group, lines) if source and "ltspec:" in source.text else group
            for problem in kept:
                text = lines[problem.line - 1] if 0 < problem.line <= len(lines) else ""
                path = f".{problem.path}"
                private = problem.code == "LT502" or ".env" in path or ".secrets" in path
                result.append(problem._replace(source_line="" if private else text[:500]))
        return result


def _skipped(turn: Turn) -> Skipped:
    document = turn.definition.own.place.document
    return Skipped(document.source.path if document else "", str(turn.id))


def _mgrctl(settings: Settings, *, for_host: bool) -> str:
    """The mgrctl that tasks with a manager report through, "" for none (DESIGN 8).

    Raises Refused where the setting leads back to our own command.
    """
    return panel.resolve(settings.mgrctl) if for_host else ""
