"""Control groups, version 2: what bounds a task as a whole, and ends everything in it (cgroups(7)).

Owns every access to the cgroup file system. Only a task that limits memory or processes gets a
group, `ltspec-TOKEN`, below the one that is delegated to ltspec: the one that the configuration
names, or the supervisor's own where that is the scope that it was started in or systemd has marked
it as delegated. A group that hands controllers down must have no processes itself, so those of the
scope (all of them are ltspec's) are moved into a leaf of it, `ltspec-rest`. Not those of a service:
systemd could not start it again while a task lives on in it.
"""

import os
import signal
from collections.abc import Iterable, Mapping, Sequence

LIMITS = {"memory": ("memory", "memory.max"), "processes": ("pids", "pids.max")}
_PREFIX = "ltspec-"
_REST = _PREFIX + "rest"
_MARKS = ("user.delegate", "trusted.delegate")       # of systemd for Delegate=, not of a user's one
_TRIES = 20                                          # what is moved may fork meanwhile


class Unavailable(Exception):
    """No group can be made for a task here; the message is the reason."""


def controllers(limits: Iterable[str]) -> list[str]:
    """The controllers that these limits need; none for a task that needs no group."""
    return [LIMITS[name][0] for name in limits if name in LIMITS]


# -- which group is ours ------------------------------------------------------------------------


def root() -> str:
    """Where the whole hierarchy is mounted. Raises Unavailable."""
    return _mounted()[0]


def _mounted() -> tuple[str, str]:
    """The mount point, and the group that stands there (mountinfo in proc(5))."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, kind = line.partition(" - ")
            if kind.startswith("cgroup2 "):
                group, place = fields.split()[3:5]
                return place, group
    raise Unavailable("cgroup v2 is not mounted")


def of(pid: int | str) -> str:
    """The directory of the group in which a process lives. Raises Unavailable."""
    place, base = _mounted()
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            name = next((line[3:].strip() for line in file if line.startswith("0::")), None)
    except OSError as error:
        raise Unavailable(f"process {pid} cannot be looked at: {error.strerror}") from error
    if name is None:
        raise Unavailable("this kernel has no cgroup v2")
    return (place + name.removeprefix(base.rstrip("/"))).rstrip("/")


def delegated(pid: int | str = "self") -> str:
    """The group that systemd has delegated to a process: its own or the one above. Raises
    Unavailable where neither is."""
    own = of(pid)
    for directory in (own, os.path.dirname(own)):
        if _is_our_scope(directory) or _is_marked(directory):
            return directory
    raise Unavailable("no control group is delegated to ltspec")


def scope_name() -> str:
    """A new name for the scope of a supervisor."""
    return f"{_PREFIX}{os.urandom(6).hex()}.scope"


def _is_our_scope(directory: str) -> bool:
    name = os.path.basename(directory)
    return name.startswith(_PREFIX) and name.endswith(".scope")


def _is_marked(directory: str) -> bool:
    for name in _MARKS:
        try:
            if os.getxattr(directory, name) == b"1":
                return True
        except OSError:
            continue  # not set, not supported, or not for us to read: another mark may be
    return False


def lacking(directory: str, wanted: Sequence[str]) -> str:
    """Which of the controllers a group does not have, in words; "" where it has them all."""
    try:
        there = _words(directory + "/cgroup.controllers")
    except OSError as error:
        return f"{directory} is no group of cgroup v2 ({error.strerror})"
    for name in wanted:
        if name not in there:
            elsewhere = f" ({name} is bound to cgroup v1)" if _is_in_v1(name) else ""
            return f"{directory} has no controller {name}{elsewhere}"
    return ""


def _is_in_v1(name: str) -> bool:
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        return any(name in line.split(":")[1].split(",") for line in file)


def obstacle(directory: str, wanted: Sequence[str]) -> str:
    """Why no groups with these controllers can be made below a group; "" where they can."""
    missing = lacking(directory, wanted)
    if missing:
        return missing
    files = ("", "/cgroup.procs", "/cgroup.subtree_control")
    if not all(os.access(directory + name, os.W_OK) for name in files):
        return f"{directory} is not ours to write"
    is_root = not os.path.exists(directory + "/cgroup.type")
    if is_root or _is_our_scope(directory) or not _missing(directory, wanted):
        return ""
    return f"{directory} has processes of its own" if _words(directory + "/cgroup.procs") else ""


def _missing(directory: str, wanted: Iterable[str]) -> list[str]:
    handed_down = _words(directory + "/cgroup.subtree_control")
    return [name for name in wanted if name not in handed_down]


# -- the group of one task ----------------------------------------------------------------------


def make(directory: str, token: str, limits: Mapping[str, int]) -> str:
    """Make the group of an attempt with its limits; its path. Raises OSError."""
    hand_down(directory, controllers(limits))
    path = f"{directory}/{_PREFIX}{token}"
    os.mkdir(path)
    try:
        for name, value in limits.items():
            if name in LIMITS:
                _write(f"{path}/{LIMITS[name][1]}", str(value))
    except OSError:
        os.rmdir(path)
        raise
    return path


def hand_down(directory: str, wanted: Iterable[str]) -> None:
    """Let groups below this one have the controllers. Raises OSError."""
    missing = _missing(directory, wanted)
    if not missing:
        return
    words = " ".join("+" + name for name in missing)
    for _ in range(_TRIES):
        if _is_our_scope(directory):
            _move_away(directory)
        try:
            _write(directory + "/cgroup.subtree_control", words)
        except OSError:
            continue
        return
    _write(directory + "/cgroup.subtree_control", words)


def _move_away(directory: str) -> None:
    leaf = f"{directory}/{_REST}"
    living = _words(directory + "/cgroup.procs")
    if living:
        os.makedirs(leaf, exist_ok=True)
    for pid in living:
        try:
            _write(leaf + "/cgroup.procs", pid)
        except ProcessLookupError:
            continue  # it has ended


def join(path: str) -> None:
    """Move the calling process into a group. Raises OSError."""
    _write(path + "/cgroup.procs", "0")


def find(directory: str, token: str, pid: int) -> str:
    """The group of an attempt that an earlier supervisor started, by its process; of one that has
    ended only where `directory` was configured. "" where it is not known."""
    name = _PREFIX + token
    try:
        found = of(pid)
    except Unavailable:
        found = ""
    if os.path.basename(found) == name:
        return found
    return f"{directory}/{name}" if directory else ""


def pids(path: str) -> list[int]:
    """The processes in a group and in those below it."""
    found: list[int] = []
    for directory, _, _ in os.walk(path):
        try:
            found += map(int, _words(directory + "/cgroup.procs"))
        except OSError:
            continue  # taken away meanwhile
    return found


def kill(path: str) -> None:
    """Send SIGKILL to all that is in a group, forks of this moment included (Linux 5.14; before
    that to those that are seen now)."""
    try:
        _write(path + "/cgroup.kill", "1")
    except FileNotFoundError:
        for pid in pids(path):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def remove(path: str) -> bool:
    """Take a group away, with those that the task made below it; False while a process lives."""
    for directory, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def _words(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:
        return file.read().split()


def _write(path: str, text: str) -> None:
    # Not open("w"): it would make a file where a kernel has none of this name.
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(file)
