"""A damaged catalogue: replaced by a whole copy where its tables can still be read, else put aside.

The copy is made from the rows of the tables alone, its indexes are built anew, so a damage of
indexes and of unused pages costs nothing. Where a table itself is damaged nobody can say which
tasks are missing: then nothing is guessed, the file is put aside and a new catalogue is begun.

Only the holder of the supervisor's lock may call `salvage` and `put_aside`.
"""

import contextlib
import os

from ltspec.catalogue.store import APPLICATION_ID, Store, new_database, open_store
from ltspec.errors import CatalogueError

_PARTS = ("", "-wal", "-shm")


def salvage(path: str, aside: str) -> bool:
    """Put a whole copy in the place of the catalogue and the damaged one at `aside`; False, with
    nothing changed, where a table cannot be read. Raises CatalogueError, OSError."""
    copy = path + ".copy"
    _remove(copy)        # of a repair that was killed
    try:
        if not _copy(path, copy):
            return False
        put_aside(path, aside)
        os.rename(copy, path)
    finally:
        _remove(copy)
    return True


def _remove(copy: str) -> None:
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(copy + part)


def _copy(path: str, copy: str) -> bool:
    new = new_database(copy)
    try:
        new.execute("PRAGMA foreign_keys=OFF")
        new.execute("ATTACH ? AS damaged", (path,))
        if new.row("PRAGMA damaged.application_id")[0] != APPLICATION_ID:
            return False
        with new.write(durable=True):
            _copy_content(new)
        return not damage(new) and new.row("PRAGMA foreign_key_check") is None
    except CatalogueError as error:
        if error.transient:
            raise
        return False
    finally:
        new.close()


def _copy_content(new: Store) -> None:
    made = new.execute(
        "SELECT type, name, sql FROM damaged.sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    ).fetchall()
    for kind, name, sql in made:
        if kind == "table":
            new.execute(sql)
            # With a WHERE the rows are inserted one by one; without, SQLite copies indexes too.
            new.execute(f"INSERT INTO main.{name} SELECT * FROM damaged.{name} NOT INDEXED WHERE 1")  # noqa: S608 - a name of our own schema
    for kind, _, sql in made:
        if kind != "table":
            new.execute(sql)
    (version,) = new.row("PRAGMA damaged.user_version")
    new.execute(f"PRAGMA main.user_version={version}")
    new.execute(f"PRAGMA main.application_id={APPLICATION_ID}")


def put_aside(path: str, aside: str) -> None:
    """Move the file with what belongs to it; SQLite can open it there. Raises OSError."""
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + part, aside + part)


def damage(store: Store) -> str:
    """What SQLite finds wrong with the whole file; "" where nothing is. Raises CatalogueError."""
    found = "\n".join(row[0] for row in store.execute("PRAGMA main.integrity_check(1)"))
    return "" if found == "ok" else found


def sources(path: str) -> list[str] | None:
    """The spec files that the tasks of a damaged catalogue came from; None where that is lost."""
    try:
        store = open_store(path, read_only=True)
    except CatalogueError:
        return None
    try:
        rows = store.execute("SELECT DISTINCT source FROM task WHERE source <> '' ORDER BY source")
        return [row[0] for row in rows]
    except CatalogueError:
        return None
    finally:
        store.close()
