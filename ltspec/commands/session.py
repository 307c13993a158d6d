"""What a command needs of the installation: configuration, directories, catalogue, supervisor.

Readers never start the supervisor; they say when tasks wait and none runs. Who writes connects
first (that starts it, and it makes the catalogue), then commits, then tells it (DESIGN 5).
"""

from __future__ import annotations

import os

from ltspec.errors import CannotDo, NotFound
from ltspec.output import plain
from ltspec.paths import Places, check_private, places

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.catalogue import Store
    from ltspec.client import Connection
    from ltspec.config import Config
    from ltspec.starter import Begun


_IDLE_EXIT = 10.0
_TRIES = 3


def config_of(args: argparse.Namespace) -> Config:
    """The configuration in force, found as DESIGN 3 says."""
    from ltspec.config import load

    return load(args.config)


def places_of(args: argparse.Namespace) -> Places:
    """The directories in force. Where the environment names both, no configuration is read."""
    if not args.config and "LTSPEC_STATE_DIR" in os.environ and "LTSPEC_RUN_DIR" in os.environ:
        return places()
    return places(config_of(args))


def places_from(config: Config) -> Places:
    """The directories that a configuration, and the environment, name."""
    return places(config)


def has_catalogue(where: Places) -> bool:
    """True where something was ever applied.

    Raises CannotDo where the state directory is another user's, open to others or closed to us.
    """
    try:
        os.lstat(where.state_dir)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CannotDo(f"cannot use {where.state_dir}: {error.strerror}") from error
    check_private(where.state_dir)
    return os.path.exists(where.catalogue)


def reader(where: Places) -> Store | None:
    """The catalogue for reading; None where nothing was ever applied. The caller closes it.

    Raises what `has_catalogue` and `open_store` raise, and CannotDo where it belongs to another
    run directory: its PID-files are not where we would say.
    """
    if not has_catalogue(where):
        return None
    from ltspec.catalogue import open_store

    store = open_store(where.catalogue, read_only=True)
    recorded = store.setting("run_dir", where.run_dir)
    if recorded != where.run_dir:
        from ltspec.client import other_run_dir

        store.close()
        raise CannotDo(other_run_dir(recorded, where))
    return store


def existing(where: Places) -> Store:
    """The catalogue for reading. Raises NotFound where there is none, saying whose."""
    store = reader(where)
    if store is None:
        raise NotFound(nothing_yet(where))
    return store


def writer(where: Places) -> Store:
    """The catalogue for writing, after a supervisor has answered."""
    from ltspec.catalogue import open_store

    return open_store(where.catalogue)


class Beginning:
    """A supervisor that is started beside other work, once `begin` is called; given up where that
    work fails. `connect` takes it over."""

    def __init__(self, where: Places, idle_exit: float) -> None:
        self._where = where
        self._idle_exit = idle_exit
        self.begun: Begun | None = None

    def __enter__(self) -> Beginning:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and self.begun is not None:
            self.begun.abandon()

    def begin(self) -> None:
        """Start one where none answers, and do not wait for it."""
        from ltspec.client import begin

        self.begun = begin(self._where, self._idle_exit)


def connect(
    where: Places, *, idle_exit: float = _IDLE_EXIT, begun: Begun | None = None
) -> Connection:
    """A supervisor, started where none answers. Raises SupervisorError.

    `idle_exit`: after how many seconds without work one that is started here leaves.
    """
    from ltspec.client import connect as reach
    from ltspec.errors import SupervisorError

    connection = reach(where, idle_exit=idle_exit, begun=begun)
    if connection is None:
        raise SupervisorError("no supervisor could be started; see `ltspec doctor`")
    return connection


def tell(where: Places, connection: Connection) -> None:
    """Let the supervisor follow up what was committed. One that dies meanwhile is replaced: the
    wish stands in the catalogue, so it is only told again.
    """
    from ltspec.client import ConnectionLost

    for _ in range(_TRIES):
        try:
            connection.sync()
        except ConnectionLost:
            connection.close()
            connection = connect(where)
        else:
            return
    connection.sync()


def nothing_yet(where: Places) -> str:
    """Whose catalogue it is that holds nothing."""
    return (
        f"no tasks yet: the catalogue of user {user_name()} in {where.state_dir} is empty\n"
        "`ltspec apply FILE` or `ltspec run -- COMMAND` makes the first one"
    )


def user_name() -> str:
    """The name of the user whose catalogue this is, or the number."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def tell_if_nobody_works(where: Places, store: Store) -> None:
    """Say it where something waits or runs and no supervisor is there."""
    from ltspec.catalogue.listing import work_waits

    if work_waits(store) and not supervisor_runs(where):
        plain.note("there is work and no supervisor runs; `ltspec wake` starts it")


def supervisor_runs(where: Places) -> bool:
    """True where somebody listens; starts nobody and asks nothing.

    It needs no more than a socket of the C module: `socket` and `json` are a tenth of a start.
    """
    import _socket

    try:
        directory = os.open(where.state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        probe.connect(f"/proc/self/fd/{directory}/{os.path.basename(where.socket)}")
    except OSError:
        return False
    finally:
        probe.close()
        os.close(directory)
    return True


def tell_if_mortal(connection: Connection) -> None:
    """Say it where the tasks die together with the caller's job or container (DESIGN 5): once, by
    the command that has started the supervisor."""
    if connection.started and connection.hello.get("survives") is False:
        what = connection.hello.get("dies_with") or "this session"
        plain.note(
            f"the tasks end together with {what}: the supervisor could not be put outside of it"
            " (docs/operations.md)"
        )
