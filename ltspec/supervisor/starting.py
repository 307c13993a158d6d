"""A ready task becomes a process.

In parts, so that whatever can fail for lack of disk or descriptors fails before anything is said of
it: `prepare` opens the log, makes the locked PID-file's content and the parameters;
`publish_running` puts RUN in place; `launch`, when the disk has the journal, spawns. All are given
the spec that the catalogue holds; secrets exist only in the child.
"""

import contextlib
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from ltspec import alive, cgroup, pidfile, process
from ltspec.catalogue.lifecycle import Ready
from ltspec.model import TaskSpec
from ltspec.paths import PROGRESS_SUFFIX, Places
from ltspec.pidfile import RunDirectory
from ltspec.spec import environment
from ltspec.supervisor import identity, logs

SCRIPTS = ".scripts"


class Prepared(NamedTuple):
    """A start that only lacks its commit. `close` it whether or not it was launched."""

    task: Ready
    spec: TaskSpec
    token: str
    user: identity.User | None
    log: int
    parameters: int
    pidfile: int                   # the staged and locked RUN inode, -1 where there is none
    problem: str                   # why it cannot be started at all; then it ends not-started
    program: "Program | None" = None    # where nothing has to be read in the child

    def close(self) -> None:
        """Let go of the descriptors; the child has its own copies."""
        for number in (self.log, self.parameters):
            if number >= 0:
                os.close(number)

    def discard(self, places: Places, run: RunDirectory) -> None:
        """Undo a preparation that comes to nothing."""
        task = self.task
        self.close()
        # What cannot be taken away now is taken over by the task's start.
        if self.pidfile >= 0:
            with contextlib.suppress(OSError):
                run.unstage(task.manager, task.queue, task.file, self.pidfile)
        if self.log >= 0:
            with contextlib.suppress(OSError):
                os.unlink(places.log(task.manager, task.queue, task.id, task.attempts + 1))


class Program(NamedTuple):
    """What is executed."""

    path: str
    argv: list[str]
    env: dict[str, str]


class Launched(NamedTuple):
    """What a launch gave: who runs, and which descriptors the supervisor now holds for it."""

    pid: int
    lock: int | None
    error_fd: int | None
    script: str | None
    group: str                     # its control group, "" where it has none of its own


def prepare(task: Ready, places: Places, run: pidfile.RunDirectory) -> Prepared:
    """Open what the attempt needs. Raises OSError with an errno of process.WAITED_FOR where
    waiting can help; other trouble is told in `problem`."""
    spec = TaskSpec.from_json(task.spec)
    token = _new_token()
    opened: list[int] = []
    try:
        user = identity.resolve(spec.user, spec.group)
        path = places.log(spec.manager, spec.queue, spec.id, task.attempts + 1)
        opened.append(logs.open_log(path, user))
        parameters = pidfile.parameters_content(spec.start_parameters)
        opened.append(sealed_memory(parameters, alive.memory_name(token)))
        opened.append(_stage_pidfile(run, task, spec, user))
    except process.CannotStart as error:
        return _impossible(task, spec, opened, str(error))
    except OSError as error:
        if error.errno in process.WAITED_FOR:
            for number in opened:
                os.close(number)
            raise
        return _impossible(task, spec, opened, process.reason(error))
    log, memory, staged = opened
    prepared = Prepared(task, spec, token, user, log, memory, staged, "")
    if not _is_plain(prepared):
        return prepared
    try:
        return prepared._replace(program=_program(prepared, places, {}, {}))
    except process.CannotStart as error:
        prepared.discard(places, run)
        return _impossible(task, spec, [], str(error))


def _new_token() -> str:
    """What only this attempt's processes know; hmac and all that `secrets` imports cost 6 ms."""
    return os.urandom(16).hex()


def _impossible(task: Ready, spec: TaskSpec, opened: list[int], problem: str) -> Prepared:
    for number in opened:
        os.close(number)
    return Prepared(task, spec, _new_token(), None, -1, -1, -1, problem)


def _stage_pidfile(
    run: pidfile.RunDirectory, task: Ready, spec: TaskSpec, user: identity.User | None
) -> int:
    """The locked RUN inode under its temporary name; -1 where its place is blocked by hand."""
    data = pidfile.running_content(spec.start_parameters)
    owner = (user.uid, user.gid) if user else None
    try:
        return run.stage(task.manager, task.queue, task.file, data, owner=owner, locked=True)
    except (IsADirectoryError, NotADirectoryError, FileExistsError):
        return -1


