"""What the loop has to do next, and the trouble that it waits out.

Its parts share one agenda: each notes what it has made necessary, the loop alone takes it up.
"""

from collections.abc import Callable

# How long a supervisor waits before the next try when it cannot start tasks or write the
# catalogue (disk full, no more processes or descriptors): such a state heals by itself.
TROUBLE_SECONDS = 1.0
SYNC_SECONDS = 1.0


class Agenda:
    """Notes of one supervisor; nothing here is the truth, after a crash all of it is made again."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.asked = True          # somebody wrote into the catalogue
        self.look = True           # rows may be waiting to be followed up
        self.changed = False       # those who watch are to be told
        self.times_changed = False             # a task may wait for another time than before
        self.sync_due: float | None = None     # boot clock; ends are committed, not on the disk
        self.trouble = ""
        self.trouble_until = 0.0   # boot clock
        self._told: set[str] = set()

    def in_trouble(self, message: str, boot: float) -> None:
        """The disk is full or the like: nothing is lost, wait and try again."""
        if message not in self._told:
            self.say(f"waiting: {message}")
            self._told.add(message)
        self.trouble = message
        self.trouble_until = boot + TROUBLE_SECONDS
        self.look = True

    def sync_soon(self, boot: float) -> None:
        """An end was committed now; it is on the disk within SYNC_SECONDS."""
        if self.sync_due is None:
            self.sync_due = boot + SYNC_SECONDS

    def is_waiting(self, boot: float) -> bool:
        """True while there is no sense in trying again."""
        return boot < self.trouble_until

    def healed(self, boot: float) -> None:
        """Everything that was due has been done."""
        if self.trouble and boot >= self.trouble_until:
            self.say("going on")
            self.trouble = ""
            self._told.clear()
