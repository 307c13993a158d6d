"""Who is alive: knowing a process again, reading its end, signalling it and what it left.

An attempt's process is identified by boot id, pid and start time (field 22 of /proc/PID/stat); a
pid alone is never trusted (DESIGN 5). Starts nothing: that is `process`.
"""

import fcntl
import os
import signal
import struct
from typing import NamedTuple

from ltspec.states import Seen

_TICKS = os.sysconf("SC_CLK_TCK")                             # in a second
_PIDFD_GET_INFO = (3 << 30) | (64 << 16) | (0xFF << 8) | 11  # <linux/pidfd.h>, Linux 6.13
_PIDFD_INFO_EXIT = 1 << 3                                     # Linux 6.15


class Identity(NamedTuple):
    """A process, so that it can be known again after its pid was given to another one."""

    pid: int
    start_ticks: int


def start_ticks(pid: int) -> int | None:
    """The start time of a process in clock ticks since boot; None where there is no such one."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def ticks_between(pid: int, before: float, after: float) -> int | None:
    """`start_ticks` of a process that was started between two readings of the boot clock: the
    kernel keeps the same clock in ticks of 10 ms, so mostly there is nothing to ask it for."""
    if int(before * _TICKS) == int(after * _TICKS):
        return int(before * _TICKS)
    return start_ticks(pid)


def _stat(pid: int) -> list[bytes] | None:
    """Fields 3 and on of /proc/PID/stat (proc(5)): what stands behind the last `)`."""
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(file, 4096).rpartition(b")")[2].split() or None
    except ProcessLookupError:
        return None
    finally:
        os.close(file)


def adopt(identity: Identity) -> int | None:
    """A pidfd of exactly that process, running or unreaped; None where it is gone.

    First the pidfd, then the comparison: what was compared cannot change under the pidfd.
    """
    try:
        pidfd = os.pidfd_open(identity.pid)
    except (ProcessLookupError, OSError):
        return None
    if start_ticks(identity.pid) == identity.start_ticks:
        return pidfd
    os.close(pidfd)
    return None


def look(pidfd: int, pid: int) -> Seen | None:
    """How a process ended, without reaping it; None while it runs. Seen() where nobody can tell.

    For a child waitid with WNOWAIT; for another one the exit status in /proc while it is a zombie,
    then the kernel's own memory of it behind the pidfd (Linux 6.15).
    """
    try:
        found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return _look_at_stranger(pidfd, pid)
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return Seen(code=found.si_status)
    return Seen(signal=found.si_status)


def _look_at_stranger(pidfd: int, pid: int) -> Seen | None:
    if not has_ended(pidfd):
        return None
    fields = _stat(pid)
    if fields and fields[0] == b"Z" and has_ended(pidfd):
        return _from_wait_status(int(fields[49]))
    buffer = bytearray(struct.pack("QQ", _PIDFD_INFO_EXIT, 0) + bytes(48))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, buffer)
    except OSError:
        return Seen()
    mask, status = struct.unpack_from("Q", buffer)[0], struct.unpack_from("i", buffer, 60)[0]
    return _from_wait_status(status) if mask & _PIDFD_INFO_EXIT else Seen()


def _from_wait_status(status: int) -> Seen:
    if os.WIFSIGNALED(status):
        return Seen(signal=os.WTERMSIG(status))
    return Seen(code=os.WEXITSTATUS(status))


def has_ended(pidfd: int) -> bool:
    """True where the process has ended, reaped or not: its pidfd is readable (pidfd_open(2))."""
    import select

    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def reap(pidfd: int) -> bool:
    """Free the zombie of a child whose end is committed; False where it is not our child."""
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def signal_group(pid: int, number: int) -> None:
    """Signal the process group of a leader that is running or unreaped; an empty one is fine."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left in it, or only what we may not signal: the scan names those


def members(session: int, token: str) -> list[Identity]:
    """What an attempt left: living processes of its session, and those that carry its mark.

    A double fork leaves the session but keeps the environment, so both are looked at. The leader
    itself is not in the list.
    """
    mark = f"LTSPEC_TOKEN={token}\0".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (session, os.getpid()):
            continue
        fields = _stat(int(name))
        if not fields or fields[0] in (b"Z", b"X"):
            continue
        if int(fields[3]) == session or _has_mark(int(name), mark):
            found.append(Identity(int(name), int(fields[19])))
    return found


def memory_name(token: str) -> str:
    """The name of the memory with an attempt's parameters, which is its mark before its exec."""
    return f"ltspec-{token}"


def find_marked(token: str) -> Identity | None:
    """The living process of a start whose pid was not kept, whether it has come to its exec or not.

    From its first moment it holds the memory with its parameters, by whatever number; a task may
    close that, but by then its environment has the mark. Both are handed down to what it starts,
    which is in its session or, having left it, has the mark: a holder without the mark is the
    process itself before its exec.
    """
    mark = f"LTSPEC_TOKEN={token}\0".encode()
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else None
        if not fields or fields[0] in (b"Z", b"X"):
            continue
        pid = int(name)
        holds, marked = _holds_memory(pid, memory_name(token)), _has_mark(pid, mark)
        leads = int(fields[3]) == pid
        if (leads and (holds or marked)) or (holds and not marked):
            return Identity(pid, int(fields[19]))
    return None


def _holds_memory(pid: int, name: str) -> bool:
    """True where a descriptor of the process is the memory file of that name."""
    folder = f"/proc/{pid}/fd"
    for _ in range(2):          # it may move from one number to another while it is looked for
        try:
            numbers = os.listdir(folder)
        except OSError:
            return False        # gone, or not ours to see: then it is no task of ours either
        for number in numbers:
            try:
                if os.readlink(f"{folder}/{number}") == f"/memfd:{name} (deleted)":
                    return True
            except OSError:
                continue
    return False


def _has_mark(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in b"\0" + file.read()
    except OSError:
        return False  # gone, or not ours to read: then it is not ours to signal either


def signal_identity(identity: Identity, number: int) -> bool:
    """Signal exactly that process; False where it is gone or may not be signalled."""
    pidfd = adopt(identity)
    if pidfd is None:
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(pidfd)
    return True


def describe(identity: Identity) -> str:
    """A process for a person: its pid, name and state."""
    fields = _stat(identity.pid)
    try:
        with open(f"/proc/{identity.pid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        name = "?"
    state = fields[0].decode() if fields else "?"
    return f"{identity.pid} ({name}, {state})"
