"""The table of the fault steps: each is tried with a kill of supervisor, guardian and both.

    python -m tests.faults [STEP...]

Ends with 1 where something is wrong.
"""

import sys
import tempfile
from pathlib import Path

from ltspec.supervisor.seam import STEPS
from tests.faults import scenario


def main(steps: list[str]) -> int:
    """Try them all, print a line each."""
    bad = 0
    say(f"{'':3} {'step':18} {'killed':11} {'lost':12} result")
    for number, step in enumerate(STEPS, 1):
        for victim in scenario.VICTIMS:
            if steps and step not in steps:
                continue
            with tempfile.TemporaryDirectory(prefix="ltspec-faults-") as root:
                try:
                    wrong, lost = scenario.run(Path(root), step, victim)
                except TimeoutError as error:
                    wrong, lost = [str(error)], []
            allowed = scenario.may_be_lost(step, victim)
            bad += bool(wrong)
            told = f"{len(lost)}, {allowed} may be"
            say(f"{number:2}. {step:18} {victim:11} {told:12} {'; '.join(wrong) or 'good'}")
    return 1 if bad else 0


def say(text: str) -> None:
    """What the program is for."""
    print(text, flush=True)  # noqa: T201 - it is a program


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
