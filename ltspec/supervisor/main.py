"""The supervisor's start and end; the loop is in `loop`.

Started by the guardian, which passes the descriptors of the lock, the sockets and its control
connection. Everything is imported and opened before the guardian is told that it is ready. At its
end it does nothing to the tasks: they run on, and the next supervisor finds them.
"""

import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

from ltspec import clock, pidfile
from ltspec.catalogue import lifecycle, open_store
from ltspec.errors import CannotDo, LtspecError
from ltspec.paths import Places, check_private
from ltspec.supervisor import furnishing, identity, orders, recovery
from ltspec.supervisor.control import Control
from ltspec.supervisor.loop import Supervisor
from ltspec.supervisor.orders import Orders
from ltspec.supervisor.talk import Talk

START_FAILED = 5    # the exit code that tells the guardian: it cannot work, do not try at once
START_ANEW = 6      # the guardian is to open the door again and start another one


def main(argv: list[str] | None = None) -> int:
    """Run until idle, told to end, or without a guardian; returns the exit code."""
    arguments = orders.read(sys.argv[1:] if argv is None else argv)
    places = Places(arguments.state_dir, arguments.run_dir)
    try:
        supervisor = _build(arguments, places)
    except (LtspecError, OSError) as error:
        say(f"cannot start: {error}")
        _tell_starter(arguments.ready_fd, str(error))
        return START_FAILED
    _tell_starter(arguments.ready_fd, "")
    try:
        return _run(supervisor, arguments)
    except LtspecError as error:
        say(f"cannot go on: {error}")
        return START_FAILED


def say(text: str) -> None:
    """One line in supervisor.log (descriptor 2)."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(clock.now().wall))
    line = " / ".join(text.splitlines())
    try:
        os.write(2, f"{stamp} supervisor {os.getpid()}: {line}\n".encode(errors="replace"))
    except OSError:
        return  # the disk with the log is full: the work goes on, nobody can be told


def _tell_starter(ready: int, problem: str) -> None:
    """Give the one who started us the reason why not, or let go of him."""
    if ready < 0:
        return
    try:
        if problem:
            os.write(ready, problem.encode()[:4000])
    except BrokenPipeError:
        return
    finally:
        os.close(ready)


def _build(arguments: Orders, places: Places) -> Supervisor:
    _reserve_descriptors()
    _keep_from_tasks(arguments)
    identity.raise_open_files()
    check_private(places.state_dir)
    store = open_store(places.catalogue, create=True)
    recorded = store.setting("run_dir")
    if recorded and recorded != places.run_dir and lifecycle.has_work(store):
        message = (
            f"this catalogue's run directory is {recorded}, not {places.run_dir}\n"
            "wait until nothing waits or runs, then change run_dir"
        )
        raise CannotDo(message)
    boot_id = clock.boot_id()
    now = clock.now()
    with store.write(durable=True):
        store.set_setting("run_dir", places.run_dir)
        lifecycle.after_reboot(store, boot_id, now=now)
    run = pidfile.RunDirectory(places.run_dir, shared=furnishing.furnish(places))
    supervisor = Supervisor(
        store=store, places=places, run=run, epoll=select.epoll(), boot_id=boot_id,
        control=Control(arguments.control_fd), idle_exit=arguments.idle_exit,
        clock=clock.now, say=say,
    )
    _adopt(supervisor)
    supervisor.epoll.register(arguments.control_fd, select.EPOLLIN)
    supervisor.talk = Talk(
        supervisor.epoll, socket.socket(fileno=arguments.listen_fd),
        furnishing.second_socket(places),
        supervisor.finish, run_dir=places.run_dir, dies_with=arguments.dies_with,
    )
    supervisor.start_watching()
    return supervisor


def _reserve_descriptors() -> None:
    """Keep 3 occupied: a task's parameters are put there, no descriptor of ours may be."""
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    if null != 3:
        try:
            os.fstat(3)
        except OSError:
            os.dup2(null, 3, inheritable=False)
        os.close(null)


def _keep_from_tasks(arguments: Orders) -> None:
    """The descriptors that the guardian handed down by exec are not for the tasks."""
    for number in (arguments.lock_fd, arguments.listen_fd, arguments.control_fd,
                   arguments.ready_fd):
        if number >= 0:
            os.set_inheritable(number, False)


def _adopt(supervisor: Supervisor) -> None:
    turns, places = supervisor.turns, supervisor.places
    with supervisor.store.write():
        replayed = recovery.replay(supervisor.store, places, turns.boot_id)
    turns.sync()
    found = recovery.recover(supervisor.store, places, turns.boot_id, replayed)
    for running in found.adopted:
        supervisor.adopt(running)
    for running in found.over:
        supervisor.adopt_over(running)
    supervisor.control.ready([running.pid for running in found.adopted])
    recovery.clear_scripts(places, found.adopted)
    if found.adopted or found.over:
        adopted, unseen = len(found.adopted), len(found.over)
        say(f"adopted {adopted} running tasks; the end of {unseen} was not seen")


def _run(supervisor: Supervisor, arguments: Orders) -> int:
    stop = _catch_stop_signals(supervisor)
    while not (supervisor.leaving or supervisor.control.lost or stop):
        supervisor.step(clock.now())
    supervisor.turns.leave()
    supervisor.store.close()
    if supervisor.control.lost:
        _become_guardian(arguments)
    return START_ANEW if supervisor.watcher.door_lost else 0


def _catch_stop_signals(supervisor: Supervisor) -> list[int]:
    """SIGTERM and SIGINT end the loop at the end of its step; the list gets the signal."""
    caught: list[int] = []
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    supervisor.epoll.register(reading, select.EPOLLIN)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught_number, _frame: caught.append(caught_number))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return caught


def _become_guardian(arguments: Orders) -> NoReturn:
    """The guardian was killed: take its place. Children, zombies and the lock stay with this
    process; the new guardian starts a new supervisor (DESIGN 5)."""
    say("the guardian is gone: taking its place")
    from ltspec.supervisor.guardian import exec_guardian

    identity.restore_open_files()
    exec_guardian(arguments)


if __name__ == "__main__":
    sys.exit(main())
