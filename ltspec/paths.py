"""Which directories ltspec uses, and that they are ours alone (DESIGN 3).

They do not depend on the login session: root has /run/ltspec and /var/lib/ltspec, others
~/.local/state/ltspec with run/ in it. The environment (LTSPEC_STATE_DIR, LTSPEC_RUN_DIR: a task's
own environment has both) wins over the config, the config over these.
"""

import os
import stat
from typing import NamedTuple, Protocol

from ltspec.errors import CannotDo

SYSTEM_STATE = "/var/lib/ltspec"
SYSTEM_RUN = "/run/ltspec"


# Beside an attempt's log: what it says of its progress, and the output of its `on_finish` commands.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRESS_SUFFIX = ".progress"
HOOK_SUFFIX = ".on_finish"


class HasDirectories(Protocol):
    """The part of the config that this module reads."""

    @property
    def state_dir(self) -> str | None: ...
    @property
    def run_dir(self) -> str | None: ...


class Places(NamedTuple):
    """The two directories of one catalogue, absolute."""

    state_dir: str
    run_dir: str

    @property
    def catalogue(self) -> str:
        """The SQLite database."""
        return self.state_dir + "/catalogue.db"

    @property
    def socket(self) -> str:
        """Where the supervisor listens; reached through the directory's descriptor."""
        return self.state_dir + "/supervisor.sock"

    @property
    def lock(self) -> str:
        """Held by guardian and supervisor as one open file description."""
        return self.state_dir + "/supervisor.lock"

    @property
    def start_lock(self) -> str:
        """Held while somebody reaches for or starts the supervisor, and while it leaves."""
        return self.state_dir + "/start.lock"

    @property
    def journal(self) -> str:
        """The newest starts, until the catalogue on the disk has them; in a directory of its own
        (see `supervisor.journal`)."""
        return self.state_dir + "/journal/starts"

    @property
    def supervisor_log(self) -> str:
        """What the supervisor says about itself."""
        return self.state_dir + "/supervisor.log"

    @property
    def logs(self) -> str:
        """The root of the attempts' logs."""
        return self.state_dir + "/logs"

    @property
    def tools(self) -> str:
        """The private directory at the end of a task's PATH: only `mgrctl` and `ltspec`."""
        return self.run_dir + "/.bin"

    def log(self, manager: str, queue: str, task_id: str, attempt: int) -> str:
        """One attempt's output. `=` occurs in no name, so no log has a queue's name."""
        parts = (self.logs, manager, queue, f"{task_id}={attempt}.log")
        return "/".join(part for part in parts if part)

    def log_files(self, manager: str, queue: str, task_id: str, attempt: int) -> tuple[str, ...]:
        """All files that one attempt may leave in the state directory."""
        log = self.log(manager, queue, task_id, attempt)
        return log, log + PROGRESS_SUFFIX, log + HOOK_SUFFIX


def places(config: HasDirectories | None = None) -> Places:
    """The directories in force: environment, config, then the user's defaults."""
    state = os.environ.get("LTSPEC_STATE_DIR") or (config.state_dir if config else None)
    run = os.environ.get("LTSPEC_RUN_DIR") or (config.run_dir if config else None)
    if not state:
        state = SYSTEM_STATE if os.geteuid() == 0 else _user_state()
        run = run or (SYSTEM_RUN if os.geteuid() == 0 else state + "/run")
    return Places(os.path.abspath(state), os.path.abspath(run or state + "/run"))


def _user_state() -> str:
    import pwd

    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        home = os.environ.get("HOME", "")
    if not home.startswith("/"):
        message = "you have no home directory\nset LTSPEC_STATE_DIR to a directory of your own"
        raise CannotDo(message)
    return home + "/.local/state/ltspec"


def make_private(path: str, mode: int = 0o700) -> None:
    """Make the directory (parents too) with `mode` whatever the umask, or check the one there.

    Raises CannotDo where it belongs to somebody else, is writable by others, is a symbolic link
    to such a one, or cannot be made.
    """
    try:
        _make_parents(os.path.dirname(path))
        os.mkdir(path, mode)
        os.chmod(path, mode)
    except FileExistsError:
        check_private(path)
    except OSError as error:
        raise CannotDo(f"cannot make the directory {path}: {error.strerror}") from error


def _make_parents(path: str) -> None:
    """Never writable by others, also where the umask would allow it: who can write above our
    directory can put another one in its place."""
    if os.path.isdir(path):
        return
    _make_parents(os.path.dirname(path))
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return      # another command was faster


def check_private(path: str) -> None:
    """Raise CannotDo where the directory is another user's, others may write in it, or we may not
    enter it."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise CannotDo(f"cannot use the directory {path}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise CannotDo(f"{path} is not a directory\nmove it away, or name another directory")
    if found.st_uid != os.geteuid():
        message = (
            f"{path} belongs to user {found.st_uid}, not to you ({os.geteuid()})\n"
            "each user has an own catalogue: set state_dir and run_dir in ltspec.yml to yours"
        )
        raise CannotDo(message)
    if found.st_mode & 0o022:
        message = f"{path} is writable by others\nmake it private: chmod go-w {path}"
        raise CannotDo(message)
    if not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
        message = f"{path} is closed to its own user\nopen it: chmod u+rwx {path}"
        raise CannotDo(message)


def spread(path: str) -> None:
    """Say that the directories in this one have nothing to do with each other (chattr(1), `T`):
    ext4 then puts each, and the files in it, elsewhere on the disk. Raises OSError where the file
    system has no such mark.
    """
    import fcntl
    import struct

    size = struct.calcsize("l")                  # <linux/fs.h>: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
    get_flags, set_flags = (way << 30 | size << 16 | ord("f") << 8 | number
                            for way, number in ((2, 1), (1, 2)))
    top_directory = 0x00020000                   # FS_TOPDIR_FL
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (flags,) = struct.unpack("i", fcntl.ioctl(directory, get_flags, bytes(4)))
        fcntl.ioctl(directory, set_flags, struct.pack("i", flags | top_directory))
    finally:
        os.close(directory)
