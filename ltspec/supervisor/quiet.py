"""Whether anybody else has written into the catalogue; while nobody has, what is known is true.

The number of a quiet time changes with each commit of another connection, and with each transaction
of this one that is not a turn's: what was read in one quiet time is true for the whole of it, but
for what turns have changed themselves.
"""

from ltspec.catalogue import Store


class Quiet:
    """The present quiet time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version = -1
        self._transactions = -1
        self.number = 0

    def own(self) -> None:
        """Inside each transaction of the turns: were there others of this connection in between?"""
        if self._store.transactions != self._transactions + 1:
            self.over()
        self._transactions = self._store.transactions

    def look(self) -> None:
        """The same, and whether another connection has committed."""
        self.own()
        version = self._store.version()
        if version != self._version:
            self._version = version
            self.over()

    def over(self) -> None:
        """Something has changed what may be known."""
        self.number += 1
