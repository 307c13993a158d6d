"""`ltspec plan`: what apply would do at this moment, without doing it."""

from __future__ import annotations

from ltspec.commands import arguments, reading
from ltspec.commands.planning import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (
    ("ltspec plan jobs/", "what apply would do, and where each task would stand"),
    ("ltspec plan jobs/ --diff", "with the differences between the definitions"),
    ("ltspec plan jobs/ --detailed-exitcode", "exit code 4 where something would change"),
)
DESCRIPTION = (
    "Say for each task whether it would be created, changed, run again or left alone, why, what\n"
    "it would wait for, and its number in its queue. Changes nothing, starts nothing."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    reading.add_arguments(parser)
    parser.add_argument("--diff", action="store_true", help="show how definitions change")
    parser.add_argument(
        "--detailed-exitcode", action="store_true", help="exit code 4 where changes are pending"
    )
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the plan."""
    return check(args)
