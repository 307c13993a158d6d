"""Work in a child process that cannot use more than its share of time and memory.

For `validate --untrusted`: whatever a spec makes the reader do, this process goes on. The child
answers in JSON, so that even a child that was taken over can say only what a report can hold.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from typing import NamedTuple

from ltspec import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CPU_SECONDS = 20
WALL_SECONDS = 60
MEMORY = 1024 * 1024 * 1024
FILE_DESCRIPTORS = 64
OUT_OF_MEMORY = 77                           # the child's exit code


class Stopped(NamedTuple):
    """Why the work was not finished, and what it had said last that it is at ("" for nothing)."""

    reason: str
    at: str


def confined(work: Callable[[Callable[[str], None]], Any], deadline: float) -> Any:
    """What `work` gives, by way of JSON; Stopped where it used up its share, or was not done at the
    `deadline` (of the monotonic clock). It is given a function to say what it is at. Errors of
    ltspec leave here as they left `work`, others as a RuntimeError with the trace.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work(work, writer)
    os.close(writer)
    data, in_time = _read(reader, child, deadline)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said: list[dict[str, Any]] = [json.loads(line) for line in data.split(b"\n")[:-1]]
    answer = said[-1] if said else {}
    if not in_time or status != 0:
        return Stopped(_reason(status, in_time=in_time), str(answer.get("at", "")))
    if "bug" in answer:
        raise RuntimeError(answer["bug"])
    if "error" in answer:
        kind: type[errors.LtspecError] = getattr(errors, answer["error"])
        raise kind(answer["message"])
    return answer["result"]


def _reason(status: int, *, in_time: bool) -> str:
    if not in_time:
        return f"reading the specs took longer than {WALL_SECONDS} s"
    if status == -signal.SIGXCPU:
        return f"took more than {CPU_SECONDS} s of computing"
    if status == OUT_OF_MEMORY:
        return f"took more than {MEMORY // 2**20} MiB of memory"
    return f"ended its reader with {f'signal {-status}' if status < 0 else f'code {status}'}"


def _work(work: Callable[[Callable[[str], None]], Any], writer: int) -> None:
    """In the child: never returns."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILE_DESCRIPTORS, FILE_DESCRIPTORS))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _say(writer, _answer(work, writer))
        code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    finally:
        os._exit(code)                       # whatever happened: the parent goes on, not we


def _answer(work: Callable[[Callable[[str], None]], Any], writer: int) -> dict[str, Any]:
    try:
        return {"result": work(lambda place: _say(writer, {"at": place}))}
    except errors.LtspecError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the parent raises it again: a bug is told as one
        import traceback

        return {"bug": traceback.format_exc()}


def _say(writer: int, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(writer, data) :]


def _read(reader: int, child: int, deadline: float) -> tuple[bytes, bool]:
    """What the child said, and whether it ended in time: it is killed where not."""
    import select

    data = b""
    with open(reader, "rb", buffering=0) as pipe:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                os.kill(child, signal.SIGKILL)
                return data, False
            chunk = pipe.read(1 << 16)
            if not chunk:
                return data, True
            data += chunk
