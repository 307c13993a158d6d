"""`ltspec logs`: what tasks wrote, as they wrote it; -f waits for a start and follows retries."""

from __future__ import annotations

from ltspec.catalogue import details, finding
from ltspec.commands import arguments, session
from ltspec.errors import NotFound, Refused, UsageError
from ltspec.output import plain
from ltspec.output.logfile import LogFile
from ltspec.output.logprint import LogPrinter

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.catalogue import Store
    from ltspec.model import Task
    from ltspec.paths import Places

EXAMPLES = (
    ("ltspec logs backups/backup-u1001", "the output of its last attempt"),
    ("ltspec logs -n 20 backups/backup-u1001", "the last 20 lines"),
    ("ltspec logs -f backups/backup-u1001", "follow it until it has ended"),
    ("ltspec logs -f backups/a backups/b", "several at once, each line with its task"),
    ("ltspec logs --attempt 1 backups/backup-u1001", "what the first attempt wrote"),
)
DESCRIPTION = (
    "Print what tasks wrote on stdout and stderr, byte for byte. With -f it waits for a task that\n"
    "has not started, follows it through its retries, and ends with its final end.\n"
    "Logs of tasks with `no_log` are not shown."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_tasks(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="follow to the final end")
    parser.add_argument(
        "-n", "--lines", metavar="N", type=arguments.whole, help="begin with the last N lines"
    )
    parser.add_argument(
        "--attempt", metavar="N", type=arguments.positive, help="of this attempt, not the last"
    )
    parser.add_argument(
        "--since", metavar="TIME", type=arguments.instant,
        help="of every attempt that ran since then (2h, 2026-11-24T04:00)",
    )


def run(args: argparse.Namespace) -> int:
    """Print; 1 where there is nothing to print."""
    if args.follow and (args.attempt or args.since is not None):
        raise UsageError("-f follows what comes; --attempt and --since look back")
    where = session.places_of(args)
    store = session.existing(where)
    tasks = finding.named(store, args.tasks, where.run_dir)
    for task in tasks:
        _refuse_private(store, where, task)
    many = len(tasks) > 1
    printers = [LogPrinter(task.reference if many else "", n) for n, task in enumerate(tasks)]
    if args.follow:
        _follow(args, where, store, list(zip(tasks, printers, strict=True)))
        return 0
    for task, printer in zip(tasks, printers, strict=True):
        _print(args, where, store, task, printer)
    return 0


def _refuse_private(store: Store, where: Places, task: Task) -> None:
    if details.spec_of(store, task.key).no_log:
        raise Refused(
            f"{task.reference} has `no_log`: what it writes is not shown\n"
            f"the file is {where.log(task.manager, task.queue, task.id, max(1, task.attempts))}"
        )


def _follow(
    args: argparse.Namespace, where: Places, store: Store, tasks: list[tuple[Task, LogPrinter]]
) -> None:
    from ltspec.commands.following import Follower, follow

    try:
        follow(where, store, [Follower(where, task, to, args.lines) for task, to in tasks])
    except KeyboardInterrupt:
        plain.note("no longer following; the tasks go on")
        raise


def _print(
    args: argparse.Namespace, where: Places, store: Store, task: Task, printer: LogPrinter
) -> None:
    numbers = _attempts(args, store, task)
    for number in numbers:
        path = where.log(task.manager, task.queue, task.id, number)
        try:
            log = LogFile(path)
        except FileNotFoundError:
            if len(numbers) == 1:
                raise NotFound(f"attempt {number} of {task.reference} has no log: {path}") from None
            continue
        with log:
            if args.lines is not None:
                log.seek_last(args.lines)
            while data := log.read():
                printer.write(data)
            printer.end()


def _attempts(args: argparse.Namespace, store: Store, task: Task) -> list[int]:
    """Which attempts are wanted. Raises NotFound where there is none."""
    known = details.attempts(store, task.key)
    if args.since is not None:
        found = [a.number for a in known if a.ended is None or a.ended >= args.since]
        if not found:
            raise NotFound(f"{task.reference} has not run since then")
        return found
    if not task.attempts:
        raise NotFound(
            f"{task.reference} has not started: there is no log yet\n"
            f"`ltspec logs -f {task.reference}` waits for it"
        )
    number = args.attempt or task.attempts
    if number not in [attempt.number for attempt in known]:
        numbers = ", ".join(str(attempt.number) for attempt in known)
        raise NotFound(f"{task.reference} has no attempt {number}; there is {numbers}")
    return [number]
