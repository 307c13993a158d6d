"""What guardian and supervisor are told on their command lines, read and written.

Not for people, so no argparse: it is a third of the guardian's start, and somebody waits for that.
The words stay the same from version to version: a reload hands those of the old program to the new.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Orders:
    """A state directory, its run directory, and the descriptors that are open already (-1: not)."""

    state_dir = ""
    run_dir = ""
    lock_fd = -1
    listen_fd = -1
    control_fd = -1
    ready_fd = -1                        # who waits to hear that it works, or why not
    start_lock_fd = -1
    idle_exit: float | None = None       # seconds; None: it does not leave
    dies_with = ""                       # in whose end the tasks end, "" where they survive it
    supervisor = ""                      # a program in place of our own: the fault tests have one
    detach = False                       # leave the session of who calls

    def words(self, *names: str) -> list[str]:
        """The orders of these names as words; those that were not given are left out."""
        given = vars(self)
        return [word for name in names if name in given
                for word in (f"--{name.replace('_', '-')}", str(given[name]))]


def read(words: "Sequence[str]") -> Orders:
    """Orders from a command line. Raises AttributeError, IndexError,
    ValueError where it is not one that we have written."""
    orders = Orders()
    pairs = list(words)
    if "--detach" in pairs:
        pairs.remove("--detach")
        orders.detach = True
    for name, value in _pairs(pairs):
        kind = float if name == "idle_exit" else type(getattr(orders, name))
        setattr(orders, name, kind(value))
    return orders


def _pairs(words: "Sequence[str]") -> "Iterable[tuple[str, str]]":
    for at in range(0, len(words), 2):
        yield words[at].removeprefix("--").replace("-", "_"), words[at + 1]
