"""`ltspec why`: in one paragraph the reason that a task waits, or how it ended, and what to do."""

from __future__ import annotations

from ltspec import clock
from ltspec.catalogue import finding
from ltspec.commands import arguments, session
from ltspec.commands.facts import gather
from ltspec.output import plain, taskpage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (
    ("ltspec why backups/backup-u1002", "why it has not started yet"),
    ("ltspec why dump-u1001", "how it ended, and what to do next"),
)
_LAST_LINES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_tasks(parser, many=False)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the paragraph; 1 where the task is not found."""
    where = session.places_of(args)
    store = session.existing(where)
    now = clock.now().wall
    task = finding.find(store, args.task, where.run_dir)
    facts = gather(store, where, task, lines=_LAST_LINES)
    paragraph = taskpage.reason(facts, now)
    if args.json:
        from ltspec.output import records

        records.document({"reference": task.reference, "status": task.status, "reason": paragraph})
        return 0
    plain.line(taskpage.heading(facts))
    plain.lines(plain.wrapped(paragraph))
    plain.lines("  | " + plain.safe(one) for one in facts.last_lines)
    return 0
