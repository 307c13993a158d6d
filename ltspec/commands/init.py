"""`ltspec init`: a starting point that validates and runs as it is. Overwrites nothing but the
schemas, which belong to the installed version.
"""

from __future__ import annotations

import os

from ltspec import __version__
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
    "Write jobs/ with a spec to begin with, a configuration, CI files for GitHub and GitLab, a\n"
    "pre-commit hook, and the settings by which an editor completes and checks specs. A file that\n"
    "is there already is kept; the schemas in .ltspec/ are renewed. Delete what you do not need."
)
SCHEMAS = ".ltspec/"
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
  part=$target/.part
  trap 'rm -f "$part"' EXIT
  tar --create --gzip --file="$part" --directory="$source" .
  archive=$target/$(date -u +%Y%m%dT%H%M%S).tar.gz
  mv "$part" "$archive"             # only a whole archive gets its name
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
# SOURCE is what pip is given to install ltspec from: see `source`.
GITHUB = """\
name: specs
on: [push, pull_request]
jobs:
  validate:
    runs-on: ubuntu-latest
    permissions: { contents: read }
    env: { LTSPEC: "SOURCE" }
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: { python-version: "3.12" }
      - run: pip install "$LTSPEC"
      - run: ltspec validate jobs/ --strict
"""
GITLAB = """\
specs:
  image: python:3.12
  variables: { LTSPEC: "SOURCE" }
  script:
    - pip install "$LTSPEC"
    - ltspec validate jobs/ --strict > gl-code-quality-report.json
  artifacts:
    when: always
    reports:
      codequality: gl-code-quality-report.json
"""
PRE_COMMIT = """\
repos:
  - repo: local
    hooks:
      - id: ltspec-validate
        name: validate ltspec job specs
        entry: ltspec validate --format text
        language: system
        always_run: true
        pass_filenames: false
"""
EDITOR = """\
{
  "yaml.schemas": {
    "./.ltspec/job.schema.json": [
      "jobs/*.yml", "jobs/*.yaml", "jobs/**/*.yml", "jobs/**/*.yaml"
    ],
    "./.ltspec/config.schema.json": "ltspec.yml"
  }
}
"""
GIT_IGNORE = "/archives/\n"
UNKNOWN_SOURCE = "git+https://YOUR-HOST/ltspec@COMMIT"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of this command."""
    parser.add_argument("directory", metavar="DIR", nargs="?", default=".",
                        help="where (default: here)")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Write what is not there, and the schemas anew."""
    done: dict[str, list[str]] = {"written": [], "renewed": [], "kept": []}
    for name, text in _files().items():
        path = os.path.join(args.directory, name)
        done[_write(path, text, ours=name.startswith(SCHEMAS))].append(os.path.normpath(path))
    if args.json:
        from ltspec.output import records

        records.document(done)
        return 0
    notes = {"kept": " (it is there already)", "renewed": " (of this version of ltspec)"}
    plain.lines(f"{what:<8} {plain.safe(path)}{notes.get(what, '')}"
                for what, paths in done.items() for path in paths)
    where = "" if args.directory == "." else f"cd {args.directory}; "
    if source() == UNKNOWN_SOURCE:
        plain.line(f"in the CI files put where pip finds ltspec in the place of {UNKNOWN_SOURCE}")
    plain.line(f"next: {where}ltspec validate && ltspec apply jobs/ --wait")
    return 0


def _files() -> dict[str, str]:
    from importlib.resources import files

    schemas = files("ltspec") / "schemas"
    return {
        "jobs/backup.yml": JOB,
        "ltspec.yml": CONFIG,
        ".gitignore": GIT_IGNORE,
        ".github/workflows/specs.yml": GITHUB.replace("SOURCE", source()),
        ".gitlab-ci.yml": GITLAB.replace("SOURCE", source()),
        ".pre-commit-config.yaml": PRE_COMMIT,
        ".vscode/settings.json": EDITOR,
        **{f"{SCHEMAS}{name}": (schemas / name).read_text(encoding="utf-8")
           for name in ("job.schema.json", "config.schema.json")},
    }


def source() -> str:
    """What pip installs this ltspec from on another machine: a place holder where it cannot."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        written = distribution("ltspec").read_text("direct_url.json")    # PEP 610
    except PackageNotFoundError:
        return UNKNOWN_SOURCE
    if not written:                                    # from a package index
        return f"ltspec=={__version__}"
    origin = json.loads(written)
    if origin["url"].startswith("file:"):
        return UNKNOWN_SOURCE
    if "vcs_info" in origin:
        return f"{origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    return str(origin["url"])


def _write(path: str, text: str, *, ours: bool) -> str:
    """What was done with it: a file that is there is kept, but where it is `ours` renewed."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if ours and os.path.exists(path):
            with open(path, "r+", encoding="utf-8") as file:
                if file.read() == text:
                    return "kept"
                file.seek(0)
                file.truncate()
                file.write(text)
            return "renewed"
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return "kept"
    except OSError as error:
        raise CannotDo(f"cannot write {path}: {error.strerror}") from error
    return "written"
