"""What the tests of the spec language share: specs from text, loaded without a command."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ltspec import config, spec


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    """`load(text, …)`: the specs of one file `job.yml`; options as of `spec.load`.

    `e` is a list of -e arguments, `config` keyword fields of a Config, `files` more files by name.
    """

    def run(text: str | bytes, *, e: Any = (), settings: dict[str, Any] | None = None,
            for_host: bool = False, files: dict[str, str] | None = None, **options: Any) -> Any:
        data = textwrap.dedent(text).encode() if isinstance(text, str) else text
        (tmp_path / "job.yml").write_bytes(data)
        for name, content in (files or {}).items():
            (tmp_path / name).write_text(textwrap.dedent(content))
        names = ["job.yml", *(name for name in files or {} if name.endswith(".yml"))]
        return spec.load([str(tmp_path / name) for name in names],
                         config=config.Config(**(settings or {})), for_host=for_host,
                         extra_vars=spec.parse_extra_vars(list(e)), **options)

    return run


@pytest.fixture
def task(load: Callable[..., Any]) -> Callable[..., Any]:
    """`task(text, …)`: the one task of a spec without a problem."""

    def run(text: str, **options: Any) -> Any:
        loaded = load(text, **options)
        assert loaded.problems == ()
        assert len(loaded.tasks) == 1
        return loaded.tasks[0]

    return run


@pytest.fixture
def problems(load: Callable[..., Any]) -> Callable[..., list[str]]:
    """`problems(text, …)`: `CODE line:column message` of each problem."""

    def run(text: str | bytes, **options: Any) -> list[str]:
        found = load(text, **options).problems
        return [f"{one.code} {one.line}:{one.column} {one.message}" for one in found]

    return run
