"""ltspec: declarative job specs for long background tasks on a Linux host.

The names in `__all__` are the Python API (docs/python.md). Importing the package loads none of it:
every command pays only for what it uses, so a name is fetched when it is first asked for.
"""

__version__ = "0.1.0"
__all__ = [
    "Applied", "InvalidSpec", "LtspecError", "Outcome", "Problem", "Specs", "Status", "Task",
    "TaskSpec", "apply", "load", "tasks",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ltspec.api import (
        Applied,
        InvalidSpec,
        LtspecError,
        Outcome,
        Problem,
        Specs,
        Status,
        Task,
        TaskSpec,
        apply,
        load,
        tasks,
    )
else:

    def __getattr__(name: str) -> object:
        """A name of the Python API, at its first use."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ltspec import api

        return getattr(api, name)
