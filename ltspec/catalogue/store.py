"""Opens the database, migrates it, and gives transactions. Knows nothing of tasks.

Durability (DESIGN 5): the file is in WAL mode; a durable transaction is synced before it returns
(synchronous=FULL), another one survives any kill but may be missing after a power cut.
Only the holder of the supervisor's lock may create or migrate.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Self

from ltspec.errors import CatalogueError

APPLICATION_ID = 0x4C545350  # "LTSP"
BUSY_SECONDS = 20.0
# What storage can do to us, and what to do about it; any other error of SQLite is a bug of ours.
_ADVICE = {
    "SQLITE_FULL": "the disk is full: make room, then try again; nothing was lost",
    "SQLITE_READONLY": "it cannot be written: look at the mount and the owner",
    "SQLITE_CANTOPEN": "look at the directory's owner and mode, and at the disk",
    "SQLITE_CORRUPT": "it is damaged: run `ltspec doctor`",
    "SQLITE_NOTADB": "it is not a catalogue: run `ltspec doctor`",
    "SQLITE_BUSY": "another process holds it: run `ltspec doctor`",
    "SQLITE_IOERR": "the disk gave an error: look at the system's log and at free space",
    "SQLITE_NOMEM": "there is no memory left: try again when there is",
    "SQLITE_PROTOCOL": "too many processes use it at once: try again",
}
_DAMAGE = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})


class Store:
    """One connection. Not shared between threads or processes."""

    def __init__(self, path: str, connection: "_Connection") -> None:
        self.path = path
        self.connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self._durable = False
        self.transactions = 0            # begun on this connection
        self._transaction = Transaction(self)
        # Lines (manager, queue) in which `lifecycle` has made a task ready; the loop empties it.
        self.released: set[tuple[str, str]] = set()
        # `lifecycle` has written a report or an on_finish command; the loop takes it back.
        self.errands_written = False

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self.connection.close()

    def row(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        """The first row of a query, or None."""
        return self.execute(sql, values).fetchone()

    def write(self, *, durable: bool = False) -> "Transaction":
        """A writing transaction: committed at the end, rolled back on any exception.

        `durable`: synced to disk before this returns. Raises CatalogueError (disk full, read-only,
        locked for longer than 20 s, damaged).
        """
        if durable != self._durable:
            self.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        return self._transaction

    def version(self) -> int:
        """A number that is another one after a commit of any other connection, never after ours."""
        return int(self.row("PRAGMA data_version")[0])

    def setting(self, name: str, default: str = "") -> str:
        """One setting that the catalogue itself keeps (run_dir, max_running, …)."""
        found = self.row("SELECT value FROM setting WHERE name = ?", (name,))
        return str(found[0]) if found else default

    def set_setting(self, name: str, value: str) -> None:
        """Keep a setting; call it inside `write`."""
        self.execute(
            "INSERT INTO setting (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE"
            " SET value = excluded.value WHERE value <> excluded.value",
            (name, value),
        )


class Transaction:
    """BEGIN IMMEDIATE … COMMIT; on an exception ROLLBACK.

    A class and not a generator, and inside it the statements go straight to SQLite, whose errors
    become CatalogueError at its end: the supervisor runs through it several times a task.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._store.transactions += 1
        self._store.execute = self._connection.plain_execute

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._store.execute = self._connection.execute
        try:
            if error is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            _fail(self._connection.path, error)


class _Cursor(sqlite3.Cursor):
    """SQLite's errors become CatalogueError, once, here: in a statement or while rows are read."""

    connection: "_Connection"

    def execute(self, sql: str, values: Any = (), /) -> Self:
        try:
            return super().execute(sql, values)
        except sqlite3.Error as error:
            _fail(self.connection.path, error)

    def executemany(self, sql: str, values: Any, /) -> Self:
        try:
            return super().executemany(sql, values)
        except sqlite3.Error as error:
            _fail(self.connection.path, error)

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            _fail(self.connection.path, error)

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            _fail(self.connection.path, error)

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as error:
            _fail(self.connection.path, error)


class _Connection(sqlite3.Connection):
    """Knows its file, and makes cursors that translate."""

    path = ""

    @property
    def plain_execute(self) -> Callable[..., sqlite3.Cursor]:
        """`execute` with SQLite's own errors."""
        return super().execute

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        return _Cursor(self).execute(sql, values)

    def executemany(self, sql: str, values: Any, /) -> sqlite3.Cursor:
        return _Cursor(self).executemany(sql, values)

    def executescript(self, sql: str, /) -> sqlite3.Cursor:
        try:
            return super().executescript(sql)
        except sqlite3.Error as error:
            _fail(self.path, error)


def _fail(path: str, error: sqlite3.Error) -> NoReturn:
    base = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
    if base not in _ADVICE:
        raise error
    advice = _ADVICE[base] if base in _DAMAGE else _state_of_disk(path) or _ADVICE[base]
    known = CatalogueError(f"cannot use the catalogue {path}: {error}\n{advice}")
    known.transient = base not in _DAMAGE
    known.kind = base.removeprefix("SQLITE_")
    raise known from error


