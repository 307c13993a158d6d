"""The security tests use the engine's fixtures and the programs of tests/faults."""

from tests.faults.conftest import confined, inside
from tests.supervisor.conftest import engine, make_engine, process_runs

__all__ = ["confined", "engine", "inside", "make_engine", "process_runs"]      # fixtures
