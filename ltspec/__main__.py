"""`python -m ltspec`: the same as the `ltspec` command."""

from ltspec.cli import entry

if __name__ == "__main__":
    entry()
