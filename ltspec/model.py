"""The words that every room shares: what a task is, as specified and as the catalogue holds it.

Pure: no process, no database, no clock. Tuples, because a `list` of 50 tasks should not pay for
importing dataclasses; all of them are immutable.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from ltspec.states import Outcome, Status

NAME_PATTERN = r"[A-Za-z0-9_@+][A-Za-z0-9._@+-]{0,199}"
_NAME = re.compile(NAME_PATTERN)

DEFAULT_KILL: tuple[tuple[str, float], ...] = (("TERM", 10.0), ("KILL", 0.0))


def is_name(text: str) -> bool:
    """True where `text` may name a task, queue or manager (DESIGN 3): one safe path element."""
    return _NAME.fullmatch(text) is not None


class Need(NamedTuple):
    """An entry of `needs`. `queue` is None where the spec gave only an id; `want`: ok, any, err."""

    id: str
    queue: str | None = None
    want: str = "ok"


class Retries(NamedTuple):
    """Automatic retries. Durations in seconds; `on` empty means every failure but a stop."""

    limit: int = 0
    delay: float = 0.0
    backoff: float = 1.0
    max_delay: float | None = None
    jitter: float = 0.0
    on: tuple[int, ...] = ()


class TaskSpec(NamedTuple):
    """One task, rendered and validated: all that is needed to run it, and nothing that is secret.

    Durations are seconds, sizes bytes, paths absolute unless said otherwise. It is stored in the
    catalogue as JSON (`to_json`), so every field is made of JSON's types or tuples of them.
    """

    id: str
    queue: str = ""                                  # "" is a common task
    manager: str = "ltspec"
    name: str = ""                                   # what a person reads; "" means the id
    command: tuple[str, ...] = ()                    # argv prefix, program first, as written
    script: str | None = None                        # text for the interpreter in `command`
    parameters: tuple[str, ...] = ()                 # argv after the prefix (or after the script)
    env: Mapping[str, str] = {}
    env_pass: Mapping[str, str] = {}                 # captured at apply
    env_files: tuple[str, ...] = ()
    secrets: Mapping[str, Any] = {}                  # NAME: {"file": path} or {"command": [argv]},
                                                     # with "fd" at that descriptor
    cwd: str = "/"
    base_dir: str = ""                               # a relative program's start; "" means cwd
    stdin: Mapping[str, str] | None = None           # {"text": …} or {"file": path}
    umask: int | None = None
    user: str | None = None
    group: str | None = None
    nice: int | None = None
    limits: Mapping[str, int] = {}
    cgroup: str = ""                                 # where its group is made; "" the supervisor's
    needs: tuple[Need, ...] = ()
    tags: tuple[str, ...] = ()
    priority: int = 0
    start_after: float | None = None                 # a duration, counted from acceptance
    start_at: float | None = None                    # an instant, seconds since 1970
    timeout: float | None = None
    kill: tuple[tuple[str, float], ...] = DEFAULT_KILL    # (signal, seconds until the next)
    retries: Retries = Retries()
    success_codes: tuple[int, ...] = (0,)
    log_max_size: int | None = None
    log_on_full: str = "truncate"                    # or "stop"
    report: str = "auto"                             # auto, self, none
    mgrctl: str = ""                                 # the panel's mgrctl; "" reports nowhere
    mgrctl_form: str = "arguments"                   # or "joined": one element, joined by `&`
    rerun: str = "failed"                            # always, failed, never
    while_active: str = "refuse"                     # or "replace"
    on_finish: tuple[Mapping[str, Any], ...] = ()  # {"when": success|failure|always, "command": …}
    no_log: bool = False                             # parameters and output are not shown
    pidfile_name: str = ""                           # name in its directory; "" means the id (C02)
    source: str = ""                                 # the spec file, absolute; "" for `run`
    hash: str = ""                                   # identity of the definition (DESIGN 7)

    @property
    def realname(self) -> str:
        """The binary as given: LongTask's script name (C25)."""
        return self.command[0] if self.command and self.script is None else "script"

    @property
    def start_parameters(self) -> tuple[str, ...]:
        """The PID-file's further lines: the elements of argv after the program (C03)."""
        return self.parameters if self.script is not None else (*self.command[1:], *self.parameters)

    @property
    def reference(self) -> str:
        """How a person names the task: QUEUE/ID, or ID for a common one."""
        return f"{self.queue}/{self.id}" if self.queue else self.id

    def to_json(self) -> str:
        """The stored form: the fields that differ from their default, as one JSON object."""
        changed = {
            field: value
            for field, value, default in zip(self._fields, self, _DEFAULTS, strict=True)
            if value != default
        }
        return _encoder()(changed)

    @classmethod
    def from_json(cls, text: str) -> "TaskSpec":
        """The inverse of `to_json`. Unknown keys (of a newer version) are an error: KeyError."""
        import json

        values: dict[str, Any] = json.loads(text)
        for field, convert in _FROM_JSON.items():
            if field in values:
                values[field] = convert(values[field])
        return cls(**values)


