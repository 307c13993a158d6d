"""The identity of a definition: a versioned hash of what the process can see (DESIGN 7).

A promise: the catalogue keeps it, so a change of the recipe needs a new version in front.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ltspec.model import TaskSpec

VERSION = "1"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def definition_hash(spec: TaskSpec, *, cwd: str | None = None,
                    stdin: Mapping[str, Any] | None = None) -> str:
    """The hash of a task. `cwd` and `stdin` are taken as written in the spec where given, so that
    the same file in another place is the same definition. UnicodeEncodeError where a text is none.
    """
    seen = (
        spec.command, spec.script, spec.parameters, spec.env,
        spec.stdin if stdin is None else stdin, spec.cwd if cwd is None else cwd,
        spec.user, spec.group, spec.umask, spec.limits, spec.nice,
    )
    return f"{VERSION}:{hashlib.sha256(_encode(seen).encode()).hexdigest()[:32]}"
