"""The fixtures of the command line tests."""

from cli_harness import jobs, run, run_db

__all__ = ["jobs", "run", "run_db"]
