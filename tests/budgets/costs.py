"""What a start, an end and each command may cost, counted and not timed: the only place with these
numbers.

They are what was counted when they were last set, with some room for other versions of Python and
SQLite. Where one is exceeded, look for the cause first; where a change is worth its price, raise
the number in the same commit. Where something has become cheaper, lower it.
"""

from typing import NamedTuple


class Cost(NamedTuple):
    """System calls (of a command: beyond those of an empty Python), SQL statements, syncs to disk,
    modules of ltspec (of a command)."""

    calls: float
    statements: float
    syncs: float
    modules: float = 0


# The supervisor's, for one more task. How much is done in one turn of its loop depends on how the
# machine shares its time, so these have more room than the others.
START = Cost(calls=82, statements=9, syncs=1.1)            # a common task that starts and runs on
START_AND_END = Cost(calls=110, statements=13, syncs=1.1)   # one of many in a queue with one slot

# {} is another number at each call; tasks with the ids waiting0, running0 and so on are there.
COMMANDS = {
    "ltspec --version": Cost(120, 0, 0, 5),
    "ltspec list": Cost(900, 16, 0, 24),
    "ltspec show q/waiting0": Cost(1080, 23, 0, 30),
    "ltspec why q/waiting0": Cost(1060, 23, 0, 30),
    "ltspec queue list": Cost(900, 11, 0, 26),
    "ltspec stop q/waiting{}": Cost(1250, 22, 2, 33),
    "ltspec run -q q -- true": Cost(1080, 12, 2, 26),
    "ltspec apply one{}.yml": Cost(2150, 13, 2, 55),
    "ltspec validate one1.yml": Cost(1400, 0, 0, 40),
    "mgrctl longtask": Cost(870, 6, 0, 24),
    "mgrctl longtask.finish elid={run_dir}/ltspec/running{} status=ok": Cost(980, 11, 0, 26),
}

# Loaded by none of them: each costs more than all that such a command does.
HEAVY = {
    "asyncio", "concurrent.futures", "dataclasses", "difflib", "email", "importlib.metadata",
    "inspect", "jinja2", "jsonschema", "logging", "multiprocessing", "pathlib", "rich", "sh",
    "shutil", "socket", "subprocess", "tempfile", "typing_extensions", "unittest", "urllib.parse",
    "xml", "yaml",
}
ALLOWED = {
    "ltspec apply one{}.yml": {"yaml"},
    "ltspec validate one1.yml": {"yaml"},
}

# Instructions of SQLite's machine for each further task in the queue that a command is about.
# Counting goes through an index, entry by entry; all else must not grow.
GROWTH: dict[str, float] = {
    "ltspec list -q q": 3.2,
    "ltspec show q/waiting0": 2,
    "ltspec show q/ended0": 2,
    "ltspec why q/waiting0": 2,
    "ltspec queue list": 2,
    "ltspec stop q/waiting{}": 0.1,
    "ltspec run -q q -- true": 0.1,
    "ltspec apply one{}.yml": 0.1,
}
