"""How the programs of the supervisor are started: `python -I -S program.py MODULE WORD…`.

In place of `-m`: somebody waits for the start, and a third of the guardian's were `runpy` and
`site`. So nothing is found but the standard library and ltspec itself, which is all they need.
"""

import gc
import sys


def words(module: str) -> list[str]:
    """The first words of the command line that runs `main` of a module of this package."""
    return [sys.executable, "-I", "-S", __file__, module]


if __name__ == "__main__":
    sys.path.append(__file__.rpartition("/ltspec/")[0])
    name = sys.argv.pop(1)
    gc.disable()        # what is imported stays; to look for garbage in it takes a tenth of it
    __import__(name)
    gc.freeze()
    gc.enable()
    sys.exit(sys.modules[name].main())