def _state_of_disk(path: str) -> str:
    """What SQLite does not tell about a file that it cannot open or write."""
    try:
        if _is_read_only(path):
            return "its file system is read-only: look at the mount and at the system's log"
        for name in (path, path + "-wal", path + "-shm"):
            if os.path.exists(name) and not os.access(name, os.R_OK | os.W_OK, effective_ids=True):
                return f"you may not read and write {name}: look at its owner and mode"
    except OSError:
        return ""       # its directory is gone
    return ""


def _is_read_only(path: str) -> bool:
    return bool(os.statvfs(os.path.dirname(path)).f_flag & os.ST_RDONLY)


def open_store(path: str, *, create: bool = False, read_only: bool = False) -> Store:
    """Open the catalogue. `create` (the lock's holder only) makes or migrates it.

    Raises CatalogueError: missing, damaged, unreadable, of a newer or (without `create`) older
    version. A new one is put in its place when it is complete: no reader ever sees half of it.
    """
    if create and not os.path.exists(path):
        _make_whole(path)
    mode = "?mode=rw"
    if read_only:
        # Without a -wal SQLite would have to make one; where nobody can write, nobody has to.
        still = not os.path.exists(path + "-wal") and _is_read_only(path)
        mode = "?mode=ro&immutable=1" if still else "?mode=ro"
    connection = _connect(path, mode)
    try:
        _prepare(connection, path, create=create)
        if not read_only:                # 8 MB: few checkpoints, and readers have little to search
            connection.execute("PRAGMA wal_autocheckpoint=8000")
    except BaseException:
        connection.close()
        raise
    return Store(path, connection)


def _make_whole(path: str) -> None:
    """Make an empty catalogue. Raises CatalogueError, OSError and then leaves nothing behind."""
    new = path + ".new"
    _remove(new)                         # of one that was killed; only the lock's holder makes one
    _make(new)
    try:
        connection = _connect(new, "?mode=rw")
        connection.path = path           # of which errors tell
        try:
            _prepare(connection, path, create=True, synced=False)
        finally:
            connection.close()
        _sync(new)                       # once, for all of it
        os.rename(new, path)
    except BaseException:
        _remove(new)
        raise


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _remove(path: str) -> None:
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + suffix)


def new_database(path: str) -> Store:
    """A new, empty file of the form that a catalogue has, for a copy of one. Raises OSError where
    it is there, CatalogueError."""
    _make(path)
    connection = _connect(path, "?mode=rw")
    _set_form(connection)
    return Store(path, connection)


def _make(path: str) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))


def _connect(path: str, mode: str) -> _Connection:
    try:
        connection: _Connection = sqlite3.connect(
            "file:" + _quoted(path) + mode, uri=True, isolation_level=None, timeout=BUSY_SECONDS,
            cached_statements=256, factory=_Connection,
        )
    except sqlite3.Error as error:
        _fail(path, error)
    connection.path = path
    return connection


def _set_form(connection: sqlite3.Connection) -> None:
    # Rows are short and a turn touches a few of many pages: small ones halve what is written.
    connection.execute("PRAGMA page_size=1024")
    connection.execute("PRAGMA journal_mode=WAL")


def _quoted(path: str) -> str:
    """The path for SQLite's URI form: every byte but the plainest as %XX."""
    plain = b"/._-~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in os.fsencode(path))


def _prepare(
    connection: sqlite3.Connection, path: str, *, create: bool, synced: bool = True
) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA synchronous={'NORMAL' if synced else 'OFF'}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    newest = newest_version()
    if version == newest:
        return
    _check_whose(connection, path, version)
    if version > newest:
        raise _of_version(
            "NEWER", f"the catalogue {path} has version {version}, this ltspec knows {newest}\n"
            "it was made by a newer ltspec: install that one"
        )
    if not create:
        raise _of_version(
            "OLDER", f"the catalogue {path} has version {version}, this ltspec needs {newest}\n"
            "run `ltspec wake`: the supervisor brings it up to date"
        )
    _set_form(connection)
    for number, sql in _migrations():
        if number > version:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA application_id={APPLICATION_ID};\n"
                f"PRAGMA user_version={number};\nCOMMIT;"
            )


def _check_whose(connection: sqlite3.Connection, path: str, version: int) -> None:
    """Another program's database is neither migrated nor taken for a catalogue of the future."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if owner != APPLICATION_ID and not (version == 0 and empty):
        raise _of_version(
            "NOTADB", f"{path} is a database of another program\nit is not a catalogue: run"
            " `ltspec doctor`"
        )


def _of_version(kind: str, message: str) -> CatalogueError:
    error = CatalogueError(message)
    error.kind = kind
    return error


def newest_version() -> int:
    """The version that this program writes: the number of the last migration."""
    return max(number for number, _ in _migration_files())


def _migration_files() -> list[tuple[int, str]]:
    folder = os.path.join(os.path.dirname(__file__), "migrations")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".sql"))
    return [(int(name[:4]), os.path.join(folder, name)) for name in names]


def _migrations() -> Iterator[tuple[int, str]]:
    for number, path in _migration_files():
        with open(path, encoding="utf-8") as file:
            yield number, file.read()
