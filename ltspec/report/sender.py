"""The sender: a short-lived process that sends the reports that are due, then ends (DESIGN 8).

    python -m ltspec.report.sender --state-dir DIR --run-dir DIR [--time-limit SECONDS]

The supervisor starts it when `outbox.next_due` says so, one at a time (a lock file guards that).
It is a process of its own because mgrctl may hang, and because `sh` costs more to import than the
supervisor should pay. Up to four calls run at once; each result is recorded as it comes. A call
that is over its time limit is killed with what it started in its session; a panel that it brought
up in a session of its own is left alone.
"""

import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import IO, NamedTuple

import sh

from ltspec import alive, process
from ltspec.catalogue import Store, open_store, outbox
from ltspec.clock import now
from ltspec.errors import CatalogueError
from ltspec.paths import Places
from ltspec.report import call
from ltspec.spec.panel import REPORTING

TIME_LIMIT = 60.0
AT_ONCE = 4
SCANS = 50
_ANY_CODE = tuple(range(-64, 256))      # each is an answer to look at, none an exception


class Answer(NamedTuple):
    """What came of one call: `kind` is sent, refused or unanswered."""

    kind: str
    text: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Send what is due and return 0; 5 where the catalogue cannot be used, BUSY beside another."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m ltspec.report.sender")
    parser.add_argument("--state-dir", required=True)
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT, help="seconds for one call")
    options = parser.parse_args(arguments)
    # sh forks while its own threads of earlier calls end; the child only execs.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    places = Places(options.state_dir, options.run_dir)
    try:
        with process.only_one(places.state_dir + "/sender.lock") as alone:
            if not alone:
                return process.BUSY
            send_due(places, options.time_limit)
    except CatalogueError as error:
        sys.stderr.write(f"sender: {error}\n")
        return error.exit_code
    return 0


def send_due(places: Places, time_limit: float) -> None:
    """Send every report that is due, at most AT_ONCE at the same time."""
    store = open_store(places.catalogue)
    try:
        reports = iter(outbox.due(store, now().wall))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            running: dict[Future[Answer], outbox.Due] = {}
            while _fill(running, reports, store, pool, places, time_limit):
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    _record(store, running.pop(done), done.result())
    finally:
        store.close()


def _fill(
    running: dict[Future[Answer], outbox.Due],
    reports: Iterator[outbox.Due],
    store: Store,
    pool: ThreadPoolExecutor,
    places: Places,
    time_limit: float,
) -> bool:
    """Start calls while there is room; False where nothing is left to wait for."""
    while len(running) < AT_ONCE and (report := next(reports, None)) is not None:
        if not report.mgrctl:
            with store.write():
                outbox.given_up(store, report.key, "no mgrctl is set for the task any more")
            continue
        parts = (places.run_dir, report.manager, report.queue, report.file)
        pidfile = "/".join(part for part in parts if part)
        elements = call.arguments(
            report.manager, pidfile, report.status, report.errmsg, report.form
        )
        running[pool.submit(send, report.mgrctl, elements, time_limit)] = report
    return bool(running)


def send(mgrctl: str, elements: list[str], time_limit: float) -> Answer:
    """Call it once and judge the answer. Never raises for what the called program does.

    Its output goes to files, not pipes: a daemon that it leaves behind may hold them open.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            code = _call(mgrctl, elements, time_limit, out, err)
        except sh.TimeoutException:
            return Answer("unanswered", f"no answer within {time_limit:g} s; it was ended")
        except sh.CommandNotFound:
            return Answer("unanswered", f"cannot run {mgrctl}: not there, or not executable")
        except (sh.ForkException, OSError) as error:
            reason = str(error).strip().splitlines()[-1]
            return Answer("unanswered", call.kept(f"cannot run {mgrctl}: {reason}"))
        output, errors = _text(out), _text(err)
    if call.is_refusal(output):
        return Answer("refused", call.kept(output))
    if code == 0:
        return Answer("sent", call.kept(output))
    end = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    return Answer("unanswered", call.kept(f"{end}: {errors or output}".rstrip(": ")))


def _call(
    mgrctl: str, elements: list[str], time_limit: float, out: IO[bytes], err: IO[bytes]
) -> int:
    """Run it through `sh` and return its exit code (negative: a signal)."""
    with open(os.devnull, "rb") as nothing:
        running = sh.Command(mgrctl)(
            *elements,
            _in=nothing, _out=out, _err=err, _encoding="utf-8", _new_session=True,
            _timeout=time_limit, _ok_code=_ANY_CODE, _bg=True, _bg_exc=False,
            _cwd="/", _env={**os.environ, REPORTING: "1"},
        )
        try:
            running.wait()
        except sh.TimeoutException:
            _end_session(running.sid)
            raise
        return int(running.exit_code)


def _end_session(session: int) -> None:
    """Kill what a call that was ended has left in its session, until a scan finds nobody.

    Bounded: a process that hangs in the kernel does not end, and must not hold up the others.
    """
    for _ in range(SCANS):
        left = alive.members(session, f"sender-{session}")
        if not left:
            return
        for identity in left:
            alive.signal_identity(identity, signal.SIGKILL)
        time.sleep(0.02)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(65536).decode("utf-8", "replace")


def _record(store: Store, report: outbox.Due, answer: Answer) -> None:
    with store.write():
        if answer.kind == "sent":
            outbox.sent(store, report.key, answer.text)
        elif answer.kind == "refused":
            outbox.refused(store, report, answer.text, now=now().wall)
        else:
            outbox.unanswered(store, report, answer.text, now=now().wall)


if __name__ == "__main__":
    sys.exit(main())
