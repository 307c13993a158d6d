"""`ltspec supervise`: be the supervisor in the foreground, for systemd or another manager."""

from __future__ import annotations

import os
import sys

from ltspec.commands import session
from ltspec.errors import CannotDo
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (("ltspec supervise", "until SIGTERM; tasks run on, the next one takes them over"),)
DESCRIPTION = (
    "Run the supervisor in the foreground; it does not leave when idle. SIGTERM ends it and\n"
    "leaves the tasks running, SIGHUP replaces it by the installed version. A unit for systemd is\n"
    "in docs/operations.md."
)


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """This command has no options of its own."""


def run(args: argparse.Namespace) -> int:
    """Become the guardian; does not return unless that is impossible.

    As any who start one it holds start.lock until the door is open: a command that comes meanwhile
    waits for this supervisor and starts none beside it.
    """
    import fcntl

    from ltspec import program
    from ltspec.paths import make_private
    from ltspec.starter import fixed_environment

    where = session.places_from(session.config_of(args))
    make_private(where.state_dir)
    plain.flush()
    try:
        lock = os.open(where.start_lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock, True)
        argv = [
            *program.words("ltspec.supervisor.guardian"), "--state-dir",
            where.state_dir, "--run-dir", where.run_dir, "--start-lock-fd", str(lock),
        ]
        os.execve(sys.executable, argv, fixed_environment())
    except OSError as error:
        what = error.filename or sys.executable
        raise CannotDo(f"cannot start the supervisor: {what}: {error.strerror}") from error
