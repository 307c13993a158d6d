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

from ltspec import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CPU_SECONDS = 20
WALL_SECONDS = 60
MEMORY = 1024 * 1024 * 1024
FILE_DESCRIPTORS = 64


def confined(work: Callable[[], Any]) -> Any:
    """What `work` gives, by way of JSON; a text that says why where it was stopped. Errors of
    ltspec leave here as they left `work`.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work(work, writer)
    os.close(writer)
    data = _read(reader, child)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0 or data is None:
        return f"reading the specs took more than {CPU_SECONDS} s or {MEMORY // 2**20} MiB"
    answer = json.loads(data)
    if "error" in answer:
        kind: type[errors.LtspecError] = getattr(errors, answer["error"])
        raise kind(answer["message"])
    return answer["result"]


def _work(work: Callable[[], Any], writer: int) -> None:
    """In the child: never returns."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILE_DESCRIPTORS, FILE_DESCRIPTORS))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            answer = {"result": work()}
        except errors.LtspecError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        data = json.dumps(answer).encode()
        while data:
            data = data[os.write(writer, data) :]
        code = 0
    finally:
        os._exit(code)                       # whatever happened: the parent goes on, not we


def _read(reader: int, child: int) -> bytes | None:
    """The answer; None where it did not come in time, and then the child is killed."""
    import select

    deadline = time.monotonic() + WALL_SECONDS
    data = b""
    with open(reader, "rb", buffering=0) as pipe:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                os.kill(child, signal.SIGKILL)
                return None
            chunk = pipe.read(1 << 16)
            if not chunk:
                return data
            data += chunk
