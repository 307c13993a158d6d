"""The spec language: from YAML files to tasks that are fully resolved, or to problems.

Pure: nothing here starts a process, opens the catalogue or prints. Importing the package loads
nothing; the supervisor takes only `ltspec.spec.environment` of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltspec.spec.loading import Loaded, Settings
    from ltspec.spec.variables import Given


def load(
    paths: Sequence[str],
    *,
    config: "Settings",
    extra_vars: "Mapping[str, Any] | None" = None,
    for_host: bool,
    tags: Sequence[str] = (),
    skip_tags: Sequence[str] = (),
    untrusted_root: str | None = None,
    before: "Callable[[str], None]" = lambda _name: None,
    fits: "Callable[[], None]" = lambda: None,
) -> "Loaded":
    """The tasks of files, directories, globs and `-` (standard input), and all their problems.

    With `for_host` required inputs need values and env() and file() are real (apply, plan,
    render); without it the answer depends only on the files and options given (validate).
    `extra_vars` come from `parse_extra_vars`; a plain text stands for `-e NAME=TEXT`.
    `before` is called with the name of each file before it is looked at, with "" after the last;
    `fits` once, when the first document that fits the schema has been found.
    """
    import gc

    from ltspec.spec.loading import Loader
    from ltspec.spec.variables import Given

    given = {
        name: value if isinstance(value, Given)
        else Given(value, raw=isinstance(value, str), origin=f"-e {name}")
        for name, value in (extra_vars or {}).items()
    }
    loader = Loader(config, given, for_host=for_host, tags=tags, skip_tags=skip_tags,
                    root=untrusted_root, before=before, fits=fits)
    enabled = gc.isenabled()
    gc.disable()            # nothing here makes circles worth looking for: a tenth of the time
    try:
        return loader.load(paths)
    finally:
        if enabled:
            gc.enable()


def parse_extra_vars(arguments: Sequence[str]) -> "dict[str, Given]":
    """The values of `-e NAME=VALUE` and `-e @FILE` options. Raises UsageError."""
    from ltspec.spec.variables import parse_extra_vars as parse

    return parse(arguments)
