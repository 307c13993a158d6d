"""The functions of mgrctl but longtask.finish: what each answers from the catalogue.

An answer of "no" is a `Wrong`, never an exception; an LtspecError means that the catalogue or the
supervisor could not be used at all.
"""

import re
import time
from collections.abc import Callable
from typing import NamedTuple

from ltspec.catalogue import longtask
from ltspec.mgrctl.answer import Answer, Done, Fields, Form, Table, Wrong
from ltspec.mgrctl.context import Context

STATES = ("que", "run", "ok", "err")
NAME_WIDTH = 17
_BETWEEN = re.compile(r",\s*")


class Function(NamedTuple):
    """One function: what `-i` says of it, and its code."""

    description: str
    call: Callable[[Context], Answer]


def list_tasks(context: Context) -> Answer:
    """`longtask [filter=yes] [state=S] [queue=Q]`: the manager's tasks (C23, C24)."""
    request = context.request
    state = request.value("state").lower()
    if state and state not in STATES:
        return Wrong("value", "state", f"state is one of {', '.join(STATES)}")
    store = context.store()
    if store is None:
        return Table([])
    rows = longtask.tasks(store, context.manager, state, request.value("queue") or None)
    run_dir = context.run_dir
    return Table([_listed(row, run_dir) for row in rows])


def _listed(row: longtask.Row, run_dir: str) -> Fields:
    return [
        ("pidfile", row.pidfile(run_dir)),
        ("queue", row.queue),
        ("number", row.number),
        ("status", row.status),
        ("realname", row.realname),
        ("id", row.id),
        ("start_time", moment(row.started)),
        ("end_time", moment(row.ended)),
        ("depend", row.needs),
        ("info", row.info),
    ]


def moment(instant: float | None) -> str:
    """A time in the panel's form, local: `2026-11-24 04:05:06`; "" where it was not yet."""
    if instant is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(instant))


def edit(context: Context) -> Answer:
    """`longtask.edit elid=P`: one task as a form; every start parameter is one `params` (C25)."""
    row = found(context, context.request.readings("elid"))
    if isinstance(row, Wrong):
        return row
    spec = row.task_spec()
    parameters = () if spec.no_log else spec.start_parameters
    return Form([
        ("elid", row.pidfile(context.run_dir)),
        ("realname", row.realname),
        ("id", row.id),
        *(("params", parameter) for parameter in parameters or ("",)),
        ("queue", row.queue),
        ("number", row.number),
        ("status", row.status),
        ("start_time", moment(row.started)),
        ("end_time", moment(row.ended)),
        ("pidfile", row.pidfile(context.run_dir)),
        ("depend", row.needs),
        ("info", row.info),
    ])


def found(context: Context, elids: tuple[str, ...]) -> longtask.Row | Wrong:
    """The task that one of these readings of an elid means, or what is wrong with it."""
    if not any(elids):
        return Wrong("missed", "elid", "elid is missing: name the PID-file")
    store = context.store()
    row = longtask.find(store, context.run_dir, elids) if store else None
    if row is None:
        return Wrong("missed", "elid", f"there is no task with the PID-file {elids[0]}")
    return row


def delete(context: Context) -> Answer:
    """`longtask.delete elid='P1, P2'`: QUE is taken away unrun, RUN is stopped first (C19, C20).

    Where one is unknown, nothing is done.
    """
    keys = {}
    for readings in _elids(context):
        row = found(context, readings)
        if isinstance(row, Wrong):
            return row
        keys[row.key] = row
    from ltspec.catalogue import enqueue
    from ltspec.client import connect

    store = context.store()
    connection = connect(context.places)
    if store is None or connection is None:
        return Wrong("missed", "elid")
    with connection:
        with store.write(durable=True):
            for key in keys:
                enqueue.request(store, key, "remove") or enqueue.remove_ended(store, key)
        connection.sync()
    return Done()


def _elids(context: Context) -> list[tuple[str, ...]]:
    """The elids of a list, each with its readings; a path that has a comma in it is one."""
    readings = context.request.readings("elid")
    if not isinstance(found(context, readings), Wrong):
        return [readings]
    split = [_BETWEEN.split(reading) for reading in readings]
    return [tuple(each) for each in zip(*split, strict=False)]


def filter_form(context: Context) -> Answer:
    """`longtask.filter`: the form of the list's filter.

    In the panel a filter lasts as long as the session, and each call of mgrctl is a session of its
    own: setting it (`sok=ok`) succeeds and ends with the call. `longtask filter=yes …` filters.
    """
    request = context.request
    state = request.value("state").lower()
    if state and state not in STATES:
        return Wrong("value", "state", f"state is one of {', '.join(STATES)}")
    if request.value("sok"):
        return Done()
    return Form([("state", state), ("queue", request.value("queue"))])


def add(context: Context) -> Answer:
    """`longtask.add`, loaded when it is called: it needs the room that makes specs."""
    from ltspec.mgrctl.add import add_task

    return add_task(context)


def finish(context: Context) -> Answer:
    """`longtask.finish`; see its own module."""
    from ltspec.mgrctl.finish import finish_task

    return finish_task(context)


def list_managers(context: Context) -> Answer:
    """`mgr`: the default manager and those that the catalogue knows (C48)."""
    store = context.store()
    names = {context.config.manager, *(longtask.managers(store) if store else ())}
    return Table([[("name", name)] for name in sorted(names)])


def leave(_context: Context) -> Answer:
    """`exit`: ends the panel's process; here there is none to end (C47)."""
    return Done()


LISTED = {
    "exit": Function("Does nothing: there is no panel process to end", leave),
    "longtask": Function("Background tasks. Function type: list", list_tasks),
    "longtask.add": Function("Background task. Add, or run a failed one again", add),
    "longtask.delete": Function(
        "Stop. Take the task away; a running one is interrupted. Function type: group operation",
        delete,
    ),
    "longtask.edit": Function("Background task. View. Function type: form", edit),
    "longtask.filter": Function("Background task. Filter. Function type: form", filter_form),
    "mgr": Function("Managers. Function type: list", list_managers),
}
UNLISTED = {"longtask.finish": Function("", finish)}


def index() -> str:
    """What `-i` prints: the functions, sorted, the name first (C45)."""
    return "".join(
        f"{name.ljust(NAME_WIDTH)} {function.description}\n"
        for name, function in sorted(LISTED.items())
    )


def answer(context: Context) -> Answer:
    """Call the function that the request names."""
    name = context.request.function
    function = LISTED.get(name) or UNLISTED.get(name)
    if function is None:
        return Wrong("missed", "func", f"there is no function {name}; `mgrctl -i` lists them")
    return function.call(context)
