"""`validate` of 1000 files against check-jsonschema on the same schema, and what lies below both:
PyYAML with libyaml and jsonschema alone, without templates, places and checks across files."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.budgets import Budget
from benchmarks.grounds import CHECK_JSONSCHEMA, PYTHON, ROOT, Grounds
from benchmarks.measuring import Benchmark, Contender
from benchmarks.site import Site

FILES = 1000
SCHEMA = ROOT / "schemas/job.schema.json"
TEXT = """\
# yaml-language-server: $schema=../schemas/job.schema.json
inputs:
  account: {{ default: u{number}, pattern: "^u[0-9]+$" }}
id: backup-{{{{ account }}}}-{number}
queue: backups
command: tar
parameters:
  - --create
  - {{ file: "/var/backups/{{{{ account }}}}.tar.gz", gzip: true, directory: /home }}
  - --
  - "{{{{ account }}}}"
env: {{ LANG: C }}
timeout: 2h
retries: {{ limit: 2, delay: 30s }}
tags: [nightly, backup]
"""
BARE = """\
import json, sys, yaml, jsonschema
with open(sys.argv[1]) as file:
    schema = json.load(file)
validator = jsonschema.validators.validator_for(schema)(schema)
for name in sys.argv[2:]:
    with open(name, "rb") as file:
        for error in validator.iter_errors(yaml.load(file, yaml.CSafeLoader)):
            sys.exit(f"{name}: {error.message}")
"""


@contextlib.contextmanager
def prepare(grounds: Grounds) -> Iterator[Sequence[Contender]]:
    """A directory with the files."""
    with Site(grounds) as site:
        folder = site.root / "jobs"
        folder.mkdir()
        files = [str(_write(folder, number)) for number in range(FILES)]
        schema = str(SCHEMA)
        contenders = [Contender("ltspec validate", lambda: site.ltspec("validate", folder))]
        if CHECK_JSONSCHEMA.exists():
            check = [str(CHECK_JSONSCHEMA), "--schemafile", schema, *files]
            contenders.append(Contender("check-jsonschema", lambda: site.run(check)))
        bare = [str(PYTHON), "-c", BARE, schema, *files]
        contenders.append(Contender("PyYAML and jsonschema alone", lambda: site.run(bare)))
        yield contenders


def _write(folder: Path, number: int) -> Path:
    path = folder / f"job{number:04}.yml"
    path.write_text(TEXT.format(number=number))
    return path


BENCHMARK = Benchmark(
    "validate",
    f"validate of {FILES} files of {len(TEXT.splitlines())} lines"
    f" (Python {sys.version_info[0]}.{sys.version_info[1]})",
    prepare,
    (Budget("ltspec validate", 0.35, "check-jsonschema", aim=0.25),),
    rounds=7,
    quick_rounds=2,
)
