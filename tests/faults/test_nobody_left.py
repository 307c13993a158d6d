"""Stop leaves nobody, also where the supervisor dies meanwhile; who cannot be ended is named."""

import os
import re
import signal
import sys

import pytest

# Ignores TERM, and so does a grandchild in a session of its own that has lost our files.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 64)
        with open("left.new", "w") as file:
            file.write(str(os.getpid()))
        os.rename("left.new", "left")
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""

QUICK = '[["TERM", 0.1], ["KILL", 0]]'


@pytest.mark.parametrize("who", ["supervisor", "both"])
def test_stop_is_carried_on_by_the_next_supervisor(engine, host, process_runs, who):
    ladder = (("TERM", 60.0), ("KILL", 0.0))
    engine.submit(engine.spec("a", sys.executable, "-c", STUBBORN, kill=ladder, hash="h"))
    engine.until(engine.path("left").exists)
    left, leader = int(engine.path("left").read_text()), engine.running("a").pid
    with engine.store.write():
        engine.store.execute(
            "UPDATE task SET spec = json_set(spec, '$.kill', json(?))", (QUICK,)
        )
    engine.ask("a", "stop")
    engine.kill_supervisor() if who == "supervisor" else engine.kill_both()
    task = engine.ended("a")[0]
    assert (host.status("a"), task.outcome) == ("ERR stopped", "stopped")
    assert not process_runs(leader)
    assert not process_runs(left)
    assert len(engine.attempts("a")) == 1


# As root, but without the right to signal others (CAP_KILL): what sudo is for an ordinary user.
# The clock is given, so nobody waits for it.
OUT_OF_REACH = """
import os, signal, subprocess, sys, time
from ltspec.model import TaskSpec
from ltspec.supervisor import stopping
from ltspec.supervisor.running import Running
from ltspec import alive
from ltspec.states import Seen

text = "import os, time; os.setsid(); pid = os.fork(); os.setuid(65534) if not pid else None; " \
       "print(pid or os.getpid(), flush=True); time.sleep(600)"
pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
leader = subprocess.Popen([sys.executable, "-c", text], text=True, **pipes)
member = int(leader.stdout.readline())
leader.stdout.readline()
ticks = alive.start_ticks(leader.pid)
running = Running(
    key=1, number=1, token="x" * 32, spec=TaskSpec(id="a", command=("x",)), file="a",
    pid=leader.pid, ticks=ticks, pidfd=os.pidfd_open(leader.pid), started_boot=0.0, retried=0,
    uid=0,
)
running.ladder = stopping.Ladder((("TERM", 1.0), ("KILL", 0.0)))
stopping.climb(running, 0.0)
leader.wait()
running.seen = Seen(signal=15)
first = stopping.is_over(running)
stopping.climb(running, 1.0)
stopping.climb(running, 1.0 + stopping.SURVIVAL_SECONDS)
print(first, stopping.is_over(running), member)
print(running.survivors)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a process that others cannot end")
def test_process_that_may_not_be_signalled_is_named_in_the_end(host, confined):
    done = host.run([*confined("--no-kill"), sys.executable, "-c", OUT_OF_REACH], code=0)
    first, over, member = done.stdout.splitlines()[0].split()
    os.kill(int(member), signal.SIGKILL)
    assert (first, over) == ("False", "True")
    assert re.fullmatch(rf"{member} \(python[\d.]*, S\)", done.stdout.splitlines()[1])
