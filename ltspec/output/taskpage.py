"""What `show` prints of one task, and the paragraph of `why`. Only words: asks nobody.

`Facts` is what the command has found out; `reason` is the pure rule of the paragraph.
"""

from __future__ import annotations

from typing import NamedTuple

from ltspec.model import HELD_NEEDS, HELD_TIME, Attempt, Hook, Report, Task, TaskSpec
from ltspec.output import plain, tasklist
from ltspec.output.progress import Progress
from ltspec.paths import HOOK_SUFFIX
from ltspec.states import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltspec.catalogue.details import History, NeedState
    from ltspec.catalogue.queues import QueueState
    from ltspec.paths import Places


class Facts(NamedTuple):
    """Everything known of a task when it was looked at. `turn` where it is ready and waits."""

    task: Task
    spec: TaskSpec
    attempts: Sequence[Attempt]
    reports: Sequence[Report]
    hooks: Sequence[Hook]
    needs: Sequence[NeedState]
    needed_by: Sequence[Task]
    history: History
    queue: QueueState | None
    turn: int | None
    progress: Progress | None
    last_lines: Sequence[str]
    supervisor: bool
    running_total: int
    max_running: int


def page(facts: Facts, where: Places, now: float, *, all_attempts: bool) -> list[str]:
    """The lines of `show`."""
    task, spec = facts.task, facts.spec
    pairs = [
        ("task", task.reference),
        ("name", task.name),
        ("status", _status_words(facts, now)),
        ("reason", reason(facts, now) if task.status == "QUE" else ""),
        ("progress", str(facts.progress or "")),
        ("command", "(not shown: no_log)" if spec.no_log else command_line(spec)),
        ("directory", spec.cwd),
        ("user", spec.user or ""),
        ("manager", task.manager),
        ("accepted", plain.moment(task.accepted)),
        ("started", plain.moment(task.started) if task.started else ""),
        ("ended", plain.moment(task.ended) if task.ended else ""),
        ("pid", str(task.pid) if task.pid and task.status == "RUN" else ""),
        ("needs", ", ".join(f"{n.task.reference} ({n.want}; is {n.task.status})"
                            for n in facts.needs)),
        ("needed by", ", ".join(other.reference for other in facts.needed_by)),
        ("tags", ", ".join(spec.tags)),
        ("timeout", plain.duration(spec.timeout) if spec.timeout else ""),
        ("history", history_words(facts.history)),
        ("source", task.source),
        ("PID-file", task.pidfile(where.run_dir)),
        ("log", where.log(task.manager, task.queue, task.id, task.attempts)
         if task.attempts else ""),
    ]
    lines = [f"{label.ljust(9)}  {plain.safe(value)}" for label, value in pairs if value]
    lines += _attempt_lines(facts, all_attempts=all_attempts)
    lines += [f"report     {_report_words(one)}" for one in facts.reports]
    lines += [f"on_finish  {_hook_words(one, where, task)}" for one in facts.hooks]
    if facts.last_lines:
        lines += ["last lines of the log:", *("  " + plain.safe(one) for one in facts.last_lines)]
    return lines


def command_line(spec: TaskSpec) -> str:
    """The program and its arguments, quoted for reading."""
    from shlex import join

    if spec.script is not None:
        count = len(spec.script.splitlines())
        return f"script of {plain.plural(count, 'line')} {join(spec.parameters)}".rstrip()
    return join([*spec.command, *spec.parameters])


def _status_words(facts: Facts, now: float) -> str:
    task = facts.task
    if task.status == "RUN":
        took = plain.duration(now - (task.started or now))
        return f"RUN for {took}{_expected(facts, now)}"
    if task.status == "QUE":
        return "QUE"
    outcome = f" ({task.outcome})" if task.outcome else ""
    took = f", took {plain.duration(task.ended - task.started)}" if (
        task.ended and task.started) else ""
    return f"{task.status} {task.detail}".rstrip() + outcome + took


def _expected(facts: Facts, now: float) -> str:
    typical = facts.history.typical
    if typical is None or facts.task.started is None:
        return ""
    left = facts.task.started + typical - now
    if left > 0:
        return f", about {plain.duration(left)} to go by earlier runs"
    return f", {plain.duration(-left)} longer than usual"


