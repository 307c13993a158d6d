"""What `doctor` looks at and mends: the state of an installation, from the ground up.

Each check is one small function that gives findings and changes nothing; `mending` is the only part
that does. A check whose ground is missing is left out, so that one cause is told once.
"""
