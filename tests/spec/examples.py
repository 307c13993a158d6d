"""Writes the expected reports of tests/examples/invalid anew; read the difference afterwards.

Run it as `python tests/spec/examples.py`.
"""

import importlib.util
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write every .out file."""
    found = importlib.util.spec_from_file_location("test_examples", HERE / "test_examples.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    os.chdir(module.EXAMPLES / "invalid")
    for path in module.INVALID:
        path.with_suffix(".out").write_text(module.report_of(path))


if __name__ == "__main__":
    main()
