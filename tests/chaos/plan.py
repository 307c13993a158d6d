"""What is submitted: files of tasks whose outcomes are known beforehand.

Each task runs the same small program, which writes what it does into one journal: `start`, `said`
(its own longtask.finish was accepted) and `end`, each one appended line. The journal and the plan
are all that the auditor believes.
"""

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

MANAGER = "chaos"
SLOTS = {"one": 1, "two": 2, "four": 4}
MAX_RUNNING = 9                      # common tasks have no slots; this bounds all together
FILE_SIZE = 50
SECRET = "what is whispered"         # noqa: S105 - nobody's
SAID = "as the task itself says"
PROGRAM = r"""#!/bin/sh
# KIND PAUSE CODE...: pause, then end with the attempt's own code (the last one counts on)
here=${0%/*}
note() { echo "$1 ${LTSPEC_QUEUE:+$LTSPEC_QUEUE/}$LTSPEC_ID $LTSPEC_ATTEMPT $2" >>"$here/journal"; }
kind=$1 pause=$2
shift 2
turn=$LTSPEC_ATTEMPT
while [ "$turn" -gt 1 ] && [ $# -gt 1 ]; do shift; turn=$((turn - 1)); done
[ "${WANTED-}" = "${WHISPERED-}" ] || set -- 99
[ "$kind" != timeout ] || trap 'note end 0; exit 0' TERM
note start $$
echo "out $LTSPEC_ID $LTSPEC_ATTEMPT"
case $kind in
timeout) sleep 10 & wait ;;
*) sleep "$pause" ;;
esac
case $kind in
ok | err)
    mgrctl longtask.finish elid="$MGR_LT_PID" status="$kind" \
        errmsg="as the task itself says" >/dev/null && note said "$kind" ;;
esac
note end "$1"
[ "$kind" != signal ] || kill -SEGV $$
exit "$1"
"""
# Kind of task and its share of a hundred.
KINDS = {"plain": 60, "retry": 15, "needs": 10, "signal": 5, "timeout": 2, "ok": 2, "err": 2,
         "secret": 4}


PAUSES = [0.0, 0.01, 0.02, 0.03, 0.04] * 5 + [0.5]      # seconds


class Job(NamedTuple):
    """One task of the plan. `file` and `number` tell its place: the file, and its place in it."""

    file: int
    number: int
    id: str
    queue: str
    kind: str
    pause: str
    codes: tuple[int, ...]
    limit: int                       # of retries
    needs: str                       # the reference of the task that it needs, or ""
    script: bool                     # given as a script, not as a command
    nice: bool                       # needs the start by fork
    hook: bool                       # has an on_finish command

    @property
    def reference(self) -> str:
        """QUEUE/ID, or ID for a common task."""
        return f"{self.queue}/{self.id}" if self.queue else self.id

    def code(self, attempt: int) -> int:
        """The exit code planned for an attempt, counted from 1."""
        return self.codes[min(attempt, len(self.codes)) - 1]

    @property
    def parameters(self) -> list[str]:
        """What the program is given."""
        kind = self.kind if self.kind in ("timeout", "ok", "err", "signal") else "plain"
        return [kind, self.pause, *map(str, self.codes)]

    def lines(self, root: Path) -> list[str]:
        """The PID-file's lines after the first."""
        return self.parameters if self.script else [f"{root}/task", *self.parameters]

    def spec(self, root: Path) -> dict[str, Any]:
        """The task as its file has it."""
        found: dict[str, Any] = {"id": self.id, "parameters": self.parameters, "rerun": "never"}
        if self.script:
            found["script"] = f'#!/bin/sh\nexec /bin/sh {root}/task "$@"\n'
        else:
            found["command"] = ["/bin/sh", f"{root}/task"]
        if self.queue:
            found["queue"] = self.queue
        if self.limit:
            found["retries"] = {"limit": self.limit, "delay": "0.05s", "jitter": 0.5}
        if self.needs:
            found["needs"] = [self.needs]
        if self.nice:
            found["nice"] = 1
        if self.hook:
            found["on_finish"] = {"always": ["/bin/sh", f"{root}/hook"]}
        if self.kind == "timeout":
            found["timeout"] = "0.3s"
        if self.kind == "secret":
            found["env"] = {"WANTED": SECRET}
            found["secrets"] = {"WHISPERED": {"command": ["cat", f"{root}/secret"]}}
        return found


def chances(seed: int, of: str) -> random.Random:
    """The choices of one part of a run; each part has its own, whatever the others do."""
    return random.Random(f"{seed} {of}")  # noqa: S311 - a run can be repeated by its seed


def jobs(chance: random.Random, file: int, count: int = FILE_SIZE) -> list[Job]:
    """The tasks of one file, drawn by `chance`."""
    made: list[Job] = []
    for number in range(count):
        kind = chance.choices(list(KINDS), weights=list(KINDS.values()))[0]
        needed = chance.choice(made).reference if made and kind == "needs" else ""
        made.append(_job(chance, file, number, kind, needed))
    return made


def _job(chance: random.Random, file: int, number: int, kind: str, needed: str) -> Job:
    codes = tuple(chance.choice((0, 0, 0, 1, 2, 7)) for _ in range(3 if kind == "retry" else 1))
    return Job(
        file=file, number=number, id=f"t{file}-{number}",
        queue=chance.choice(["one"] * 3 + ["two"] * 3 + ["four"] * 6 + [""]),
        kind=kind, pause=f"{chance.choice(PAUSES)}", codes=codes,
        limit=2 if kind == "retry" else 0, needs=needed,
        script=chance.random() < 0.05, nice=chance.random() < 0.05, hook=chance.random() < 0.1,
    )


def write_program(root: Path) -> None:
    """What all tasks need: program, journal, secret, hook, the recorded mgrctl, the config."""
    (root / "task").write_text(PROGRAM)
    (root / "journal").touch()
    (root / "reports").touch()
    (root / "hooks").touch()
    (root / "hook").write_text(f'echo "$LTSPEC_REFERENCE $LTSPEC_STATUS" >>{root}/hooks\n')
    (root / "secret").write_text(SECRET + "\n")
    mgrctl = root / "mgrctl"
    mgrctl.write_text(f'#!/bin/sh\nIFS="|"\nprintf "%s\\n" "$*" >>{root}/reports\n')
    mgrctl.chmod(0o755)
    config = {
        "manager": MANAGER, "mgrctl": str(mgrctl), "max_running": MAX_RUNNING, "idle_exit": "5s",
        "queues": {name: {"slots": slots} for name, slots in SLOTS.items()},
    }
    (root / "ltspec.yml").write_text(json.dumps(config))


def write_file(root: Path, jobs_of_file: list[Job]) -> Path:
    """One spec file."""
    path = root / f"jobs-{jobs_of_file[0].file}.yml"
    path.write_text(json.dumps({"tasks": [job.spec(root) for job in jobs_of_file]}, indent=1))
    return path
