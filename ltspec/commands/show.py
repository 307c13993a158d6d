"""`ltspec show`: one task with everything that is known of it."""

from __future__ import annotations

from ltspec import clock
from ltspec.catalogue import finding
from ltspec.commands import arguments, session
from ltspec.commands.facts import gather
from ltspec.output import plain, taskpage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.output.taskpage import Facts
    from ltspec.paths import Places

EXAMPLES = (
    ("ltspec show backups/backup-u1001", "one task"),
    ("ltspec show backup-u1001 --attempts", "with each of its attempts"),
    ("ltspec show backup-u1001 --json", "for a program"),
)
_LAST_LINES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_tasks(parser)
    parser.add_argument("--attempts", action="store_true", help="every attempt, not the last alone")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the pages; 1 where a task is not found."""
    where = session.places_of(args)
    store = session.existing(where)
    now = clock.now().wall
    tasks = finding.named(store, args.tasks, where.run_dir)
    pages = [gather(store, where, task, lines=_LAST_LINES) for task in tasks]
    if args.json:
        _json(where, pages, now)
        return 0
    for number, facts in enumerate(pages):
        if number:
            plain.line()
        plain.line(taskpage.heading(facts))
        plain.lines(taskpage.page(facts, where, now, all_attempts=args.attempts)[1:])
    if any(not facts.supervisor for facts in pages):
        plain.note("there is work and no supervisor runs; `ltspec wake` starts it")
    return 0


def _json(where: Places, pages: list[Facts], now: float) -> None:
    from ltspec.output import records

    documents = [records.page(facts, where, now) for facts in pages]
    records.document(documents[0] if len(documents) == 1 else {"tasks": documents})