def sealed_memory(data: bytes, name: str = "ltspec") -> int:
    """A descriptor at the start of `data` that nobody can change: a reader is never blocked and a
    task that never reads blocks nobody (C05). `name` is what /proc shows of it."""
    import fcntl

    memory = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    pidfile.write_all(memory, data)
    os.lseek(memory, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    return memory


def publish_running(run: pidfile.RunDirectory, prepared: Prepared) -> int | None:
    """Put the locked RUN file in place before the task exists. None where its place is blocked.

    Raises pidfile.NameTaken, OSError.
    """
    if prepared.pidfile < 0:
        return None
    task = prepared.task
    try:
        run.place(task.manager, task.queue, task.file, first=not task.made)
    except FileNotFoundError:            # the directory was removed by hand since
        os.close(prepared.pidfile)
        staged = _stage_pidfile(run, task, prepared.spec, prepared.user)
        run.place(task.manager, task.queue, task.file)
        return staged
    except (IsADirectoryError, NotADirectoryError):
        run.unstage(task.manager, task.queue, task.file, prepared.pidfile)
        return None
    except BaseException:
        run.unstage(task.manager, task.queue, task.file, prepared.pidfile)
        raise
    return prepared.pidfile


def launch(prepared: Prepared, places: Places, lock: int | None) -> Launched:
    """Spawn. Raises process.CannotStart with the words for `ERR cannot start: …`, or OSError where
    it should be tried again."""
    spec = prepared.spec
    script = script_path(places, spec, prepared.task.key, prepared.task.attempts + 1)
    if script is not None:
        _write_script(places, prepared)
    try:
        if prepared.program is not None and script is None and spec.stdin is None:
            pid = _spawn(prepared, prepared.program, lock, _null())
            return Launched(pid, lock, None, None, "")
        return _launch_with_more(prepared, places, lock, script)
    except OSError as error:
        if error.errno not in process.TRANSIENT:
            raise process.CannotStart(process.reason(error)) from error
        raise


def _launch_with_more(
    prepared: Prepared, places: Places, lock: int | None, script: str | None
) -> Launched:
    """One that has a script, input, a control group, or something to do before its exec."""
    spec = prepared.spec
    group = ""
    stdin = -1
    try:
        group = _make_group(prepared)
        stdin = _open_stdin(spec, prepared.user)
        if prepared.program is not None:
            pid = _spawn(prepared, prepared.program, lock, stdin)
            return Launched(pid, lock, None, script, "")
        pid, error_fd = _fork(prepared, places, lock, stdin, group)
        return Launched(pid, lock, error_fd, script, group)
    except BaseException:
        if group:
            cgroup.remove(group)
        if script is not None:
            os.unlink(script)
        raise
    finally:
        if stdin >= 0 and stdin != _null():
            os.close(stdin)


@cache
def _null() -> int:
    """/dev/null, open for good: most tasks read nothing."""
    return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)


def _make_group(prepared: Prepared) -> str:
    """A control group, for a task with limits that only one can keep."""
    spec = prepared.spec
    if not cgroup.controllers(spec.limits):
        return ""
    try:
        return cgroup.make(spec.cgroup or cgroup.delegated(), prepared.token, spec.limits)
    except cgroup.Unavailable as error:
        raise process.CannotStart(f"limits: {error}") from error


def _is_plain(prepared: Prepared) -> bool:
    """True where posix_spawn can do it: no other user, no limits, nothing to read at the start."""
    spec = prepared.spec
    return not (prepared.user or spec.limits or spec.nice or spec.secrets or spec.env_files)


