"""`longtask.finish elid=PIDFILE status=ok|err [errmsg=TEXT]`: a task's word about itself (C11-C14).

The word goes into the catalogue, in one transaction; then the supervisor, if one answers, publishes
it at once. If none does, the word stands and the next one publishes it.

A task that runs as another user cannot open the catalogue. It speaks to the supervisor through a
second socket, which believes it because of its uid and the token in its environment, and only
about itself. While a supervisor restarts nobody answers there, so it is tried for ten seconds.
"""

import os
import time
from typing import Any

from ltspec.catalogue import longtask
from ltspec.errors import CannotDo, CatalogueError, LtspecError
from ltspec.mgrctl.answer import Answer, Done, Wrong
from ltspec.mgrctl.context import Context
from ltspec.mgrctl.functions import found
from ltspec.pidfile import FINISH_SOCKET
from ltspec.states import Finish

STATUSES = {"ok": True, "err": False}
PUBLISH_SECONDS = 5.0         # how long to wait until the PID-file shows it
RESTART_SECONDS = 10.0        # how long a restarting supervisor is waited for
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
SOCKET_MESSAGE = 390_000      # bytes of a message that the second socket reads


def finish_task(context: Context) -> Answer:
    """Keep what the task says. An attempt's first call counts; one after its end is refused."""
    request = context.request
    if not any(request.readings("elid")):
        return Wrong("missed", "elid", "elid is missing: name the PID-file, $MGR_LT_PID")
    status = request.value("status").lower()
    if not status:
        return Wrong("missed", "status", "status is missing: ok or err")
    if status not in STATUSES:
        return Wrong("value", "status", f"status is ok or err, not {status}")
    ok = STATUSES[status]
    said = Finish(ok, "" if ok else _text(request.value("errmsg")))
    if _is_anothers(context.places.state_dir):
        return _through_socket(context, said)
    try:
        return _into_catalogue(context, said)
    except CatalogueError:
        if not _is_about_itself(context):
            raise
        return _through_socket(context, said)   # the supervisor may be of another version than we


def _text(value: str) -> str:
    """As SQLite can hold it: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(value).decode("utf-8", "replace")


def _is_anothers(state_dir: str) -> bool:
    """True where the catalogue is closed to us: it is another user's."""
    try:
        return os.geteuid() not in (0, os.stat(state_dir).st_uid)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True


def _into_catalogue(context: Context, said: Finish) -> Answer:
    row = found(context, context.request.readings("elid"))
    if isinstance(row, Wrong):
        return row
    store = context.store()
    assert store is not None  # noqa: S101 - `found` has just read it; for the type checker
    with store.write():
        kept = longtask.finish(store, row.key, said, os.environ.get("LTSPEC_TOKEN", ""))
    if not kept:
        return Wrong("value", "elid", f"{row.id} does not run (any more): its end is decided")
    _publish(context)
    return Done()


def _publish(context: Context) -> None:
    from ltspec.client import connect

    try:
        connection = connect(context.places, start=False)
        if connection is not None:
            with connection:
                connection.sync(PUBLISH_SECONDS)
    except LtspecError:
        return  # it is committed: whoever supervises next publishes it


def _through_socket(context: Context, said: Finish) -> Answer:
    """Tell the supervisor; the elid must be the caller's own PID-file."""
    if not _is_about_itself(context):
        return Wrong("access", "elid", "the catalogue is another user's: finish only yourself")
    message = {
        "do": "finish", "token": os.environ["LTSPEC_TOKEN"], "elid": os.environ["MGR_LT_PID"],
        "ok": said.ok, "errmsg": said.errmsg,
    }
    answer = _ask(f"{context.places.run_dir}/{FINISH_SOCKET}", _line(message))
    error = str(answer.get("error", ""))
    if error.startswith("cannot"):
        raise CannotDo(error)
    return Wrong("value", "elid", error) if error else Done()


def _is_about_itself(context: Context) -> bool:
    """True where the caller is a task and means its own PID-file."""
    own = os.environ.get("MGR_LT_PID", "")
    token = os.environ.get("LTSPEC_TOKEN", "")
    return bool(own and token) and own in context.request.readings("elid")


def _line(message: dict[str, Any]) -> bytes:
    """The message as one line, its text shortened where the socket would not take it."""
    import json

    line = json.dumps(message).encode() + b"\n"
    while len(line) > SOCKET_MESSAGE:
        message["errmsg"] = message["errmsg"][: len(message["errmsg"]) * 9 // 10]
        line = json.dumps(message).encode() + b"\n"
    return line


def _ask(path: str, line: bytes) -> dict[str, Any]:
    """Send one request and return its answer, trying again while nobody listens."""
    deadline = time.monotonic() + RESTART_SECONDS
    pause = FIRST_PAUSE
    while True:
        try:
            return _exchange(path, line, deadline - time.monotonic())
        except (OSError, ValueError) as error:
            if time.monotonic() + pause > deadline:
                raise CannotDo(f"no supervisor answers at {path}: {error}") from error
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _exchange(path: str, line: bytes, seconds: float) -> dict[str, Any]:
    """One connection: greeting, request, answer. Raises OSError or ValueError where it breaks off.

    A request that was cut off may have been heard; saying it again is harmless, the first counts.
    """
    import json
    import socket

    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(max(0.1, seconds))
            sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
            sock.sendall(line)
            with sock.makefile("rb") as answers:
                for text in answers:
                    answer: dict[str, Any] = json.loads(text)
                    if "hello" not in answer:
                        return answer
    finally:
        os.close(directory)
    raise ConnectionResetError("the supervisor went away before it answered")
