"""How a command asks the supervisor for something: connect, commit the wish, tell it (DESIGN 5)."""

from __future__ import annotations

import contextlib

from ltspec.commands import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ltspec.catalogue import Store
    from ltspec.paths import Places


@contextlib.contextmanager
def asking(args: argparse.Namespace) -> Iterator[tuple[Places, Store]]:
    """A catalogue to write in; what the block did is committed as one, then followed up.

    Raises NotFound where nothing was ever applied: nobody is started for that.
    """
    where = session.places_of(args)
    session.existing(where).close()
    with session.connect(where) as connection, contextlib.closing(session.writer(where)) as store:
        with store.write(durable=True):
            yield where, store
        session.tell(where, connection)