@cache
def _encoder() -> Callable[[object], str]:
    import json

    return json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


_DEFAULTS: tuple[object, ...] = (None, *TaskSpec._field_defaults.values())
_FROM_JSON: dict[str, Any] = {
    "command": tuple,
    "parameters": tuple,
    "env_files": tuple,
    "tags": tuple,
    "success_codes": tuple,
    "on_finish": tuple,
    "needs": lambda rows: tuple(Need(*row) for row in rows),
    "kill": lambda rows: tuple((row[0], row[1]) for row in rows),
    "retries": lambda row: Retries(*row)._replace(on=tuple(row[5])),
}


class Task(NamedTuple):
    """A task as the catalogue holds it. Times are seconds since 1970, None where not yet."""

    key: int
    manager: str
    queue: str
    id: str
    file: str                     # the PID-file's name in its directory
    name: str
    status: Status
    outcome: Outcome | None
    detail: str                   # what follows the status word (errmsg, "exit code 3", …)
    priority: int
    position: int
    held: int                     # why a QUE task is not ready: HELD_NEEDS | HELD_TIME
    due: float | None             # when HELD_TIME ends, wall clock
    attempts: int                 # number of the last attempt; 0 when none
    pid: int | None               # of the running attempt
    code: int | None              # of the last ended attempt
    signal: int | None
    accepted: float
    started: float | None
    ended: float | None
    source: str
    hash: str
    request: str                  # asked of the supervisor: "", "stop", "replace", "remove"

    @property
    def reference(self) -> str:
        """QUEUE/ID, or ID for a common task."""
        return f"{self.queue}/{self.id}" if self.queue else self.id

    def pidfile(self, run_dir: str) -> str:
        """Its PID-file's path: RUN_DIR/MANAGER/QUEUE/NAME, common RUN_DIR/MANAGER/NAME (C01)."""
        parts = (run_dir, self.manager, self.queue, self.file)
        return "/".join(part for part in parts if part)


HELD_NEEDS = 1     # a needed task has not ended yet
HELD_TIME = 2      # start_after or a retry's delay is not over


class Attempt(NamedTuple):
    """One execution of a task."""

    task: int
    number: int
    pid: int | None
    started: float
    ended: float | None
    status: Status | None         # OK or ERR once ended
    outcome: Outcome | None
    detail: str
    code: int | None
    signal: int | None
    finish_ok: int | None         # what the task said of itself: 1, 0, or None for nothing
    finish_msg: str
    survivors: str                # processes that a stop could not end, as found


class Report(NamedTuple):
    """One message about a task's final end (DESIGN 8)."""

    key: int
    task: int
    attempt: int
    state: str                    # pending, sent, failed, superseded
    tries: int
    created: float
    next_try: float
    status: str                   # ok or err
    errmsg: str
    answer: str                   # the last answer or the reason why there is none


class Hook(NamedTuple):
    """One `on_finish` command of one final end. Times are seconds since 1970."""

    key: int
    attempt: int                  # after which; 0 where the task never ran
    moment: str                   # success, failure or always
    state: str                    # pending, running, done, failed
    created: float
    started: float | None
    ended: float | None
    detail: str                   # why it failed


class Queue(NamedTuple):
    """A named line of tasks."""

    manager: str
    name: str
    slots: int
    paused: bool
    draining: bool                # accepts nothing new, runs what waits
    on_reboot: str                # resume, hold, fail
