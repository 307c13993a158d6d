"""`ltspec render`: what would be run, exactly: argv, environment and PID-file of each task."""

from __future__ import annotations

from ltspec.commands import arguments
from ltspec.errors import InvalidSpec
from ltspec.output import findings, plain
from ltspec.paths import PROGRESS_SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from ltspec.model import TaskSpec
    from ltspec.paths import Places
    from ltspec.spec.loading import Loaded

EXAMPLES = (
    ("ltspec render jobs/checksums.yml", "the command lines of one file, quoted for a shell"),
    ("ltspec render jobs/checksums.yml --explain", "where each value came from"),
    ("ltspec render jobs/checksums.yml --json", "for a program: argv, environment, everything"),
    ("ltspec render jobs/checksums.yml --spec", "the same tasks as a spec without templates"),
)
DESCRIPTION = (
    "Show what would be run: the exact argv, environment, working directory and PID-file of each\n"
    "task, quoted for reading. Nothing is started or stored. Secrets are named, never read."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("paths", metavar="PATH", nargs="+",
                        help="a file, a directory, a glob, or - for standard input")
    arguments.add_variables(parser)
    arguments.add_tags(parser)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--explain", action="store_true",
                       help="show for each value which file, line, variable or -e it came from")
    forms.add_argument("--spec", action="store_true", help="print a spec without templates")
    forms.add_argument("--json", action="store_true",
                       help="print one JSON document (docs/commands.md)")


def run(args: argparse.Namespace) -> int:
    """Print the tasks; the problems of a wrong spec leave as InvalidSpec."""
    from ltspec import config, paths, spec

    settings = config.load(args.config)
    loaded = spec.load(args.paths, config=settings, for_host=True, tags=args.tags,
                       skip_tags=args.skip_tags,
                       extra_vars=spec.parse_extra_vars(args.extra_vars))
    if not loaded.valid:
        raise InvalidSpec("nothing is rendered: correct the specs first", loaded.problems)
    findings.print_problems(loaded.problems)
    where = paths.places(settings)
    if args.json:
        _print_json(loaded, where)
    elif args.spec:
        from ltspec.spec import writing

        plain.line(writing.as_yaml(loaded.tasks))
    elif args.explain:
        _print_explained(loaded)
    else:
        _print_tasks(loaded, where)
    return 0


def _print_json(loaded: Loaded, where: Places) -> None:
    from ltspec.output import rendered
    from ltspec.output.records import document

    document({"tasks": [rendered.record(task, _environment(task, where), pidfile(task, where))
                        for task in loaded.tasks]})


def _print_tasks(loaded: Loaded, where: Places) -> None:
    from ltspec.output import rendered

    for task in loaded.tasks:
        rendered.show(task, _environment(task, where), pidfile(task, where))
    for skipped in loaded.skipped:
        plain.line(f"# {skipped.id}: skipped, `when` is false")


def _print_explained(loaded: Loaded) -> None:
    from ltspec.output import rendered
    from ltspec.spec.explaining import explain

    for turn in loaded.turns:
        if turn.spec is not None:
            rendered.show_explained(turn.spec, explain(loaded, turn))


def pidfile(task: TaskSpec, where: Places) -> str:
    """The path of its PID-file (C01)."""
    parts = (where.run_dir, task.manager, task.queue, task.pidfile_name or task.id)
    return "/".join(part for part in parts if part)


def _environment(task: TaskSpec, where: Places) -> dict[str, str]:
    """What the supervisor would build, with words in place of what only a start knows."""
    from ltspec.spec import environment

    files: dict[str, str] = {}
    for path in task.env_files:
        files.update(_of_file(path))
    secrets = {name: f"<secret of {_source(secret)}>" for name, secret in task.secrets.items()
               if "fd" not in secret}
    return environment.build(
        task, pidfile=pidfile(task, where), token="<token of the attempt>",  # noqa: S106 - a word in its place
        attempt=1, user=_user(task), state_dir=where.state_dir, run_dir=where.run_dir,
        tools=where.tools,
        progress=where.log(task.manager, task.queue, task.id, 1) + PROGRESS_SUFFIX,
        files=files, secrets=secrets,
    )


def _of_file(path: str) -> dict[str, str]:
    from ltspec.spec import environment

    try:
        return environment.read_file(path)
    except (OSError, ValueError) as error:
        plain.warning(f"{path} cannot be read now: {error}")
        return {}


def _source(secret: Any) -> str:
    return str(secret["file"]) if "file" in secret else f"the command {secret['command'][0]}"


def _user(task: TaskSpec) -> Any:
    import os
    import pwd

    from ltspec.spec import accounts
    from ltspec.spec.environment import UserFacts

    try:
        found = accounts.user(task.user) if task.user else pwd.getpwuid(os.geteuid())
    except KeyError:
        name = task.user or str(os.geteuid())
        plain.warning(f"this host has no user {name}")
        return UserFacts(name, "/", "/bin/sh")
    return UserFacts(found.pw_name, found.pw_dir, found.pw_shell)
