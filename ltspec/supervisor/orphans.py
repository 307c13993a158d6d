"""The guardian's children: what it inherits of dead supervisors, and whose zombies it keeps.

The tasks of a dead supervisor come to the guardian because it is a child subreaper (prctl(2)); the
zombie of an ended one holds its exit code until somebody reaps it.
"""

import os

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Inherit the orphans of what we start; the flag survives exec. False where the kernel gives
    none: then the exit codes of orphans may be lost."""
    import ctypes

    return bool(
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    )


def has_children() -> bool:
    """True where somebody is ours, running or unreaped."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap_strays(keep: set[int], supervisor: int) -> None:
    """Free the zombies of orphans that nobody waits for. When a supervisor dies, its children
    come here in the same moment as its own zombie, so it is looked at again before each one."""
    for pid in _zombies():
        if pid in keep or pid == supervisor:
            continue
        if _has_ended(supervisor):
            return
        os.waitpid(pid, os.WNOHANG)


def _zombies() -> list[int]:
    """Pids of zombies among our children; the children's list is the kernel's (proc(5))."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        children = file.read().split()
    return [int(pid) for pid in children if _has_ended(int(pid))]


def _has_ended(pid: int) -> bool:
    """True for a child of ours that has ended; it stays unreaped."""
    try:
        state = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return state is not None
