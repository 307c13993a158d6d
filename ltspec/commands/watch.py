"""`ltspec watch`: apply spec files as they are dropped into directories.

Events of watchfiles only say when to look; what is done depends on the files alone (inode, size,
time), so a lost event or a replaced directory loses no file. A file that somebody has open for
writing, or that changed a moment ago, is left for the next look. Files are applied together; where
that is refused, the two halves are tried by themselves, so a broken one holds up no other.
"""

from __future__ import annotations

import os
import signal
import time

from ltspec.commands import declaring, session
from ltspec.commands.dropped import Files
from ltspec.errors import CannotDo, InvalidSpec, LtspecError, NotFound
from ltspec.output import plain, recap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ltspec.config import Config
    from ltspec.paths import Places

EXAMPLES = (
    ("ltspec watch jobs/", "apply what is in it, then whatever is dropped into it"),
    ("ltspec watch jobs/ --once", "only what is there now"),
)
DESCRIPTION = (
    "Apply the spec files of directories, and then each file that is added or changed, once it\n"
    "has been written to its end. Broken ones are reported once and kept out until they change.\n"
    "Only a changed definition runs an ended task again. Runs until Ctrl-C or SIGTERM; as a\n"
    "service with the unit in docs/operations.md."
)
_GATHER_MS = 100            # events within this time are one
_LOOK_MS = 1000             # a look without an event: files being closed, a lost or early event


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("directories", metavar="DIR", nargs="+", help="directories to watch")
    parser.add_argument("-e", "--extra-var", dest="extra_vars", metavar="K=V|@FILE",
                        action="append", default=[],
                        help="a variable, or a file of variables; may be repeated")
    parser.add_argument("--remove-missing", action="store_true",
                        help="take away waiting tasks whose declaration is gone")
    parser.add_argument("--once", action="store_true", help="apply what is there and leave")


def run(args: argparse.Namespace) -> int:
    """Watch until interrupted; with --once 1 where a file could not be applied."""
    config = session.config_of(args)
    for directory in args.directories:
        if not os.path.isdir(directory):
            raise NotFound(f"there is no directory {directory}\nmake it, then watch it")
    signal.signal(signal.SIGIO, signal.SIG_IGN)      # what a lease that is broken would send
    watcher = Watcher(args, config, session.places_from(config))
    watcher.look(everything=args.once)
    if args.once:
        return 1 if watcher.held else 0
    log(f"watching {', '.join(map(plain.safe, args.directories))}")
    for _ in _events(args.directories):
        watcher.look()
    return 0


def log(text: str) -> None:
    """One line with its time, at once."""
    plain.line(f"{time.strftime('%H:%M:%S')} {text}")
    plain.flush()


class Watcher:
    """Applies what `files` finds. `held`: the files that are kept out, and the reason told."""

    def __init__(self, args: argparse.Namespace, config: Config, where: Places) -> None:
        self.args = args
        self.config = config
        self.where = where
        self.files = Files(args.directories)
        self.held: dict[str, str] = {}
        self._again: set[str] = set()

    def look(self, *, everything: bool = False) -> None:
        """Apply what is new or changed; `everything`: also what was written a moment ago."""
        due, gone = self.files.look(everything=everything)
        for path in gone:
            self.held.pop(path, None)
            self._again.discard(path)
            self._gone(path)
        self._apply([*due, *(path for path in sorted(self._again) if path not in due)])

    def _apply(self, paths: Sequence[str]) -> None:
        if not paths:
            return
        try:
            declared = self._declare(paths)
        except LtspecError as error:
            if len(paths) > 1 and not isinstance(error, CannotDo):
                self._apply(paths[: len(paths) // 2])
                self._apply(paths[len(paths) // 2 :])
                return
            for path in paths:
                self._hold(path, error)
            return
        for path in paths:
            self.held.pop(path, None)
            self._again.discard(path)
        for line in (*recap.task_lines(declared), *recap.recap_lines(declared)):
            log(line)

    def _declare(self, paths: Sequence[str]) -> recap.Declared:
        from argparse import Namespace

        given = Namespace(files=paths, extra_vars=self.args.extra_vars, tags="", skip_tags="")
        loaded = declaring.load(given, self.config)
        with session.connect(self.where, idle_exit=self.config.idle_exit) as connection:
            store = session.writer(self.where)
            try:
                with store.write(durable=True):
                    declared = declaring.declare(
                        store, loaded, self.config, force=False,
                        remove_missing=self.args.remove_missing,
                    )
            finally:
                store.close()
            session.tell(self.where, connection)
        return declared

    def _hold(self, path: str, error: LtspecError) -> None:
        """Keep it out. Only its own problems are final; what it needs, or the disk, may come."""
        reason = str(error).split("\n")[0]
        if not isinstance(error, InvalidSpec):
            self._again.add(path)
            if self.held.get(path) != reason:
                log(f"{plain.safe(recap.file_name(path))}: kept out: {plain.safe(reason)}")
        else:
            from ltspec.output.findings import print_problems

            self._again.discard(path)
            count = plain.plural(len(error.problems), "problem")
            log(f"{plain.safe(recap.file_name(path))}: {count}, kept out until it changes")
            print_problems(error.problems)
        self.held[path] = reason

    def _gone(self, path: str) -> None:
        shown = plain.safe(recap.file_name(path))
        if not self.args.remove_missing:
            log(f"{shown}: gone; its tasks are left alone")
            return
        names = ", ".join(map(plain.safe, declaring.remove_of_file(self.where, path)))
        log(f"{shown}: gone; " + (f"taken away: {names}" if names else "nothing of it waited"))


def _events(directories: Sequence[str]) -> Iterator[None]:
    """One turn after each burst of events, and now and then without one."""
    import watchfiles

    while True:
        there = [directory for directory in directories if os.path.isdir(directory)]
        inodes = _inodes(directories)
        # Where all are gone, the nearest directory above tells when one comes back.
        watched = there or [_nearest(directories[0])]
        try:
            for _ in watchfiles.watch(
                *watched, watch_filter=None, step=_GATHER_MS, recursive=bool(there),
                rust_timeout=_LOOK_MS, yield_on_timeout=True, ignore_permission_denied=True,
            ):
                yield
                if _inodes(directories) != inodes:
                    break
        except FileNotFoundError:
            yield      # it went away before it was watched


def _inodes(directories: Sequence[str]) -> list[tuple[int, int] | None]:
    found: list[tuple[int, int] | None] = []
    for directory in directories:
        try:
            facts = os.stat(directory)
        except OSError:
            found.append(None)
        else:
            found.append((facts.st_dev, facts.st_ino))
    return found


def _nearest(directory: str) -> str:
    place = os.path.dirname(os.path.abspath(directory))
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    return place