def history_words(history: History) -> str:
    """`12 attempts, 11 succeeded; usually 4.2s, on average 5.0s`."""
    if not history.attempts:
        return ""
    text = f"{plain.plural(history.attempts, 'attempt')}, {history.succeeded} succeeded"
    if history.typical is not None and history.mean is not None:
        text += (
            f"; usually {plain.duration(history.typical)},"
            f" on average {plain.duration(history.mean)}"
        )
    return text


def _attempt_lines(facts: Facts, *, all_attempts: bool) -> list[str]:
    shown = facts.attempts if all_attempts else facts.attempts[-1:]
    lines = []
    for one in shown:
        if one.ended is None:
            if all_attempts:
                lines.append(f"attempt {one.number}  runs since {plain.moment(one.started)}")
            continue
        words = " ".join(filter(None, (str(one.status), one.detail)))
        extra = _attempt_extra(one)
        took = plain.duration(one.ended - one.started)
        if all_attempts or extra:
            tail = f"; {'; '.join(extra)}" if extra else ""
            lines.append(
                f"attempt {one.number}  {plain.safe(words)} ({one.outcome}),"
                f" {plain.moment(one.started)}, took {took}{plain.safe(tail)}"
            )
    return lines


def _attempt_extra(one: Attempt) -> list[str]:
    extra = []
    if one.signal:
        extra.append(f"ended by signal {one.signal} ({signal_name(one.signal)})")
    elif one.code is not None and one.outcome is not Outcome.EXIT and one.code != 0:
        extra.append(f"exit code {one.code}")
    if one.finish_ok is not None and one.outcome is not Outcome.REPORTED:
        said = "ok" if one.finish_ok else f"err {one.finish_msg}".rstrip()
        extra.append(f"it had reported {said}")
    if one.survivors:
        extra.append(f"still alive after it was stopped: {one.survivors}")
    return extra


def signal_name(number: int) -> str:
    """`SIGKILL` of 9."""
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _report_words(one: Report) -> str:
    answer = f": {one.answer}" if one.answer else ""
    tries = f" after {plain.plural(one.tries, 'try', 'tries')}" if one.tries else ""
    return plain.safe(f"{one.state} ({one.status}){tries}{answer}")


def _hook_words(one: Hook, where: Places, task: Task) -> str:
    if one.state in ("pending", "running"):
        return f"{one.moment}: {one.state}"
    log = where.log(task.manager, task.queue, task.id, one.attempt) + HOOK_SUFFIX
    how = "done" if one.state == "done" else f"failed: {one.detail}"
    return plain.safe(f"{one.moment}: {how} ({plain.moment(one.ended)}); its output is in {log}")


def reason(facts: Facts, now: float) -> str:
    """One paragraph: why the task waits or how it ended, and what to do next."""
    if facts.task.status == "QUE":
        return _why_waiting(facts, now)
    if facts.task.status == "RUN":
        return _why_running(facts, now)
    return _why_ended(facts)


def _why_waiting(facts: Facts, now: float) -> str:
    task, queue = facts.task, facts.queue
    said = []
    if task.outcome is not None:
        said.append(f"Attempt {task.attempts} ended ({task.detail or task.outcome}), and it is"
                    " tried again.")
    if task.held & HELD_TIME:
        said.append(f"It does not start before {plain.moment(task.due)}"
                    f" (in {plain.duration((task.due or now) - now)}).")
    if task.held & HELD_NEEDS:
        open_needs = [n.task for n in facts.needs if n.task.status in ("QUE", "RUN")]
        names = ", ".join(f"{one.reference} (is {one.status})" for one in open_needs)
        said.append(f"It needs {names or 'what is being settled'} to end first.")
    if queue is not None and queue.queue.paused:
        said.append(f"Its queue is paused: `ltspec queue resume {queue.queue.name}`.")
    elif not task.held:
        said.append(_why_its_turn(facts))
    if not facts.supervisor:
        said.append("No supervisor runs: `ltspec wake` starts it.")
    return " ".join(said)


