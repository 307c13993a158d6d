"""Takes tasks in: what `apply`, `run`, `retry` and `longtask.add` write. One durable transaction
for many tasks; either all of it is accepted or nothing.

The decision for each task is made by the caller's pure function, inside the transaction, on the
row as it is then. Whether `needs` are met is not decided here: such a task is taken in held, and
the supervisor settles it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ltspec.catalogue.store import Store
from ltspec.clock import Now
from ltspec.decision import Existing, Verdict
from ltspec.errors import NotFound, Refused
from ltspec.model import HELD_NEEDS, HELD_TIME, Need, TaskSpec
from ltspec.states import Outcome, Status

# The common tasks of a manager are the line with the empty name; only max_running bounds it.
COMMON_SLOTS = 1_000_000_000

Decide = Callable[[Existing | None, TaskSpec], Verdict]


class Change(NamedTuple):
    """What was done with one task. `key` is its catalogue key (None where it was refused)."""

    spec: TaskSpec
    verdict: Verdict
    key: int | None


class QueueSettings(NamedTuple):
    """Settings of a queue from the config; stored at apply."""

    slots: int = 1
    on_reboot: str = "resume"


def enqueue(
    store: Store,
    specs: Sequence[TaskSpec],
    decide: Decide,
    *,
    now: Now,
    boot_id: str,
    texts: Iterable[str] | None = None,
) -> list[Change]:
    """Write all of `specs` (their order is their order in the queue); call it inside `write`.

    `texts`: their stored form (`TaskSpec.to_json`), where it was made before.

    Raises Refused: a need is unknown, ambiguous or makes a circle, a common task has a queue's
    name, the PID-file's name is another task's, a queue is being drained.
    """
    batch = _Batch(store, decide, now, boot_id)
    texts = map(TaskSpec.to_json, specs) if texts is None else texts
    changes = [batch.take(spec, text) for spec, text in zip(specs, texts, strict=True)]
    batch.link_needs(changes)
    return changes


class _Batch:
    """One enqueue transaction: hands out positions and remembers which queues it has seen."""

    def __init__(self, store: Store, decide: Decide, now: Now, boot_id: str) -> None:
        self.store = store
        self.decide = decide
        self.now = now
        self.boot_id = boot_id
        self.position = store.row("SELECT coalesce(max(position), 0) FROM task")[0]
        self.queues: set[tuple[str, str]] = set()

    def take(self, spec: TaskSpec, text: str) -> Change:
        if spec.queue and (spec.manager, spec.queue) in self.queues:
            verdict = self.decide(None, spec)        # one of many new ones, most likely
            key = self._insert(spec, text) if verdict.action == "created" else None
            if key is not None:
                return Change(spec, verdict, key)
        row = self.store.row(
            "SELECT key, status, outcome, hash, ended, attempts FROM task"
            " WHERE manager = ? AND queue = ? AND id = ?",
            (spec.manager, spec.queue, spec.id),
        )
        existing = None
        if row is not None:
            outcome = Outcome(row[2]) if row[2] else None
            allow = outcome is Outcome.SKIPPED and needs_allow(self.store, row[0])
            existing = Existing(Status(row[1]), outcome, row[3], row[4], allow)
        verdict = self.decide(existing, spec)
        if verdict.action == "refused":
            return Change(spec, verdict, row[0] if row else None)
        if row is None:
            self._check_place(spec)
            key = self._insert(spec, text)
            if key is None:              # not its id, then the name of its PID-file
                raise _name_taken(self.store, spec)
            return Change(spec, verdict, key)
        return Change(spec, self._update(row[0], existing, spec, text, verdict), row[0])

    def _check_place(self, spec: TaskSpec) -> None:
        """Refuse what would be two things at RUN/MANAGER/NAME (DESIGN 3) or in a closed queue."""
        place = (spec.manager, spec.queue)
        if not spec.queue:
            if place not in self.queues:
                self.store.execute(
                    "INSERT OR IGNORE INTO queue (manager, name, slots) VALUES (?, '', ?)",
                    (spec.manager, COMMON_SLOTS),
                )
                self.queues.add(place)
            if self.store.row("SELECT 1 FROM queue WHERE manager = ? AND name = ?",
                              (spec.manager, spec.pidfile_name or spec.id)):
                raise Refused(
                    f"the common task {spec.id} has the name of a queue\n"
                    "both would be the same path in the run directory: rename one of them"
                )
            return
        if place in self.queues:
            return
        if self.store.row("SELECT 1 FROM queue WHERE manager = ? AND name = ?", place) is None:
            question = "SELECT 1 FROM task WHERE manager = ? AND queue = '' AND file = ?"
            if self.store.row(question, place):
                raise Refused(
                    f"the queue {spec.queue} has the name of a common task\n"
                    "both would be the same path in the run directory: rename one of them"
                )
            self.store.execute("INSERT INTO queue (manager, name) VALUES (?, ?)", place)
        _refuse_drained(self.store, spec)
        self.queues.add(place)

    def _insert(self, spec: TaskSpec, text: str) -> int | None:
        """The key of its new row; None where its id or the name of its PID-file is taken."""
        held, due, due_boot = _held(spec, self.now)
        cursor = self.store.execute(
            "INSERT INTO task (manager, queue, id, file, name, status, priority, position, held,"
            " due, due_boot, boot_id, accepted, source, tags, hash, spec)"
            " VALUES (?,?,?,?,?,'QUE',?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
            (spec.manager, spec.queue, spec.id, _file(spec), spec.name, spec.priority,
             self.position + 1, held, due, due_boot, self.boot_id if due_boot is not None else None,
             self.now.wall, spec.source, " ".join(spec.tags), spec.hash, text),
        )
        if not cursor.rowcount:
            return None
        self.position += 1
        return cursor.lastrowid

    def _update(
        self, key: int, existing: Existing | None, spec: TaskSpec, text: str, verdict: Verdict
    ) -> Verdict:
        if verdict.action == "unchanged":
            changed = self.store.execute(
                "UPDATE task SET spec = ?, name = ?, source = ?, tags = ?, priority = ?,"
                " dirty = dirty + (status = 'QUE') WHERE key = ? AND (spec <> ? OR source <> ?)",
                (text, spec.name, spec.source, " ".join(spec.tags), spec.priority, key, text,
                 spec.source),
            ).rowcount
            if changed and existing is not None and existing.hash == spec.hash:
                return Verdict("unchanged", "its settings were stored; " + verdict.reason)
            return verdict
        if verdict.action == "replaced":
            self.store.execute(
                "UPDATE task SET request = 'replace', next_spec = ?, dirty = dirty + 1"
                " WHERE key = ?", (text, key),
            )
            return verdict
        if verdict.action == "rerun":
            _refuse_drained(self.store, spec)
        requeue(
            self.store, key, spec, now=self.now, boot_id=self.boot_id,
            keep_position=verdict.action == "changed",
        )
        self.position += verdict.action != "changed"
        return verdict

    def link_needs(self, changes: Iterable[Change]) -> None:
        for change in changes:
            action = change.verdict.action
            if change.key is None or action in ("refused", "replaced"):
                continue
            if action != "created":
                self.store.execute("DELETE FROM need WHERE task = ?", (change.key,))
            for need in change.spec.needs:
                needed = self._needed(change.spec, need)
                self.store.execute(
                    "INSERT OR REPLACE INTO need (task, needed, want) VALUES (?, ?, ?)",
                    (change.key, needed, need.want),
                )
        for change in changes:
            if change.spec.needs and change.key is not None:
                self._refuse_circle(change)

    def _needed(self, spec: TaskSpec, need: Need) -> int:
        """The key of the needed task: the same file's first, then the one that has the id."""
        if need.queue is not None:
            rows = self.store.execute(
                "SELECT key FROM task WHERE manager = ? AND queue = ? AND id = ?",
                (spec.manager, need.queue, need.id),
            ).fetchall()
        else:
            rows = self.store.execute(
                "SELECT key FROM task WHERE manager = ? AND id = ? AND source = ?",
                (spec.manager, need.id, spec.source),
            ).fetchall() or self.store.execute(
                "SELECT key FROM task WHERE manager = ? AND id = ?", (spec.manager, need.id)
            ).fetchall()
        name = f"{need.queue}/{need.id}" if need.queue else need.id
        place = f"{spec.source}: " if spec.source else ""
        if not rows:
            raise Refused(
                f"{place}{spec.reference} needs {name}, which is neither in these files nor in the"
                " catalogue\napply the file that declares it together with this one, or first"
            )
        if len(rows) > 1:
            raise Refused(
                f"{place}{spec.reference} needs {name}, which several queues have:"
                f" write QUEUE/{need.id}"
            )
        return int(rows[0][0])

    def _refuse_circle(self, change: Change) -> None:
        circle = self.store.row(
            "WITH RECURSIVE way (key) AS (SELECT needed FROM need WHERE task = ? UNION"
            " SELECT need.needed FROM need JOIN way ON need.task = way.key)"
            " SELECT 1 FROM way WHERE key = ?", (change.key, change.key),
        )
        if circle:
            raise Refused(
                f"{change.spec.reference} would need itself through its `needs`: break the circle"
            )


