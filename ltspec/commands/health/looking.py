"""All checks in their order, each on the ground that those before it have found."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ltspec.commands import session
from ltspec.commands.health import catalogue, pidfiles, places, supervisor
from ltspec.commands.health.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ltspec.paths import Places


def look(where: Places) -> Iterator[Finding]:
    """Everything that can be looked at, in order."""
    closed = False
    for check, path in (("state-dir", where.state_dir), ("run-dir", where.run_dir)):
        for finding in places.directory(check, path, where):
            closed = closed or bool(finding.problem)
            yield finding
    if not os.path.isdir(where.state_dir):
        yield Finding("catalogue", session.nothing_yet(where).split("\n")[0])
        return
    yield from places.disks(where)
    if closed:
        return
    yield places.files(where)
    if not os.path.exists(where.catalogue):
        yield Finding("catalogue", session.nothing_yet(where).split("\n")[0])
        return
    found = catalogue.catalogue(where)
    yield found
    yield supervisor.supervisor(where, readable=not found.problem)
    yield supervisor.start_lock(where)
    yield from supervisor.limits(where)
    if not found.problem:
        yield pidfiles.published(where)
        yield pidfiles.stale(where)
    yield supervisor.after_reboot()
