"""The rehearsal of `plan` and of `apply --check`: says what apply would do, changes nothing."""

from __future__ import annotations

from ltspec.commands import declaring, reading, session
from ltspec.output import plain, recap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

CHANGES_PENDING = 4


def check(args: argparse.Namespace) -> int:
    """Print the plan; 1 where a task would be refused, 4 where asked for and changes are due."""
    config = session.config_of(args)
    where = session.places_from(config)
    loaded = reading.load(args, config)
    declared = declaring.rehearse(
        where, loaded, config, force=args.rerun, remove_missing=args.remove_missing,
        partial_files=bool(args.tags or args.skip_tags),
    )
    if args.json:
        from ltspec.output import records
        from ltspec.output.difference import with_differences

        records.document(with_differences(declared, recap.record(declared)))
    else:
        if args.diff:
            from ltspec.output.difference import difference_lines

            plain.lines(difference_lines(declared))
        recap.show([*recap.task_lines(declared, would=True), *recap.recap_lines(declared)])
        plain.line("nothing was changed: this is what apply would do now")
    if declared.refused:
        return 1
    return CHANGES_PENDING if declared.pending and getattr(args, "detailed_exitcode", False) else 0