def _refuse_drained(store: Store, spec: TaskSpec) -> None:
    if store.row("SELECT 1 FROM queue WHERE manager = ? AND name = ? AND draining",
                 (spec.manager, spec.queue)):
        raise Refused(
            f"the queue {spec.queue} is being drained and takes no new tasks\n"
            f"`ltspec queue resume {spec.queue}` opens it again"
        )


def requeue(
    store: Store,
    key: int,
    spec: TaskSpec,
    *,
    now: Now,
    boot_id: str,
    keep_position: bool = False,
) -> None:
    """Put the row back to QUE with `spec`; a run again goes last, a change keeps its place."""
    if _owner_of_name(store, spec) is not None:
        raise _name_taken(store, spec)
    held, due, due_boot = _held(spec, now)
    store.execute(
        "UPDATE task SET status = 'QUE', outcome = NULL, detail = '', file = ?, name = ?,"
        " priority = ?, position = CASE WHEN ? THEN position ELSE"
        " (SELECT max(position) + 1 FROM task) END, held = ?, due = ?,"
        " due_boot = ?, boot_id = ?, retried = 0, accepted = ?, started = NULL, ended = NULL,"
        " source = ?, tags = ?, hash = ?, spec = ?, next_spec = NULL, request = '',"
        " dirty = dirty + 1 WHERE key = ?",
        (_file(spec), spec.name, spec.priority, keep_position, held, due,
         due_boot, boot_id if due_boot is not None else None, now.wall, spec.source,
         " ".join(spec.tags), spec.hash, spec.to_json(), key),
    )