def _environment(
    prepared: Prepared, places: Places, files: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    task, spec = prepared.task, prepared.spec
    user = prepared.user or identity.own()
    directory = "/".join(part for part in (places.run_dir, spec.manager, spec.queue) if part)
    return environment.build(
        spec,
        pidfile=f"{directory}/{task.file}",
        token=prepared.token,
        attempt=task.attempts + 1,
        user=environment.UserFacts(user.name, user.home, user.shell),
        state_dir=places.state_dir,
        run_dir=places.run_dir,
        tools=places.tools,
        progress=places.log(spec.manager, spec.queue, spec.id, task.attempts + 1) + PROGRESS_SUFFIX,
        files=files,
        secrets=secrets,
    )


def _program(
    prepared: Prepared, places: Places, files: Mapping[str, str], secrets: Mapping[str, str]
) -> Program:
    """The program in the task's own PATH, its argv and its whole environment."""
    task, spec = prepared.task, prepared.spec
    env = _environment(prepared, places, files, secrets)
    script = script_path(places, spec, task.key, task.attempts + 1)
    middle = [script] if script is not None else []
    argv = [*spec.command, *middle, *spec.parameters]
    base = spec.base_dir or spec.cwd
    return Program(process.find_program(argv[0], env.get("PATH", ""), base), argv, env)


def _umask(spec: TaskSpec) -> int:
    return 0o077 if spec.umask is None else spec.umask


def _spawn(prepared: Prepared, program: Program, lock: int | None, stdin: int) -> int:
    spec = prepared.spec
    launch = process.Launch(
        program.path, program.argv, program.env, spec.cwd, _umask(spec), stdin,
        prepared.log, prepared.parameters, lock,
    )
    with identity.original_open_files():
        return process.spawn(launch)


def _fork(
    prepared: Prepared, places: Places, lock: int | None, stdin: int, group: str
) -> tuple[int, int]:
    spec = prepared.spec

    def become() -> Program:
        if group:
            cgroup.join(group)
        identity.restore_open_files()
        identity.limit(spec.limits, spec.nice)
        if prepared.user is not None:
            identity.become(prepared.user)
        os.umask(_umask(spec))
        os.chdir(spec.cwd)
        files: dict[str, str] = {}
        for path in spec.env_files:
            files.update(environment.read_file(path))
        known = _environment(prepared, places, files, {})
        secrets = _hand_over(spec.secrets, identity.secrets(spec.secrets, known))
        return _program(prepared, places, files, secrets)

    keep = [(stdin, 0), (prepared.log, 1), (prepared.log, 2), (prepared.parameters, 3)]
    return process.fork_and_prepare(keep, lock, become)


def _hand_over(wanted: Mapping[str, Any], found: Mapping[str, bytes]) -> dict[str, str]:
    """Put the secrets that have an `fd` there, in the child; the others are for the environment."""
    rest = {}
    for name, value in found.items():
        number = wanted[name].get("fd")
        if number is None:
            rest[name] = os.fsdecode(value)
            continue
        memory = sealed_memory(value)
        if memory == number:
            os.set_inheritable(number, True)
            continue
        try:
            os.dup2(memory, number)
        except OSError as error:         # above the limit of open files
            message = f"secret {name}: descriptor {number}: {error.strerror}"
            raise process.CannotStart(message) from error
        os.close(memory)
    return rest


def _open_stdin(spec: TaskSpec, user: identity.User | None) -> int:
    if spec.stdin is None:
        return _null()
    if "text" in spec.stdin:
        return sealed_memory(os.fsencode(spec.stdin["text"]))
    path = os.path.join(spec.base_dir or spec.cwd, spec.stdin["file"])
    with identity.as_user(user):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def script_name(key: int, number: int) -> str:
    """The name of an attempt's script; it is seen in the process list, so it holds no token."""
    return f"{key}-{number}"


def script_path(places: Places, spec: TaskSpec, key: int, number: int) -> str | None:
    """Where an attempt's script is; None where its task has none."""
    if spec.script is None:
        return None
    return f"{places.run_dir}/{SCRIPTS}/{script_name(key, number)}"


def _write_script(places: Places, prepared: Prepared) -> None:
    """A file that only the task's user can read and run; it is removed at the attempt's end."""
    name = script_name(prepared.task.key, prepared.task.attempts + 1)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    directory = pidfile.own_directory(places.run_dir, SCRIPTS)
    try:
        file = os.open(name, flags, 0o500, dir_fd=directory)
        try:
            pidfile.write_all(file, os.fsencode(prepared.spec.script or ""))
            if prepared.user is not None:
                os.fchown(file, prepared.user.uid, prepared.user.gid)
        except BaseException:
            os.unlink(name, dir_fd=directory)
            raise
        finally:
            os.close(file)
    finally:
        os.close(directory)
