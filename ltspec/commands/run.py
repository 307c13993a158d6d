"""`ltspec run`: one command as a task, without a file.

Same catalogue, same supervisor, no YAML. It is called in loops by scripts, so it loads as little
as it can: neither yaml nor a template engine, and no configuration where there is none.
"""

from __future__ import annotations

import os
import time

from ltspec import clock
from ltspec.commands import arguments, session
from ltspec.errors import Refused, UsageError
from ltspec.model import Need, TaskSpec, is_name
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ltspec.catalogue import Store
    from ltspec.config import Config
    from ltspec.paths import Places

TAKES_COMMAND = True
EXAMPLES = (
    ("ltspec run -- true", "one command as a task of its own; prints how it is called"),
    ("ltspec run -q backups --id nightly -- tar czf /tmp/etc.tar.gz /etc", "in a queue"),
    ("ltspec run --wait --timeout 10m -- sh -c 'echo hello'", "see its output, have its exit code"),
    ("ltspec run --id two --needs nightly -- true", "after another has ended OK"),
)
DESCRIPTION = (
    "Run one command as a task: supervised, with a log, in a queue where one is named. It runs in\n"
    "the directory and with the PATH of the caller, in a clean environment otherwise. Prints the\n"
    "task's name; with --wait its output, and then the exit code is the command's (124 after\n"
    "--timeout, 128+N for signal N, 125 where it was stopped, skipped or could not start)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    arguments.add_queue(parser, "run it in this queue, after what waits there", default="")
    parser.add_argument("--id", metavar="ID", help="its id (default: made of the command and time)")
    parser.add_argument("--name", metavar="NAME", default="", help="what a person reads")
    parser.add_argument("--manager", metavar="NAME", help="not the configuration's manager")
    parser.add_argument("--env", metavar="K=V", action="append", default=[],
                        help="set an environment variable; may be repeated")
    arguments.add_completed(parser, "task", "--needs", metavar="TASK", action="append", default=[],
                            help="only after this task ended OK; TASK=any, TASK=err otherwise")
    parser.add_argument("--wait", action="store_true", help="show its output, wait for its end")
    parser.add_argument("--timeout", metavar="D", type=arguments.seconds,
                        help="end it after this time (90s, 2h30m)")
    arguments.add_json(parser)
    parser.add_argument("command_line", metavar="CMD ARG…", nargs="...",
                        help="the command after `--`, as it is; no shell is involved")


def run(args: argparse.Namespace) -> int:
    """Submit; with --wait its exit code."""
    if not args.command_line:
        raise UsageError("no command\nwrite it after `--`: ltspec run -- CMD ARG…")
    if args.json and args.wait:
        raise UsageError("--wait shows the output as it is; take `ltspec wait --json` instead")
    config = session.config_of(args)
    where = session.places_from(config)
    spec = _spec(args, config)
    with session.connect(where, idle_exit=config.idle_exit) as connection:
        if plain.on_terminal():      # a script that calls it a thousand times knows
            session.tell_if_mortal(connection)
        store = session.writer(where)
        key = _submit(store, spec)
        session.tell(where, connection)
    if args.wait:
        return _wait(where, store, key)
    if args.json:
        _json(where, store, key)
    else:
        plain.line(spec.reference)
    return 0


def _spec(args: argparse.Namespace, config: Config) -> TaskSpec:
    task_id = args.id or _made_id(args.command_line[0])
    manager = args.manager or config.manager
    for what, name in (("id", task_id), ("queue", args.queue), ("manager", manager)):
        if name and not is_name(name):
            raise UsageError(f"{name!r} is no {what}: use letters, digits and . _ @ + -")
    named = bool(args.manager) or config.manager_named
    spec = TaskSpec(
        id=task_id,
        queue=args.queue,
        manager=manager,
        name=args.name,
        command=tuple(args.command_line),
        env=_environment(args.env),
        env_pass={"PATH": os.environ["PATH"]} if "PATH" in os.environ else {},
        cwd=_cwd(),
        needs=tuple(_need(text) for text in args.needs),
        timeout=args.timeout,
        mgrctl=_mgrctl(config) if named else "",
        mgrctl_form=config.mgrctl_form,
        rerun="always",
    )
    from ltspec.spec.identity import definition_hash

    try:
        return spec._replace(hash=definition_hash(spec))
    except UnicodeEncodeError:
        message = "the command holds bytes that are no text in UTF-8; the catalogue keeps text only"
        raise UsageError(message) from None


def _made_id(program: str) -> str:
    """An id that tells what and when, and that no other call makes."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._+-") else "-"
                   for c in os.path.basename(program))
    return f"{kept.lstrip('.-')[:60] or 'run'}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise Refused("the working directory was removed\ngo to one that exists") from error


def _environment(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise UsageError(f"--env {name!r} is not K=V")
        found[name] = value
    return found


def _need(text: str) -> Need:
    reference, _, want = text.partition("=")
    queue, _, task_id = reference.rpartition("/")
    if want not in ("", "ok", "any", "err") or not is_name(task_id):
        raise UsageError(f"--needs {text!r} is neither TASK nor TASK=any nor TASK=err")
    return Need(task_id, queue or None, want or "ok")


def _mgrctl(config: Config) -> str:
    """Where a named manager's reports go; needed seldom, so loaded late."""
    from ltspec.spec.panel import resolve

    return resolve(config.mgrctl)


def _submit(store: Store, spec: TaskSpec) -> int:
    from functools import partial

    from ltspec.catalogue.enqueue import enqueue
    from ltspec.decision import decide

    now = clock.now()
    with store.write(durable=True):
        (change,) = enqueue(
            store, [spec], partial(decide, force=True, now=now.wall), now=now,
            boot_id=clock.boot_id(),
        )
    if change.verdict.action == "refused" or change.key is None:
        raise Refused(f"{spec.reference}: {change.verdict.reason}")
    return change.key


def _json(where: Places, store: Store, key: int) -> None:
    from ltspec.catalogue import listing
    from ltspec.output import records

    task = listing.by_key(store, key)
    now = clock.now().wall
    records.document(records.task(task, where, now, progress=None) if task else None)


def _wait(where: Places, store: Store, key: int) -> int:
    """Stream the output as it comes, then tell how it ended."""
    from ltspec.catalogue import listing
    from ltspec.commands.following import Follower, follow
    from ltspec.commands.waiting import GONE, task_code
    from ltspec.output.logprint import LogPrinter

    task = listing.by_key(store, key)
    if task is None:
        return GONE
    try:
        follow(where, store, [Follower(where, task, LogPrinter(), None)])
    except KeyboardInterrupt:
        plain.note(
            f"interrupted; {task.reference} goes on\n"
            f"`ltspec logs -f {task.reference}` follows it, `ltspec stop {task.reference}` ends it"
        )
        raise
    task = listing.by_key(store, key)
    if task is None:
        plain.note("the task was removed")
        return GONE
    if task.status != "OK":
        plain.note(f"{task.reference}: {task.status} {task.detail}".rstrip())
    return task_code(task)
