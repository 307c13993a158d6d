"""`ltspec apply`: make the tasks of spec files happen; the same again changes nothing."""

from __future__ import annotations

from ltspec.commands import arguments, reading, session
from ltspec.errors import UsageError
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.output.recap import Declared

EXAMPLES = (
    ("ltspec apply jobs/backup.yml -e account=u1001", "one file, with a variable"),
    ("ltspec apply jobs/ --wait", "all of a directory, and watch until they have ended"),
    ("ltspec apply jobs/backup.yml --rerun", "run them again although they ended well"),
    ("ltspec apply jobs/ --check --diff", "only say what would change, and how"),
    ("ltspec apply jobs/ --remove-missing", "take away what waits and is in no file any more"),
)
DESCRIPTION = (
    "Bring the tasks of spec files into the catalogue: new ones are created, changed ones run\n"
    "again, what is the same is left alone. Where any spec is wrong, nothing is applied.\n"
    "The last lines count, a file a line, what was done."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    reading.add_arguments(parser)
    parser.add_argument("--wait", action="store_true", help="wait until all of them have ended")
    arguments.add_limit(parser)
    parser.add_argument("--check", action="store_true", help="change nothing, say what would be")
    parser.add_argument("--diff", action="store_true", help="show how definitions change")
    arguments.add_json(parser, "JSON: one document, with --wait then JSON Lines of events")


def run(args: argparse.Namespace) -> int:
    """Apply; 1 where a task was refused, with --wait also where one did not end OK."""
    if args.timeout is not None and not args.wait:
        raise UsageError("--timeout is the time limit of --wait")
    if args.check:
        from ltspec.commands.planning import check

        return check(args)
    config = session.config_of(args)
    where = session.places_from(config)
    with session.Beginning(where, config.idle_exit) as beginning:
        loaded = reading.load(args, config, fits=beginning.begin)
    from ltspec.commands import declaring

    texts = [task.to_json() for task in loaded.tasks]    # while the supervisor starts
    chosen = bool(args.tags or args.skip_tags)
    with session.connect(
        where, idle_exit=config.idle_exit, begun=beginning.begun
    ) as connection:
        session.tell_if_mortal(connection)
        store = session.writer(where)
        with store.write(durable=True):
            declared = declaring.declare(
                store, loaded, config, force=args.rerun, remove_missing=args.remove_missing,
                explain=args.diff, partial_files=chosen, texts=texts,
            )
        session.tell(where, connection)
    _tell(args, declared)
    code = 1 if declared.refused else 0
    if not args.wait:
        return code
    from ltspec.commands.waiting import wait_for

    return wait_for(where, store, declared.keys(), json=args.json, timeout=args.timeout) or code


def _tell(args: argparse.Namespace, declared: Declared) -> None:
    from ltspec.output import recap

    if args.json:
        from ltspec.output import records

        (records.stream if args.wait else records.document)(recap.record(declared))
        return
    if args.diff:
        from ltspec.output.difference import difference_lines

        plain.lines(difference_lines(declared))
    recap.show([*recap.task_lines(declared), *recap.recap_lines(declared)])
    if not args.wait:
        plain.lines(recap.hints(declared))
    plain.flush()
