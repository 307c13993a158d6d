"""`ltspec watch`: apply spec files as they are dropped into directories.

Events of watchfiles only say when to look; what is done depends on the files alone (inode, size,
time), so a lost event or a replaced directory loses no file. Without an event there is a look each
second while something is pending, else every ten. A file that somebody has open for
writing, or that changed a moment ago, is left for the next look. Files are applied together; the
broken ones are taken out, and where the catalogue refuses them the two halves are tried by
themselves: none holds up another.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing

from ltspec import spec
from ltspec.commands import arguments, declaring, reading, session
from ltspec.commands.dropped import Files
from ltspec.errors import CannotDo, InvalidSpec, LtspecError, NotFound
from ltspec.output import plain, recap
from ltspec.output.findings import print_problems
from ltspec.spec.problems import ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ltspec.config import Config
    from ltspec.output.recap import Declared
    from ltspec.paths import Places
    from ltspec.spec.problems import Problem

EXAMPLES = (
    ("ltspec watch jobs/", "apply what is in it, then whatever is dropped into it"),
    ("ltspec watch jobs/ --once", "only what is there now"),
)
DESCRIPTION = (
    "Apply the spec files of directories, and then each file that is added or changed, once it\n"
    "has been written to its end. Broken ones are reported once and kept out until they change.\n"
    "Only a changed definition runs an ended task again, whatever `rerun` says. A directory that\n"
    "is away or cannot be read takes nothing away. Runs until Ctrl-C or SIGTERM; as a service\n"
    "with the unit in docs/operations.md."
)
_UNUSED_VARIABLE = "LT310"
_GATHER_MS = 100            # events within this time are one
_TURN_MS = 1000             # a turn without an event
_LOOKS = (0, 1)             # after how many of them: a new directory may have told too late
_QUIET_TURNS = 10           # and after each so many, even where nothing is pending


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("directories", metavar="DIR", nargs="+", help="directories to watch")
    arguments.add_variables(parser)
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
    quiet = 0
    for told in _events(args.directories):
        quiet = 0 if told or watcher.pending else quiet + 1
        if quiet in _LOOKS or quiet % _QUIET_TURNS == 0:
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
        self._unread: set[str] = set()

    @property
    def pending(self) -> bool:
        """True where a look is needed although no event comes."""
        return self.files.pending or bool(self._again)

    def look(self, *, everything: bool = False) -> None:
        """Apply what is new or changed; `everything`: also what was written a moment ago."""
        due, gone = self.files.look(everything=everything)
        self._tell_unread()
        for path in gone:
            self.held.pop(path, None)
            self._again.discard(path)
            self._gone(path)
        self._apply([*due, *(path for path in sorted(self._again) if path not in due)])

    def _tell_unread(self) -> None:
        for place in sorted(self.files.unread - self._unread):
            log(f"{plain.safe(recap.file_name(place))}: cannot be read now, its files are left")
        for place in sorted(self._unread - self.files.unread):
            log(f"{plain.safe(recap.file_name(place))}: can be read again")
        self._unread = self.files.unread

    def _apply(self, paths: Sequence[str]) -> None:
        """All of them together; where that is refused, those that can be."""
        if not paths:
            return
        try:
            declared = self._declare(paths)
        except InvalidSpec as error:
            self._apply_others(paths, self._broken(paths, error))
        except CannotDo as error:
            self._hold(paths, error)
        except LtspecError as error:
            if len(paths) == 1:
                self._hold(paths, error)
            self._apply_others(paths, [])
        else:
            for path in paths:
                self.held.pop(path, None)
                self._again.discard(path)
            for line in recap.brief_lines(declared):
                log(line)

    def _apply_others(self, paths: Sequence[str], broken: Sequence[str]) -> None:
        """Without the broken ones; where it is not known which, the two halves."""
        if broken:
            self._apply([path for path in paths if path not in broken])
        elif len(paths) > 1:
            self._apply(paths[: len(paths) // 2])
            self._apply(paths[len(paths) // 2 :])

    def _declare(self, paths: Sequence[str]) -> Declared:
        loaded, problems = reading.read(
            list(map(recap.file_name, paths)), self.config,
            extra_vars=spec.parse_extra_vars(self.args.extra_vars),
        )
        # A variable that none of the files at hand uses may be there for another one.
        problems = tuple(one for one in problems if one.code != _UNUSED_VARIABLE)
        reading.raise_errors(problems)
        if problems:
            print_problems(problems)
        with session.connect(self.where, idle_exit=self.config.idle_exit) as connection:
            with closing(session.writer(self.where)) as store, store.write(durable=True):
                declared = declaring.declare(
                    store, loaded, self.config, changes_only=True,
                    remove_missing=self.args.remove_missing,
                )
            session.tell(self.where, connection)
        return declared

    def _broken(self, paths: Sequence[str], error: InvalidSpec) -> list[str]:
        """Those that the problems name, kept out until they change."""
        problems: dict[str, list[Problem]] = {}
        for problem in error.problems:
            path = os.path.abspath(problem.file) if len(paths) > 1 else paths[0]
            problems.setdefault(path, []).append(problem)
        broken = [path for path in paths
                  if any(one.severity == ERROR for one in problems.get(path, ()))]
        for path in broken:
            self._again.discard(path)
            self.held[path] = str(error)
            count = plain.plural(len(problems[path]), "problem")
            log(f"{plain.safe(recap.file_name(path))}: {count}, kept out until it changes")
            print_problems(problems[path])
        return broken

    def _hold(self, paths: Sequence[str], error: LtspecError) -> None:
        """Try them again at each look: what they need, or the disk, may come."""
        reason = str(error).split("\n")[0]
        new = [path for path in paths if self.held.get(path) != reason]
        if new:
            what = recap.file_name(new[0]) if len(new) == 1 else f"{len(new)} files"
            log(f"{plain.safe(what)}: kept out for now: {plain.safe(reason)}")
        self._again.update(paths)
        self.held.update(dict.fromkeys(paths, reason))

    def _gone(self, path: str) -> None:
        shown = plain.safe(recap.file_name(path))
        if not self.args.remove_missing:
            log(f"{shown}: gone; its tasks are left alone")
            return
        names = ", ".join(map(plain.safe, declaring.remove_of_file(self.where, path)))
        log(f"{shown}: gone; " + (f"taken away: {names}" if names else "nothing of it waited"))


def _events(directories: Sequence[str]) -> Iterator[bool]:
    """True after each burst of events, False after each second without one."""
    import watchfiles

    while True:
        there = [directory for directory in directories if os.path.isdir(directory)]
        inodes = _inodes(directories)
        # Where all are gone, the nearest directory above tells when one comes back.
        watched = there or [_nearest(directories[0])]
        begun = True      # what came before it watched is not told
        try:
            for changes in watchfiles.watch(
                *watched, watch_filter=None, step=_GATHER_MS, recursive=bool(there),
                rust_timeout=_TURN_MS, yield_on_timeout=True, ignore_permission_denied=True,
            ):
                replaced = _inodes(directories) != inodes
                yield bool(changes) or replaced or begun
                begun = False
                if replaced:
                    break
        except FileNotFoundError:
            yield True      # it went away before it was watched


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
