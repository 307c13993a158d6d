"""`ltspec schema`: print the JSON Schema of spec files or of the configuration."""

from __future__ import annotations

from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (
    ("ltspec schema > job.schema.json", "then, on a spec's first line: "
     "# yaml-language-server: $schema=../job.schema.json"),
    ("ltspec schema config", "the one of ltspec.yml"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("which", nargs="?", choices=("job", "config"), default="job",
                        help="of which files (default: job)")


def run(args: argparse.Namespace) -> int:
    """Print it; always 0."""
    from ltspec.spec import schema

    plain.line(schema.standalone(args.which).rstrip("\n"))
    return 0
