"""`ltspec init`: a starting point that validates and runs as it is. Overwrites nothing."""

from __future__ import annotations

import os

from ltspec.commands import arguments
from ltspec.errors import CannotDo
from ltspec.output import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = (
    ("ltspec init", "here"),
    ("ltspec init /srv/tasks", "in another directory"),
)
DESCRIPTION = (
    "Write jobs/ with a spec to begin with, a configuration, a CI workflow, and the settings by\n"
    "which an editor completes and checks specs. A file that is there already is kept."
)
JOB = """\
# yaml-language-server: $schema=../.ltspec/job.schema.json
#
# Saves a directory every time it is applied, and keeps the newest archives.
#
#   ltspec validate
#   ltspec apply jobs/backup.yml --wait
#   ltspec apply jobs/backup.yml -e source=/etc -e keep=7
ltspec: 1

inputs:
  source:
    type: string
    default: .
    description: The directory to save; a relative one starts from this file's directory.
  keep:
    type: integer
    minimum: 1
    default: 3
    description: How many archives stay.

vars:
  target: ../archives

id: backup
name: Backup of {{ source }}
queue: backups
rerun: always          # each apply runs it again; leave it out for what is done once
timeout: 1h
parameters: ["{{ source }}", "{{ target }}", "{{ keep }}"]
script: |
  #!/bin/sh -eu
  source=$1 target=$2 keep=$3
  umask 077
  mkdir -p "$target"
  archive=$target/$(date -u +%Y%m%dT%H%M%S).tar.gz
  tar --create --gzip --file="$archive" --directory="$source" .
  ls -l "$archive"
  ls "$target"/*.tar.gz | sort | head -n "-$keep" | xargs -r rm --
"""
CONFIG = """\
# The configuration of ltspec; every key is optional. `ltspec schema config` describes them all.

# How many tasks of a queue run at once; a queue that is not named here has one slot.
queues:
  backups:
    slots: 1

# How much history is kept.
retention:
  age: 90d
  size: 1GiB
"""
WORKFLOW = """\
name: specs
on: [push, pull_request]
jobs:
  validate:
    runs-on: ubuntu-latest
    permissions: { contents: read }
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: { python-version: "3.12" }
      - run: pip install ltspec
      - run: ltspec validate jobs/ --strict
"""
EDITOR = """\
{
  "yaml.schemas": {
    "./.ltspec/job.schema.json": "jobs/*.yml",
    "./.ltspec/config.schema.json": "ltspec.yml"
  }
}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("directory", metavar="DIR", nargs="?", default=".",
                        help="where (default: here)")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Write what is not there."""
    written: list[str] = []
    kept: list[str] = []
    for name, text in _files().items():
        path = os.path.join(args.directory, name)
        (written if _write(path, text) else kept).append(os.path.normpath(path))
    if args.json:
        from ltspec.output import records

        records.document({"written": written, "kept": kept})
        return 0
    plain.lines([*(f"written  {plain.safe(path)}" for path in written),
                 *(f"kept     {plain.safe(path)} (it is there already)" for path in kept)])
    where = "" if args.directory == "." else f"cd {args.directory}; "
    plain.line(f"next: {where}ltspec validate && ltspec apply jobs/ --wait")
    return 0


def _files() -> dict[str, str]:
    from importlib.resources import files

    schemas = files("ltspec") / "schemas"
    return {
        "jobs/backup.yml": JOB,
        "ltspec.yml": CONFIG,
        ".github/workflows/specs.yml": WORKFLOW,
        ".vscode/settings.json": EDITOR,
        ".ltspec/job.schema.json": (schemas / "job.schema.json").read_text(encoding="utf-8"),
        ".ltspec/config.schema.json": (schemas / "config.schema.json").read_text(encoding="utf-8"),
    }


def _write(path: str, text: str) -> bool:
    """True where it was written, False where something is there."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise CannotDo(f"cannot write {path}: {error.strerror}") from error
    return True
