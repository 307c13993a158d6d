"""`python -m ltspec`: the same as the `ltspec` command."""

import sys

from ltspec.cli import main

if __name__ == "__main__":
    sys.exit(main())
