"""Check what is printed when a command line asks for help."""

from __future__ import annotations

import pytest
from cli_harness import Cli


@pytest.mark.parametrize("words", [[], ["lock"]])
def test_a_group_without_a_command_prints_its_help(run: Cli, words: list[str]) -> None:
    done = run(*words)
    assert done.code in (0, 2)  # 0 with click 8.1
    assert (done.out + done.err).startswith(run(*words, "--help").out)
