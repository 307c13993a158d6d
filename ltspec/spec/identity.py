"""The identity of a definition: a versioned hash of what the process can see (DESIGN 7).

A promise: the catalogue keeps it, so a change of the recipe needs a new version in front.
"""

import json

from ltspec.model import TaskSpec

try:      # the C module alone: hashlib loads OpenSSL, which is a tenth of the start of `ltspec run`
    from _sha2 import sha256  # type: ignore[import-not-found]  # Python 3.12 and later
except ImportError:
    from _sha256 import sha256  # type: ignore[import-not-found]  # Python 3.11

VERSION = "1"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def definition_hash(spec: TaskSpec) -> str:
    """The hash of a task. Paths below the place where relative ones begin are taken relative to
    it, so that the same file in another checkout is the same definition.
    """
    stdin = spec.stdin
    if stdin is not None and "file" in stdin:
        stdin = {"file": below(stdin["file"], spec.base_dir)}
    seen = (
        spec.command, spec.script, spec.parameters, spec.env, stdin,
        below(spec.cwd, spec.base_dir), spec.user, spec.group, spec.umask, spec.limits, spec.nice,
    )
    return f"{VERSION}:{sha256(_encode(seen).encode()).hexdigest()[:32]}"


def below(path: str, base: str) -> str:
    """A path relative to `base` where it lies there ("" for base itself), else as it is."""
    if base and path == base:
        return ""
    return path.removeprefix(base.rstrip("/") + "/") if base else path
