"""Finds the task that a person names. Changes nothing.

A name is QUEUE/ID, MANAGER/QUEUE/ID, an ID that only one task has, or a PID-file's path (one that
begins with `/`, `./` or `../`).
"""

import os
from collections.abc import Sequence

from ltspec.catalogue.listing import tasks
from ltspec.catalogue.store import Store
from ltspec.errors import NotFound, Refused
from ltspec.model import Task


def find(store: Store, text: str, run_dir: str) -> Task:
    """The task that `text` names: QUEUE/ID, MANAGER/QUEUE/ID, an ID that is unique, a PID-file.

    Raises NotFound (with the closest names) or Refused where several tasks have the name.
    """
    found = _named(store, text, run_dir)
    if not found:
        raise NotFound(f"there is no task {text!r}{_closest(store, text)}")
    if len(found) > 1:
        names = "\n".join(task.pidfile(run_dir) for task in found[:5])
        raise Refused(f"{len(found)} tasks are named {text}; name one by its path:\n{names}")
    return found[0]


def _named(store: Store, text: str, run_dir: str) -> list[Task]:
    if text.startswith(("/", "./", "../")):
        return _at_path(store, text, run_dir)
    parts = text.split("/")
    if len(parts) == 3:
        return tasks(store, "WHERE manager = ? AND queue = ? AND id = ?", parts)
    if len(parts) == 2:
        return tasks(store, "WHERE queue = ? AND id = ?", parts) or tasks(
            store, "WHERE manager = ? AND queue = '' AND id = ?", parts
        )
    return tasks(store, "WHERE id = ?", parts) if len(parts) == 1 else []


def _at_path(store: Store, text: str, run_dir: str) -> list[Task]:
    directory, file = os.path.split(os.path.abspath(text))
    inside = os.path.relpath(os.path.realpath(directory), os.path.realpath(run_dir))
    parts = inside.split("/")
    if parts[0] in (".", "..") or len(parts) > 2:
        return []
    manager, queue = parts[0], "".join(parts[1:])
    return tasks(store, "WHERE manager = ? AND queue = ? AND file = ?", (manager, queue, file))


def _closest(store: Store, text: str) -> str:
    import difflib

    names = [
        name
        for queue, task_id in store.execute(
            "SELECT queue, id FROM task ORDER BY key DESC LIMIT 2000"
        )
        for name in ((f"{queue}/{task_id}", task_id) if queue else (task_id,))
    ]
    close = difflib.get_close_matches(text, names, n=1)
    return f"\ndid you mean {close[0]}?" if close else "\n`ltspec list --all` shows every task"


def named(store: Store, texts: Sequence[str], run_dir: str) -> list[Task]:
    """All named tasks, each once, in the order given. Raises as `find` at the first wrong name."""
    found = {task.key: task for task in (find(store, text, run_dir) for text in texts)}
    return list(found.values())
