"""`ltspec list`: running tasks, waiting ones in the order of their turn, ended ones of a day."""

from __future__ import annotations

from ltspec import clock
from ltspec.catalogue import listing, queues
from ltspec.commands import arguments, session
from ltspec.output import plain, progress, tasklist

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.catalogue import Store
    from ltspec.model import Task
    from ltspec.output.tasklist import Shown
    from ltspec.paths import Places

EXAMPLES = (
    ("ltspec list", "what runs, what waits, what ended in the last 24 hours; at most 50"),
    ("ltspec list --failed --since 7d", "everything that failed within a week"),
    ("ltspec list -q backups --all", "everything of one queue"),
    ("ltspec list --sort duration -n 10", "the ten that took longest"),
    ("ltspec list --json", "for a program; the keys are in docs/commands.md"),
)
DESCRIPTION = (
    "Show running tasks, waiting ones in the order of their turn, and those that ended in the\n"
    "last 24 hours, at most 50. The last line has the totals and counts what is not shown."
)
_DAY = 86400.0
_PAGE = 50
_ALL = 10**9
_STATUSES = ("QUE", "RUN", "OK", "ERR")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("--all", action="store_true", help="of any age, and any number of them")
    arguments.add_queue(parser, "only this queue; '' is the tasks without a queue")
    parser.add_argument("--manager", metavar="NAME", help="only tasks of this manager")
    parser.add_argument(
        "--status", metavar="S", type=_statuses, help="only these, by comma: que, run, ok, err"
    )
    parser.add_argument("--failed", action="store_true", help="the same as --status err")
    parser.add_argument("--tag", metavar="TAG", help="only tasks with this tag")
    parser.add_argument(
        "--since", metavar="TIME", type=arguments.instant, help="leave out what ended before"
    )
    parser.add_argument(
        "--sort", choices=sorted(listing.SORTS), help="another order than that of life"
    )
    parser.add_argument("-n", "--limit", metavar="N", type=arguments.positive, help="at most N")
    parser.add_argument("--reports", action="store_true", help="the reports to the panel instead")
    arguments.add_json(parser)


def _statuses(text: str) -> tuple[str, ...]:
    import argparse

    words = tuple(word.strip().upper() for word in text.split(","))
    if unknown := [word for word in words if word not in _STATUSES]:
        wrong = unknown[0].lower()
        raise argparse.ArgumentTypeError(f"{wrong!r} is no status; write que, run, ok or err")
    return words


def run(args: argparse.Namespace) -> int:
    """Print the page; 0 also where it is empty."""
    where = session.places_of(args)
    now = clock.now().wall
    store = session.reader(where)
    if store is None:
        return _empty(args, where)
    if args.reports:
        return _reports(args, store)
    queues.require(store, args.queue)
    wanted = _wanted(args, now)
    shown = _page(args, store, wanted, now)
    counts = listing.counts(store, listing.Filter(wanted.manager, wanted.queue, tag=wanted.tag))
    shown = [one._replace(progress=progress.of_task(where, one.task)) for one in shown]
    if args.json:
        _json(where, shown, counts, now)
        return 0
    if not counts.total and not _narrowed(args):
        plain.line(session.nothing_yet(where).split("\n")[0])
        return 0
    if args.failed and not shown and not plain.on_terminal():
        return 0     # for the cron line that mails what has failed
    rows = [tasklist.cells(one, now) for one in shown]
    tasklist.show(rows, tasklist.totals(counts, counts.total - len(shown)))
    session.tell_if_nobody_works(where, store)
    return 0


def _empty(args: argparse.Namespace, where: Places) -> int:
    if args.json and args.reports:
        from ltspec.output import records

        records.document({"reports": []})
    elif args.json:
        _json(where, [], listing.Counts(0, 0, 0, 0), 0.0)
    else:
        first, more = session.nothing_yet(where).split("\n")
        plain.line(first)
        plain.note(more)
    return 0


def _narrowed(args: argparse.Namespace) -> bool:
    return any((args.queue is not None, args.manager, args.tag))


def _wanted(args: argparse.Namespace, now: float) -> listing.Filter:
    statuses = ("ERR",) if args.failed else args.status or ()
    since = args.since
    if since is None and not (args.all or statuses or args.sort):
        since = now - _DAY
    return listing.Filter(args.manager, args.queue, statuses, since, args.tag)


def _page(
    args: argparse.Namespace, store: Store, wanted: listing.Filter, now: float
) -> list[Shown]:
    limit = args.limit or (_ALL if args.all else _PAGE)
    paused = queues.paused(store)

    def row(task: Task, turn: int | None = None) -> Shown:
        return tasklist.Shown(task, turn, paused=(task.manager, task.queue) in paused)

    if args.sort:
        return [row(task) for task in listing.sorted_page(store, wanted, args.sort, limit, now)]
    some = wanted.statuses or _STATUSES
    running = listing.running(store, wanted, limit) if "RUN" in some else []
    waiting = listing.waiting(store, wanted, limit) if "QUE" in some else []
    ended = listing.ended(store, wanted, limit)
    left = limit - len(running)
    share = max(left // 2, left - len(ended))      # waiting and ended have half each, or the rest
    waiting = waiting[: max(0, share)]
    ended = ended[: left - len(waiting)]
    return [row(t) for t in running] + [row(t, n) for t, n in waiting] + [row(t) for t in ended]


def _json(where: Places, shown: list[Shown], counts: listing.Counts, now: float) -> None:
    from ltspec.output import records

    records.document(
        {
            "tasks": [
                records.task(one.task, where, now, turn=one.turn, progress=one.progress)
                for one in shown
            ],
            "counts": counts._asdict(),
            "hidden": counts.total - len(shown),
        }
    )


def _reports(args: argparse.Namespace, store: Store) -> int:
    from ltspec.catalogue import details
    from ltspec.output import records

    found = details.reports(store)[-(args.limit or (_ALL if args.all else _PAGE)) :]
    tasks = {task.key: task for task in listing.by_keys(store, [one.task for one in found])}
    if args.json:
        rows = [{"reference": tasks[r.task].reference, **records.report(r)} for r in found]
        records.document({"reports": rows})
        return 0
    head = ("STATE", "TASK", "STATUS", "TRIES", "ANSWER")
    cells = [
        (r.state, tasks[r.task].reference, r.status, str(r.tries), r.answer or r.errmsg)
        for r in found
    ]
    tasklist.show(cells, plain.plural(len(cells), "report"), head)
    return 0
