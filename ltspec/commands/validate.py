"""`ltspec validate`: check spec files; the same answer on a laptop, in CI and on the server."""

from __future__ import annotations

import os
from functools import partial

from ltspec.commands import arguments
from ltspec.errors import InvalidSpec, UsageError
from ltspec.output import findings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from ltspec.config import Config
    from ltspec.output.findings import Report
    from ltspec.spec.loading import Loaded
    from ltspec.spec.problems import Problem

DEFAULT_PATH = "jobs"
EXAMPLES = (
    ("ltspec validate", "every spec under jobs/"),
    ("ltspec validate jobs/backup.yml -e account=u1001", "one file, with a value for an input"),
    ("ltspec validate 'jobs/*/*.yml' --strict", "a glob; warnings count as errors"),
    ("ltspec validate --format sarif > ltspec.sarif", "for GitHub's code scanning"),
    ("ltspec validate --untrusted .", "specs from strangers, nothing outside this directory"),
)
DESCRIPTION = (
    "Check spec files: YAML, schema, variables, templates, ids, needs. It depends only on the\n"
    "files and options given, never on this host; values that are not given are taken from the\n"
    "examples of the inputs. What cannot be checked without a value is named, and a problem with\n"
    "--strict. A comment `# ltspec: ignore LT502` silences a warning on its line. Exit code 0: no\n"
    "problems, 1: problems, 2: wrong usage."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("paths", metavar="PATH", nargs="*",
                        help="a file, a directory, a glob, or - for standard input (default: jobs)")
    arguments.add_variables(parser)
    parser.add_argument("--strict", action="store_true",
                        help="count warnings as errors, and what could not be checked")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--format", choices=findings.FORMATS,
                       help="default: that of the CI system that runs it, else text")
    forms.add_argument("--json", action="store_const", const="json", dest="format",
                       help="the same as --format json")
    parser.add_argument("--untrusted", action="store_true",
                        help="for specs from strangers: no files outside --root, bounded time "
                             "and memory")
    parser.add_argument("--root", metavar="DIR",
                        help="what --untrusted may read (default: the working directory)")


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 where there is an error."""
    if args.root and not args.untrusted:
        raise UsageError("--root is what --untrusted may read\nadd --untrusted, or leave it out")
    form = args.format or findings.chosen(os.environ)
    report = _untrusted(args) if args.untrusted else _report(args, _paths(args))
    findings.print_report(report, form, os.environ)
    return 1 if report.failed else 0


def _paths(args: argparse.Namespace) -> list[str]:
    if args.paths:
        return list(args.paths)
    if not os.path.isdir(DEFAULT_PATH):
        raise UsageError("there is no jobs/ here\nname the spec files or directories to validate")
    return [DEFAULT_PATH]


def _report(args: argparse.Namespace, paths: Sequence[str], root: str | None = None,
            say: Callable[[str], None] = lambda _name: None) -> Report:
    from ltspec import spec

    given = spec.parse_extra_vars(args.extra_vars)
    config, problems = _config(args)
    loaded = spec.load(paths, config=config, extra_vars=given, for_host=False,
                       untrusted_root=root, before=say)
    return _built(args, loaded, problems)


def _config(args: argparse.Namespace) -> tuple[Config, tuple[Problem, ...]]:
    """The config, given or beside the specs; its problems are reported with the others."""
    from ltspec import config

    if args.untrusted and not args.config:
        return config.Config(), ()
    try:
        return config.load_given(args.config), ()
    except InvalidSpec as error:
        return config.Config(), error.problems


def _built(args: argparse.Namespace, loaded: Loaded, problems: tuple[Problem, ...]) -> Report:
    from ltspec.output.findings import Report

    seen = {*loaded.files}                    # a config among the files is told of with them
    found = [problem for problem in problems if os.path.realpath(problem.file) not in seen]
    return Report(
        problems=(*found, *loaded.problems, *(loaded.unchecked if args.strict else ())),
        files=loaded.names,
        tasks=len(loaded.tasks),
        skipped=len(loaded.skipped),
        unknown=loaded.unknown,
        strict=args.strict,
        unchecked=() if args.strict else loaded.unchecked,
    )


def _untrusted(args: argparse.Namespace) -> Report:
    """The report, made in a child process that cannot use more than its share. A file that would
    is named, and the others are checked once more without it.
    """
    import time

    from ltspec.commands.confinement import WALL_SECONDS, Stopped, confined
    from ltspec.output.findings import Report
    from ltspec.spec.problems import Problem

    paths = _paths(args)                      # a wrong usage is told from here
    deadline = time.monotonic() + WALL_SECONDS
    stopped: list[Problem] = []
    while True:
        without = frozenset(problem.file for problem in stopped)
        answer = confined(partial(_confined_report, args, without), deadline)
        if not isinstance(answer, Stopped):
            break
        hint = "look for what grows or repeats in it"
        stopped.append(Problem("LT305", answer.reason, answer.at, hint=hint))
        if not answer.at or "-" in paths or time.monotonic() >= deadline:
            hint += "; the other files were not checked"
            stopped[-1] = stopped[-1]._replace(hint=hint)
            return Report(tuple(stopped), (), 0, strict=args.strict)
    report = Report(*answer)
    found = (Problem(*row) for row in report.problems)
    return report._replace(
        files=(*(problem.file for problem in stopped), *report.files),
        # What a task needs may be in a file that was left out.
        problems=(*stopped, *(one for one in found if not stopped or one.code != "LT402")),
        unchecked=tuple(Problem(*row) for row in report.unchecked),
    )


def _confined_report(args: argparse.Namespace, without: frozenset[str],
                     say: Callable[[str], None]) -> tuple[object, ...]:
    """In the child: the report without some files, as a tuple for JSON."""
    from ltspec.spec import finding_files

    root = args.root or "."
    if not without:
        return tuple(_report(args, _paths(args), root, say))
    found, problems = finding_files.find(_paths(args), root)
    report = _report(args, [one.name for one in found if one.name not in without], root, say)
    return tuple(report._replace(problems=(*problems, *report.problems)))
