"""From the arguments of a command to the tasks of its spec files, or to their problems.

Nothing of the catalogue is loaded for it: a supervisor that starts meanwhile needs the time.
"""

from __future__ import annotations

from functools import partial

from ltspec.commands import arguments
from ltspec.errors import InvalidSpec
from ltspec.paths import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from ltspec.config import Config
    from ltspec.spec.loading import Loaded
    from ltspec.spec.problems import Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every command that takes spec files."""
    parser.add_argument(
        "files", metavar="FILE|DIR", nargs="+", help="spec files, directories of them, or - (stdin)"
    )
    arguments.add_variables(parser)
    parser.add_argument("--rerun", action="store_true", help="run ended tasks again, whatever")
    arguments.add_tags(parser)
    parser.add_argument(
        "--remove-missing", action="store_true",
        help="take away waiting tasks that are no longer in their file",
    )


def load(
    args: argparse.Namespace, config: Config, *, fits: Callable[[], None] = lambda: None
) -> Loaded:
    """The tasks of the files. Prints warnings; raises InvalidSpec with all problems. `fits` as in
    `spec.load`."""
    from ltspec import spec
    from ltspec.output.findings import print_problems

    loaded, problems = read(
        args.files, config, extra_vars=spec.parse_extra_vars(args.extra_vars),
        tags=args.tags, skip_tags=args.skip_tags, fits=fits,
    )
    raise_errors(problems)
    if problems:
        print_problems(problems)
    return loaded


def read(
    files: Sequence[str], config: Config, *, extra_vars: Mapping[str, Any],
    tags: Sequence[str] = (), skip_tags: Sequence[str] = (),
    fits: Callable[[], None] = lambda: None,
) -> tuple[Loaded, tuple[Problem, ...]]:
    """The tasks of the files and all problems, those with this host too. Prints nothing."""
    from ltspec import client, spec
    from ltspec.spec import host

    loaded = spec.load(
        files, config=config, extra_vars=extra_vars, for_host=True, tags=tags, skip_tags=skip_tags,
        fits=fits,
    )
    obstacle = partial(client.group_obstacle, places(config))
    return loaded, (*loaded.problems, *(host.check(loaded, obstacle) if loaded.valid else ()))


def raise_errors(problems: Sequence[Problem]) -> None:
    """Raise InvalidSpec with all problems where one of them is an error."""
    if any(problem.severity == "error" for problem in problems):
        raise InvalidSpec("nothing was done: the specs have problems", tuple(problems))
