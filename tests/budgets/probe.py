"""Runs a command, or the supervisor, and writes down what it loaded and asked the catalogue.

    python probe.py ltspec|mgrctl OUTPUT ARGUMENT…
    python probe.py --state-dir …                    (as the guardian starts a supervisor)

OUTPUT, for a supervisor STATE_DIR/probe.json: the modules that were loaded, the SQL statements, and
how many instructions SQLite's machine carried out for them.
"""

import importlib
import os
import sqlite3
import sys
from typing import Any

MODULES = {
    "ltspec": "ltspec.cli", "mgrctl": "ltspec.mgrctl.command",
    "supervisor": "ltspec.supervisor.main",
}
statements: list[str] = []
instructions = 0
_connect: Any = sqlite3.connect


def _connect_and_count(*arguments, **options):
    connection = _connect(*arguments, **options)
    connection.set_trace_callback(statements.append)
    connection.set_progress_handler(_step, 1)
    return connection


def _step():
    global instructions
    instructions += 1


def _write(output):
    modules = sorted(sys.modules)
    import json

    with open(output, "w") as file:
        json.dump(
            {"modules": modules, "statements": statements, "instructions": instructions}, file
        )


def _run(kind, *words):
    if kind.startswith("--"):
        words = (kind, *words)
        kind, output = "supervisor", os.path.join(_after("--state-dir", words), "probe.json")
    else:
        output, words = words[0], words[1:]
    code = importlib.import_module(MODULES[kind]).main(list(words))
    _write(output)
    return code


def _after(option, words):
    return words[words.index(option) + 1]


sqlite3.connect = _connect_and_count
sys.exit(_run(*sys.argv[1:]))
