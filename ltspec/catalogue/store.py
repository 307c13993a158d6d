"""Opens the database, migrates it, and gives transactions. Knows nothing of tasks.

Durability (DESIGN 5): the file is in WAL mode; a durable transaction is synced before it returns
(synchronous=FULL), another one survives any kill but may be missing after a power cut.
Only the holder of the supervisor's lock may create or migrate.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ltspec.errors import CatalogueError

APPLICATION_ID = 0x4C545350  # "LTSP"
BUSY_SECONDS = 20.0
_TRANSIENT = frozenset(
    f"SQLITE_{name}" for name in ("FULL", "BUSY", "IOERR", "READONLY", "CANTOPEN")
)


class Store:
    """One connection. Not shared between threads or processes."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self._durable = False
        self._transaction = Transaction(path, connection)
        # Lines (manager, queue) in which `lifecycle` has made a task ready; the loop empties it.
        self.released: set[tuple[str, str]] = set()

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
            with translated(self.path):
                self.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        return self._transaction

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
    """BEGIN IMMEDIATE … COMMIT; on an exception ROLLBACK, and SQLite's errors translated.

    A class and not a generator: the supervisor runs through it several times a task.
    """

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def __enter__(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _translate(self._path, error) from error

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as failure:
                self._roll_back()
                raise _translate(self._path, failure) from failure
            return
        self._roll_back()
        if isinstance(error, sqlite3.Error):
            raise _translate(self._path, error) from error

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


@contextmanager
def translated(path: str) -> Iterator[None]:
    """SQLite's errors become CatalogueError, once, here."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(path, error) from error


def _translate(path: str, error: sqlite3.Error) -> CatalogueError:
    name = getattr(error, "sqlite_errorname", "")
    advice = {
        "SQLITE_FULL": "the disk is full: make room, then try again; nothing was lost",
        "SQLITE_READONLY": "it cannot be written: look at the mount and the owner",
        "SQLITE_CANTOPEN": "look at the directory's owner and mode, and at the disk",
        "SQLITE_CORRUPT": "it is damaged: run `ltspec doctor`",
        "SQLITE_NOTADB": "it is not a catalogue: run `ltspec doctor`",
        "SQLITE_BUSY": "another process holds it: run `ltspec doctor`",
        "SQLITE_IOERR": "the disk gave an error: look at the system's log and at free space",
    }
    base = "_".join(name.split("_")[:2])
    known = CatalogueError(f"cannot use the catalogue {path}: {error}\n{advice.get(base, name)}")
    known.transient = base in _TRANSIENT
    return known


def open_store(path: str, *, create: bool = False, read_only: bool = False) -> Store:
    """Open the catalogue. `create` (the lock's holder only) makes or migrates it.

    Raises CatalogueError: missing, damaged, unreadable, of a newer or (without `create`) older
    version.
    """
    with translated(path):
        if create and not os.path.exists(path):
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        uri = "file:" + _quoted(path) + ("?mode=ro" if read_only else "?mode=rw")
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS, cached_statements=256
        )
    try:
        with translated(path):
            _prepare(connection, path, create=create)
    except BaseException:
        connection.close()
        raise
    return Store(path, connection)


def _quoted(path: str) -> str:
    """The path for SQLite's URI form: every byte but the plainest as %XX."""
    plain = b"/._-~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in os.fsencode(path))


def _prepare(connection: sqlite3.Connection, path: str, *, create: bool) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    newest = newest_version()
    if version > newest:
        message = (
            f"the catalogue {path} has version {version}, this ltspec knows {newest}\n"
            "it was made by a newer ltspec: install that one"
        )
        raise CatalogueError(message)
    if version == newest:
        return
    if not create:
        message = (
            f"the catalogue {path} has version {version}, this ltspec needs {newest}\n"
            "run `ltspec wake`: the supervisor brings it up to date"
        )
        raise CatalogueError(message)
    connection.execute("PRAGMA journal_mode=WAL")
    for number, sql in _migrations():
        if number > version:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA application_id={APPLICATION_ID};\n"
                f"PRAGMA user_version={number};\nCOMMIT;"
            )


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
