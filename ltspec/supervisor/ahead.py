"""The next starts of busy lines, made ready while the task before them runs.

So that at its end only the journal and the spawn are left to do. Whatever is asked meanwhile throws
them away. Each is compared with its row inside the transaction that starts it, unless nobody has
written since it was read (`quiet`).
"""

from ltspec.catalogue import Store, lifecycle
from ltspec.paths import Places
from ltspec.pidfile import RunDirectory
from ltspec.supervisor import starting

AT_ONCE = 8                              # each holds three descriptors
Line = tuple[str, str]


class Ahead:
    """Prepared starts by their line (manager, queue)."""

    def __init__(self, store: Store, places: Places, run: RunDirectory) -> None:
        self._store = store
        self._places = places
        self._run = run
        self._full: dict[Line, None] = {}        # no slot is free: the next may be made ready
        self._ready: dict[Line, tuple[starting.Prepared, int]] = {}    # and in which quiet time

    def may_prepare(self, line: Line) -> None:
        """This line's last slot has just been taken."""
        self._full[line] = None

    def prepare(self, quiet: int) -> None:
        """While nothing else is to do: open what the next starts need. `quiet`: the number of the
        present quiet time."""
        while self._full and len(self._ready) < AT_ONCE:
            line, _ = self._full.popitem()
            task = None if line in self._ready else lifecycle.next_ready(self._store, *line)
            if task is None:
                continue
            try:
                prepared = starting.prepare(task, self._places, self._run)
            except OSError:
                return           # no hurry: the start itself tries again, waits and tells
            if prepared.problem:
                prepared.close()
            else:
                self._ready[line] = prepared, quiet

    def seen(self, line: Line | None) -> starting.Prepared | None:
        """What is ready in this line; it stays here."""
        return self._ready[line][0] if line in self._ready else None

    def known(self, line: Line, quiet: int) -> lifecycle.Ready | None:
        """Whose turn it is in this line, where that need not be asked: nobody has written since it
        was, and its PID-file had been published already."""
        prepared, read = self._ready.get(line, (None, -1))
        return prepared.task if prepared and read == quiet and prepared.task.made else None

    def take(self, task: lifecycle.Ready) -> starting.Prepared:
        """What is ready for this task, or made so now. Raises OSError as `starting.prepare`."""
        ahead, _ = self._ready.pop((task.manager, task.queue), (None, -1))
        if ahead is not None:
            if ahead.task is task:
                return ahead
            if ahead.task._replace(made=task.made, dirty=task.dirty) == task:
                return ahead._replace(task=task)
            ahead.discard(self._places, self._run)
        return starting.prepare(task, self._places, self._run)

    @property
    def is_busy(self) -> bool:
        """True where something is ready, or may be made so."""
        return bool(self._full or self._ready)

    def drop(self) -> None:
        """What was made ready may be out of date."""
        while self._ready:
            line, (prepared, _) = self._ready.popitem()
            prepared.discard(self._places, self._run)
            self._full[line] = None

    def give_up(self) -> None:
        """The tasks that run now run long: nothing is kept open for those behind them."""
        self.drop()
        self._full.clear()
