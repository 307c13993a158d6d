"""The catalogue: whether it can be read and written, is whole, and of our version."""

from __future__ import annotations

from contextlib import closing

from ltspec.catalogue import open_store, repair
from ltspec.client import other_run_dir
from ltspec.commands.health import proc
from ltspec.commands.health.finding import Finding
from ltspec.errors import CatalogueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ltspec.catalogue import Store
    from ltspec.paths import Places

_BUSY_MILLISECONDS = 1000
_BROKEN = ("CORRUPT", "NOTADB")


def catalogue(where: Places) -> Finding:
    """Whether it can be opened, is of our version, whole, and free to be written."""
    what = f"catalogue {where.catalogue}"
    try:
        with closing(open_store(where.catalogue, read_only=True)) as store:
            return _content(store, what, where)
    except CatalogueError as error:
        return _unusable(error, what)


def broken(where: Places) -> str:
    """What is wrong with it that only another file can mend, "" where nothing is."""
    try:
        with closing(open_store(where.catalogue, read_only=True)) as store:
            found = repair.damage(store)
    except CatalogueError as error:
        return str(error).partition("\n")[0] if error.kind in _BROKEN else ""
    return f"it is damaged: {found}" if found else ""


def _content(store: Store, what: str, where: Places) -> Finding:
    found = repair.damage(store)
    if found:
        return _beyond_use(what, f"it is damaged: {found}")
    recorded = store.setting("run_dir", where.run_dir)
    if recorded != where.run_dir:
        problem, _, advice = other_run_dir(recorded, where).partition("\n")
        return Finding("catalogue", what, problem, advice)
    holder = _writer(where)
    if holder:
        return Finding("catalogue", what, f"it is being written for a long time by {holder}",
                       "ltspec writes for moments only; end that process")
    return Finding("catalogue", what)


def _unusable(error: CatalogueError, what: str) -> Finding:
    problem, _, advice = str(error).partition("\n")
    if error.kind in _BROKEN:
        return _beyond_use(what, problem)
    return Finding("catalogue", what, problem, advice, error.kind == "OLDER")


def _beyond_use(what: str, problem: str) -> Finding:
    advice = (
        "it is copied where its tables can be read, else put aside; then apply the specs again.\n"
        "The supervisor is replaced for that, tasks run on"
    )
    return Finding("catalogue", what, problem, advice, True)


def _writer(where: Places) -> str:
    """Who keeps the catalogue locked, "" where nobody does for longer than a second."""
    try:
        with closing(open_store(where.catalogue)) as store:
            store.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
            try:
                with store.write():
                    return ""
            except CatalogueError as error:
                if error.kind != "BUSY":
                    return ""     # full or read-only: the disk's finding
        holders = proc.Locks().holders(where.catalogue + "-shm")
    except (CatalogueError, OSError):
        return ""
    return ", ".join(f"process {pid} ({proc.command_line(pid)})" for pid in holders) or "a process"
