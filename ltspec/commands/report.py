"""`ltspec report`: the reports to the panel that need a look, and sending them again."""

from __future__ import annotations

from ltspec import clock
from ltspec.catalogue import finding, outbox
from ltspec.commands import arguments, session
from ltspec.errors import NotFound, UsageError
from ltspec.output import plain, tasklist

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.catalogue import Store
    from ltspec.catalogue.outbox import Listed

EXAMPLES = (
    ("ltspec report", "the reports that wait for the panel or that it refused"),
    ("ltspec report --all", "those that it took, too"),
    ("ltspec report --resend backups/backup-u1001", "tell the panel once more how it ended"),
    ("ltspec report --resend --failed", "send all that the panel refused again"),
)
DESCRIPTION = (
    "Show the reports to the panel that wait or have failed, or send reports again.\n"
    "Only the newest end of a task is ever sent: an older one would show a state that is over."
)
_UNSENT = ("pending", "failed")
_HEAD = ("STATE", "TASK", "STATUS", "TRIES", "NEXT", "ANSWER")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_tasks(parser, optional=True)
    parser.add_argument("--all", action="store_true", help="sent and superseded ones, too")
    parser.add_argument("--resend", action="store_true", help="send the tasks' last reports again")
    parser.add_argument("--failed", action="store_true", help="only those that were given up")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """List, or mark for sending and wake the supervisor."""
    return _resend(args) if args.resend else _list(args)


def _list(args: argparse.Namespace) -> int:
    where = session.places_of(args)
    store = session.reader(where)
    states = ("failed",) if args.failed else () if args.all else _UNSENT
    found: list[Listed] = []
    if store is not None:
        found = outbox.listed(store, states)
        keys = {task.key for task in finding.named(store, args.tasks, where.run_dir)}
        found = [one for one in found if not args.tasks or one.report.task in keys]
    if args.json:
        from ltspec.output import records

        rows = [{"reference": _reference(one), **records.report(one.report)} for one in found]
        records.document({"reports": rows})
        return 0
    now = clock.now().wall
    tasklist.show([_cells(one, now) for one in found], _words(len(found), states), _HEAD)
    return 0


def _words(count: int, states: tuple[str, ...]) -> str:
    return plain.plural(count, "report") + (" not sent" if states == _UNSENT else "")


def _reference(one: Listed) -> str:
    return f"{one.queue}/{one.id}" if one.queue else one.id


def _cells(one: Listed, now: float) -> tuple[str, ...]:
    report = one.report
    due = plain.clock(report.next_try, now) if report.state == "pending" else "-"
    return (
        report.state, _reference(one), report.status, str(report.tries), due,
        report.answer or report.errmsg,
    )


def _resend(args: argparse.Namespace) -> int:
    if not args.tasks and not args.failed:
        raise UsageError("report --resend needs tasks, or --failed for all that were given up")
    where = session.places_of(args)
    session.existing(where).close()
    with session.connect(where) as connection:
        store = session.writer(where)
        keys = _wanted(args, store, where.run_dir)
        with store.write():
            refused = [name for key, name in keys.items()
                       if not outbox.resend(store, key, now=clock.now().wall)]
        connection.sync()
    if refused:
        raise NotFound(f"no report to send: {', '.join(refused)}\n"
                       "a task has one once it has ended and names a panel's manager")
    plain.line(f"{plain.plural(len(keys), 'report')} to be sent")
    return 0


def _wanted(args: argparse.Namespace, store: Store, run_dir: str) -> dict[int, str]:
    """The tasks to report again, with the names to speak of them."""
    keys = {task.key: task.reference for task in finding.named(store, args.tasks, run_dir)}
    if args.failed:
        keys.update({key: str(key) for key in outbox.failed_tasks(store)})
    return keys
