"""Runs a program with less than the tests have: without root's way around file modes, without its
right to signal others, as another user, or with lower limits.

    confined.py [--respect-modes] [--no-kill] [--uid N] [--nofile N] [--nproc N] PROGRAM ARGUMENT…

`--nproc` counts the user's processes, so it comes with a user of its own: with --uid as root, else
with a user namespace, in which the kernel counts anew.
"""

import argparse
import ctypes
import os
import resource

PR_CAPBSET_DROP, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 24, 8, 47, 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_KILL = 1, 2, 5
CLONE_NEWUSER = 0x10000000
LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *values):
    if function(*map(ctypes.c_ulong, values)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), function.__name__)


def lose(*capabilities):
    """Root goes through closed doors with capabilities; what is exec'ed does not get these."""
    if os.geteuid() == 0:
        for capability in capabilities:
            call(LIBC.prctl, PR_CAPBSET_DROP, capability, 0, 0, 0)


def become(uid):
    """Another user, who may read everything: the interpreter may be where only root can go."""
    call(LIBC.prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    keep_reading()


def keep_reading():
    """Put CAP_DAC_READ_SEARCH into the sets that an exec hands down (capabilities(7))."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    for place in (0, 1, 2):
        sets[place] = 1 << CAP_DAC_READ_SEARCH
    if LIBC.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    call(LIBC.prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0)


def count_processes_anew():
    """A user namespace in which we stay who we are."""
    uid = os.geteuid()
    call(LIBC.unshare, CLONE_NEWUSER)
    with open("/proc/self/uid_map", "w", encoding="ascii") as file:
        file.write(f"{uid} {uid} 1")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--respect-modes", action="store_true")
    parser.add_argument("--no-kill", action="store_true")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--nofile", type=int)
    parser.add_argument("--nproc", type=int)
    parser.add_argument("argv", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.respect_modes:
        lose(CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)
    if options.no_kill:
        lose(CAP_KILL)
    if options.uid is not None:
        become(options.uid)
    elif options.nproc is not None:
        count_processes_anew()
    for number, value in ((resource.RLIMIT_NOFILE, options.nofile),
                          (resource.RLIMIT_NPROC, options.nproc)):
        if value is not None:
            resource.setrlimit(number, (value, value))
    os.execv(options.argv[0], options.argv)


if __name__ == "__main__":
    main()
