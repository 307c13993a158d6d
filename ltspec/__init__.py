"""ltspec: declarative job specs for long background tasks on a Linux host.

Importing the package loads nothing: every command pays only for what it uses.
"""

__version__ = "0.1.0"
