"""`longtask.add realname= id= [queue=] [params= …]`: takes a task in, or runs a failed one again.

It closes the loop that panels' clients use: `longtask` -> `longtask.edit` -> add the same binary,
id, queue and parameters (C26). Each `params` is one start parameter, raw; a single empty one means
none. A task that is declared with exactly these is run again as it is declared, with its
environment, user and limits; anything else becomes a bare task: the binary, its parameters, and
the base directory to work in.
"""

import os

from ltspec.catalogue import Store, enqueue, longtask
from ltspec.clock import boot_id, now
from ltspec.errors import Refused
from ltspec.mgrctl.answer import Answer, Done, Wrong
from ltspec.mgrctl.context import Context
from ltspec.model import TaskSpec, is_name


def add_task(context: Context) -> Answer:
    """Take the task in, last in its queue. `exists(id)` where it waits or runs already."""
    request = context.request
    for name in ("realname", "id"):
        if not request.value(name):
            return Wrong("missed", name, f"{name} is missing")
    for name in ("id", "queue"):
        if request.value(name) and not is_name(request.value(name)):
            return Wrong("value", name, f"{request.value(name)!r} cannot name a task or queue")
    if not is_name(context.manager):
        return Wrong("value", "manager", f"{context.manager!r} cannot name a manager")
    if any(not _is_text(value) for _, value in request.parameters):
        return Wrong("value", "params", "a value is not UTF-8: the catalogue cannot keep it")
    try:
        return _submit(context, bare_spec(context))
    except Refused as error:
        return Wrong("access", "id", str(error))


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def bare_spec(context: Context) -> TaskSpec:
    """The task as the request alone describes it."""
    from ltspec.spec.identity import definition_hash
    from ltspec.spec.panel import resolve

    request, config = context.request, context.config
    parameters = request.values("params")
    realname, base = request.value("realname"), config.base_dir or "/"
    reports = request.manager or config.manager_named
    spec = TaskSpec(
        id=request.value("id"),
        queue=request.value("queue"),
        manager=context.manager,
        command=(_program(realname, base),),
        parameters=() if parameters == ("",) else parameters,
        cwd=base,
        mgrctl=resolve(config.mgrctl) if reports else "",
        mgrctl_form=config.mgrctl_form,
        pidfile_name=_file_name(realname, request.value("id"), config.pidfile_name),
    )
    return spec._replace(hash=definition_hash(spec))


def _program(realname: str, base: str) -> str:
    """A bare name is a program of the base directory where that has one, as in a panel (C07)."""
    inside = "/" not in realname and os.path.isfile(os.path.join(base, realname))
    return f"./{realname}" if inside and base != "/" else realname


def _file_name(realname: str, task: str, style: str) -> str:
    return f"{os.path.basename(realname)}.{task}" if style == "binary.id" else ""


def _submit(context: Context, spec: TaskSpec) -> Answer:
    from ltspec.client import connect
    from ltspec.errors import SupervisorError

    connection = connect(context.places)
    store = context.store()
    if connection is None or store is None:
        raise SupervisorError("no supervisor could be started; see `ltspec doctor`")
    with connection:
        with store.write(durable=True):
            answer = _enqueue(store, spec)
        connection.sync()
    return answer


def _enqueue(store: Store, spec: TaskSpec) -> Answer:
    """Inside the transaction: look at the row as it is now, then decide."""
    from ltspec.decision import Verdict

    when, boot = now(), boot_id()
    there = longtask.same(store, spec)
    if there is not None and not there.status.is_final:
        state = "runs" if there.status == "RUN" else "waits"
        return Wrong("exists", "id", f"{spec.reference} {state} already")
    if there is not None and _is_same(there.spec, spec):
        enqueue.retry(store, there.key, now=when, boot_id=boot)
        return Done()
    verdict = Verdict("rerun" if there is not None else "created")
    enqueue.enqueue(store, [spec], lambda _there, _spec: verdict, now=when, boot_id=boot)
    return Done()


def _is_same(stored: TaskSpec, asked: TaskSpec) -> bool:
    """True where the stored task is what longtask.edit showed: the same binary and parameters."""
    names = {asked.realname, asked.realname.removeprefix("./")}
    return stored.realname in names and stored.start_parameters == asked.start_parameters
