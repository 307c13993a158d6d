"""`ltspec validate`: check spec files; the same answer on a laptop, in CI and on the server."""

from __future__ import annotations

import os

from ltspec.commands import arguments
from ltspec.errors import InvalidSpec, UsageError
from ltspec.output import findings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

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
    "--strict. Exit code 0: no problems, 1: problems, 2: wrong usage."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("paths", metavar="PATH", nargs="*",
                        help="a file, a directory, a glob, or - for standard input (default: jobs)")
    arguments.add_variables(parser)
    parser.add_argument("--strict", action="store_true",
                        help="count warnings as errors, and what could not be checked")
    parser.add_argument("--format", choices=findings.FORMATS,
                        help="default: that of the CI system that runs it, else text")
    parser.add_argument("--json", action="store_const", const="json", dest="format",
                        help="the same as --format json")
    parser.add_argument("--untrusted", action="store_true",
                        help="for specs from strangers: no files outside --root, bounded time "
                             "and memory")
    parser.add_argument("--root", metavar="DIR", default=".",
                        help="what --untrusted may read (default: the working directory)")


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 where there is an error."""
    form = args.format or findings.chosen(os.environ)
    report = _untrusted(args) if args.untrusted else _report(args, None)
    findings.print_report(report, form, os.environ)
    return 1 if report.failed else 0


def _paths(args: argparse.Namespace) -> list[str]:
    if args.paths:
        return list(args.paths)
    if not os.path.isdir(DEFAULT_PATH):
        raise UsageError("there is no jobs/ here\nname the spec files or directories to validate")
    return [DEFAULT_PATH]


def _report(args: argparse.Namespace, root: str | None) -> Report:
    from ltspec import spec

    given = spec.parse_extra_vars(args.extra_vars)
    config, problems = _config(args)
    loaded = spec.load(_paths(args), config=config, extra_vars=given, for_host=False,
                       untrusted_root=root)
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
    """The report, made in a child process that cannot use more than its share."""
    from ltspec.commands.confinement import confined
    from ltspec.output.findings import Report
    from ltspec.spec.problems import Problem

    _paths(args)                              # a wrong usage is told from here
    answer = confined(lambda: tuple(_report(args, args.root)))
    if isinstance(answer, str):
        hint = "look for what grows or repeats in the specs"
        return Report((Problem("LT305", answer, hint=hint),), (), 0, strict=args.strict)
    report = Report(*answer)
    return report._replace(files=tuple(report.files),
                           problems=tuple(Problem(*row) for row in report.problems),
                           unchecked=tuple(Problem(*row) for row in report.unchecked))
