"""The control connection to the guardian: what the supervisor tells it, and that it is alive."""

import os


class Control:
    """The supervisor's end. The guardian never writes: a readable end means that it is gone."""

    def __init__(self, file: int) -> None:
        self.file = file
        self.lost = False
        self._has_worked = False

    def ready(self, pids: list[int]) -> None:
        """The attempts of an earlier supervisor that are watched; all other orphans are free."""
        for start in range(0, len(pids), 100):
            self._say("keep " + " ".join(map(str, pids[start : start + 100])))
        self._say("ready")

    def worked(self) -> None:
        """An end that was seen is committed: this life was of use (see `brake`). Said once."""
        if not self._has_worked:
            self._has_worked = True
            self._say("worked")

    def reap(self, pid: int) -> None:
        """The end of this orphan is committed."""
        self._say(f"reap {pid}")

    def event(self) -> None:
        """It became readable."""
        self.lost = True

    def _say(self, text: str) -> None:
        try:
            os.write(self.file, text.encode() + b"\n")
        except OSError:
            self.lost = True
