"""Counts the system calls of a program and of all that it starts, by ptrace(2); needs no tool.

    python tracer.py OUTPUT PROGRAM [ARGUMENT…]

OUTPUT gets one JSON object when PROGRAM itself has ended: for each process its arguments and how
often it made which call, by number. What still runs then is killed.
"""

import ctypes
import json
import os
import signal
import sys
from collections import Counter

TRACEME, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
SYSGOOD, FORK, VFORK, CLONE, EXEC, EXITKILL = 0x01, 0x02, 0x04, 0x08, 0x10, 0x100000
WALL = 0x40000000
ENTRY = 1
EVENT_EXEC = 4
NOT_PERMITTED = 77

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, address=0, data=0):
    """True where it was done; False where the process is gone. Raises OSError."""
    if libc.ptrace(request, pid, address, data) >= 0:
        return True
    error = ctypes.get_errno()
    if error != 3:      # ESRCH
        raise OSError(error, os.strerror(error))
    return False


def entered(pid, info=(ctypes.c_uint64 * 16)()):  # noqa: B008 - one buffer for all calls
    """The number of the call that the process enters; None where it leaves one."""
    if not ptrace(GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info)):
        return None
    return int(info[3]) if info[0] & 0xFF == ENTRY else None


def start(argv):
    """The program's process, stopped before its first instruction."""
    pid = os.fork()
    if pid == 0:
        ptrace(TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(argv[0], argv)
    os.waitpid(pid, 0)
    ptrace(SETOPTIONS, pid, 0, SYSGOOD | FORK | VFORK | CLONE | EXEC | EXITKILL)
    ptrace(SYSCALL, pid)
    return pid


def arguments(pid):
    """The command line of a process."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]


def follow(root):
    """Count until the root process ends: pid -> (arguments, calls), and its wait status."""
    found: dict[int, tuple[list[str], Counter[int]]] = {}
    while True:
        pid, status = os.waitpid(-1, WALL)
        words, calls = found.setdefault(pid, ([], Counter()))
        if not os.WIFSTOPPED(status):
            if pid == root:
                return found, status
            continue
        stop, passed_on = os.WSTOPSIG(status), 0
        if stop == signal.SIGTRAP | 0x80:
            number = entered(pid)
            if number is not None:
                calls[number] += 1
        elif stop == signal.SIGTRAP:
            if status >> 16 == EVENT_EXEC:
                words[:] = arguments(pid)
        elif stop != signal.SIGSTOP:      # that is how a new process begins to be traced
            passed_on = stop
        ptrace(SYSCALL, pid, 0, passed_on)


def main():
    """The program's exit code; 77 where ptrace is not permitted here."""
    output, *argv = sys.argv[1:]
    try:
        root = start(argv)
    except PermissionError:
        return NOT_PERMITTED
    found, status = follow(root)
    with open(output, "w") as file:
        json.dump([{"argv": words, "calls": calls} for words, calls in found.values()], file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
