"""Where one call works: its directories, its catalogue, the configuration where there is one.

Everything is looked up when it is first needed: a task's `longtask.finish` has both directories in
its environment and reads no configuration.
"""

import os
from functools import cached_property
from typing import TYPE_CHECKING

from ltspec.catalogue import Store, open_store
from ltspec.errors import CatalogueError
from ltspec.mgrctl.request import Request
from ltspec.paths import Places, places

if TYPE_CHECKING:
    from ltspec.config import Config


class Context:
    """One call's surroundings; `close` it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._store: Store | None = None

    @cached_property
    def config(self) -> "Config":
        """The configuration in force. Raises what the configuration's reader raises."""
        from ltspec.config import load

        return load()

    @cached_property
    def places(self) -> Places:
        """The directories: those of the environment, else the configuration's, else the user's."""
        if os.environ.get("LTSPEC_STATE_DIR") and os.environ.get("LTSPEC_RUN_DIR"):
            return places()
        return places(self.config)

    @property
    def manager(self) -> str:
        """The manager of -m, else the default one (C48)."""
        return self.request.manager or self.config.manager

    def store(self) -> Store | None:
        """The catalogue; None where nothing was ever taken in. Raises CatalogueError."""
        if self._store is None:
            if not _exists(self.places.catalogue):
                return None
            self._store = open_store(self.places.catalogue)
        return self._store

    @property
    def run_dir(self) -> str:
        """The directory below which this catalogue publishes its PID-files."""
        store = self.store()
        return (store.setting("run_dir") if store else "") or self.places.run_dir

    def close(self) -> None:
        """Close what was opened."""
        if self._store is not None:
            self._store.close()


def _exists(catalogue: str) -> bool:
    """Whether it is there. One that we may not see is not a missing one: CatalogueError."""
    try:
        os.stat(catalogue)
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise CatalogueError(
            f"cannot use the catalogue {catalogue}: permission denied\n"
            "it belongs to another user; a task may only call longtask.finish about itself"
        ) from error
    return True
