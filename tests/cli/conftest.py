"""Provide the fixtures of the command line tests."""

from cli_harness import jobs, lock, run, run_db

__all__ = ["jobs", "lock", "run", "run_db"]
