"""`ltspec wake`: start the supervisor, which goes on with whatever waits. For `@reboot`."""

from __future__ import annotations

from ltspec.commands import arguments, session
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (
    ("ltspec wake", "go on after a reboot, a kill, an upgrade"),
    ("ltspec wake --json", "who it is, for a program"),
)
DESCRIPTION = (
    "Start the supervisor where none runs; it goes on with what waits and leaves when there is\n"
    "nothing to do. It also brings the catalogue to this version. In a crontab:\n"
    "\n"
    "  @reboot ltspec wake"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Start it; 0 also where nothing was ever applied."""
    config = session.config_of(args)
    where = session.places_from(config)
    if not session.has_catalogue(where):
        if args.json:
            from ltspec.output import records

            records.document({"pid": None, "version": None, "survives": None})
        else:
            plain.line(session.nothing_yet(where).split("\n")[0])
        return 0
    with session.connect(where, idle_exit=config.idle_exit) as connection:
        session.tell(where, connection)
        hello = connection.hello
        session.tell_if_mortal(connection)
    if args.json:
        from ltspec.output import records

        records.document({key: hello.get(key) for key in ("pid", "version", "survives")})
    else:
        plain.line(f"the supervisor runs: process {hello.get('pid')}")
    return 0