def _why_its_turn(facts: Facts) -> str:
    queue = facts.queue
    if facts.running_total >= facts.max_running:
        return (f"{facts.running_total} tasks run, which is all that `max_running` allows;"
                " it starts when one of them ends.")
    if queue is None:
        return "It is ready and starts at once."
    slots = plain.plural(queue.queue.slots, "slot")
    if queue.queue.slots == 0:
        return (f"Its queue has no slots: `ltspec queue slots {queue.queue.name} 1`"
                " lets one task run.")
    if queue.running >= queue.queue.slots:
        ahead = (facts.turn or 1) - 1
        before = f", {plain.plural(ahead, 'task')} before it" if ahead else ""
        return (f"It is number {facts.turn} in its queue, whose {slots} {_are(queue.queue.slots)}"
                f" taken{before}. `ltspec queue move {facts.task.reference} --first` lets it go"
                f" first, `ltspec queue slots {queue.queue.name} {queue.queue.slots + 1}` lets"
                " more run at once.")
    return f"It is number {facts.turn} in its queue of {slots} and starts when it is its turn."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _why_running(facts: Facts, now: float) -> str:
    task = facts.task
    words = f"It runs since {plain.moment(task.started)} as process {task.pid or '(starting)'}"
    words += _expected(facts, now) + "."
    if facts.progress:
        words += f" It says: {facts.progress}."
    if task.request:
        words += " It is being stopped." if task.request != "replace" else " It is being replaced."
    return words + f" `ltspec logs -f {task.reference}` shows what it writes."


_ADVICE = {
    Outcome.EXIT: "See `ltspec logs {ref}`; `ltspec retry {ref}` runs it again.",
    Outcome.SIGNAL: "Somebody or the kernel (out of memory?) killed it; see `dmesg` and"
                    " `ltspec logs {ref}`; `ltspec retry {ref}` runs it again.",
    Outcome.CRASHED: "It has `report: self` and ended without calling `mgrctl longtask.finish`.",
    Outcome.LOST: "Nobody saw its end: the host was rebooted, or every process of ltspec was"
                  " killed. Look what it has done, then `ltspec retry {ref}`.",
    Outcome.TIMEOUT: "ltspec ended it. Give it more time with `timeout` in the spec, or see in"
                     " `ltspec logs {ref}` where it hung.",
    Outcome.STOPPED: "`ltspec retry {ref}` runs it again; an `apply` does only where its spec says"
                     " `rerun: always`.",
    Outcome.SKIPPED: "It never ran. Run what it needs again, and it goes back to its queue by"
                     " itself when that ends well.",
    Outcome.NOT_STARTED: "Mend what is said there, then `ltspec retry {ref}`.",
    Outcome.REPORTED: "The task said so itself. `ltspec logs {ref}` has what it wrote;"
                      " `ltspec retry {ref}` runs it again.",
}


def _why_ended(facts: Facts) -> str:
    task = facts.task
    when = plain.moment(task.ended)
    if task.status == "OK":
        how = " as it reported itself" if task.outcome is Outcome.REPORTED else ""
        again = f"`ltspec retry {task.reference}` runs it again."
        return f"It ended well{how}, {when}. {again}{_failed_hooks(facts)}"
    signal = f" (signal {task.signal}, {signal_name(task.signal)})" if task.signal else ""
    advice = _ADVICE.get(task.outcome or Outcome.EXIT, "").format(ref=task.reference)
    return f"It ended ERR {task.detail}{signal}, {when}. {advice}{_failed_hooks(facts)}"


def _failed_hooks(facts: Facts) -> str:
    failed = [one for one in facts.hooks
              if one.state == "failed" and one.attempt == facts.task.attempts]
    return "".join(f" Its on_finish command ({one.moment}) failed: {one.detail}." for one in failed)


def heading(facts: Facts) -> str:
    """The first line on a terminal, in the status' colour."""
    task = facts.task
    text = f"{task.status} {plain.safe(task.reference)}"
    if not plain.coloured():
        return text
    return plain.paint(text, tasklist.STATUS_COLOUR[task.status])