def _file(spec: TaskSpec) -> str:
    """The PID-file's name: the id, or another in C02's form."""
    return spec.pidfile_name or spec.id


def _name_taken(store: Store, spec: TaskSpec) -> Refused:
    other = _owner_of_name(store, spec)
    return Refused(f"the PID-file name {_file(spec)} is already that of task {other}")


def _owner_of_name(store: Store, spec: TaskSpec) -> str | None:
    """The id of another task that has the name of its PID-file."""
    row = store.row(
        "SELECT id FROM task WHERE manager = ? AND queue = ? AND file = ? AND id <> ?",
        (spec.manager, spec.queue, _file(spec), spec.id),
    )
    return str(row[0]) if row else None


def _held(spec: TaskSpec, now: Now) -> tuple[int, float | None, float | None]:
    """(held bits, due on the wall clock, due on the boot clock) of a task accepted `now`."""
    held = HELD_NEEDS if spec.needs else 0
    if spec.start_after:
        return held | HELD_TIME, now.wall + spec.start_after, now.boot + spec.start_after
    if spec.start_at is not None and spec.start_at > now.wall:
        return held | HELD_TIME, spec.start_at, None
    return held, None, None


def needs_allow(store: Store, key: int) -> bool:
    """True where no needed task has ended other than asked for."""
    refusing = store.row(
        "SELECT 1 FROM need JOIN task AS needed ON needed.key = need.needed WHERE need.task = ?"
        " AND needed.status IN ('OK', 'ERR') AND want <> 'any' AND upper(want) <> needed.status",
        (key,),
    )
    return refusing is None


def declare_queues(store: Store, manager: str, queues: dict[str, QueueSettings]) -> list[str]:
    """Store the config's queue settings; call it inside `write`. Returns the names that changed."""
    changed = []
    for name, settings in queues.items():
        rows = store.execute(
            "INSERT INTO queue (manager, name, slots, on_reboot) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (manager, name) DO UPDATE SET slots = excluded.slots,"
            " on_reboot = excluded.on_reboot WHERE slots <> excluded.slots"
            " OR on_reboot <> excluded.on_reboot",
            (manager, name, settings.slots, settings.on_reboot),
        ).rowcount
        if rows:
            changed.append(name)
    return changed


def retry(store: Store, key: int, *, now: Now, boot_id: str) -> None:
    """Run an ended task again as it is stored, last in its queue; call it inside `write`.

    Raises Refused where it waits or runs, NotFound where it is gone.
    """
    row = store.row("SELECT status, spec FROM task WHERE key = ?", (key,))
    if row is None:
        raise NotFound("the task is no longer in the catalogue")
    spec = TaskSpec.from_json(row[1])
    if not Status(row[0]).is_final:
        state = "waits" if row[0] == "QUE" else "runs"
        raise Refused(f"{spec.reference} {state} already; only an ended task can be run again")
    _refuse_drained(store, spec)
    requeue(store, key, spec, now=now, boot_id=boot_id)


def request(store: Store, key: int, what: str) -> bool:
    """Ask the supervisor for `stop` or `remove`; call it inside `write`. False: it has ended."""
    return bool(
        store.execute(
            "UPDATE task SET request = ?, dirty = dirty + 1"
            " WHERE key = ? AND status IN ('QUE', 'RUN')", (what, key),
        ).rowcount
    )


def remove_ended(store: Store, key: int) -> bool:
    """Mark an ended task for removal; the supervisor takes its PID-file, logs and row away."""
    return bool(
        store.execute(
            "UPDATE task SET request = 'remove', dirty = dirty + 1"
            " WHERE key = ? AND status IN ('OK', 'ERR')", (key,),
        ).rowcount
    )


def missing(store: Store, source: str, keep: set[int]) -> list[tuple[Any, ...]]:
    """(key, queue, id, status) of the tasks that came from `source` and are not in `keep`."""
    rows = store.execute(
        # `<> ''` is what the index task_source asks for; without it every row would be read.
        "SELECT key, queue, id, status FROM task WHERE source = ? AND source <> ''"
        " AND request <> 'remove'",
        (source,),
    )
    return [row for row in rows if row[0] not in keep]
