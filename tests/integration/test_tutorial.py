# SPDX-License-Identifier: Apache-2.0
"""The tutorial, as somebody types it: what it says that commands print has its like in what they print.

It takes minutes, and tries nothing that others do not: only with --all.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import transcripts

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.mark.usefixtures("trixie")
def test_the_tutorial_can_be_typed_and_says_what_comes(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--all"):
        pytest.skip("only with --all")
    for step in transcripts.steps(PAGE.read_text()):
        words = shlex.split(step.command.removeprefix("sudo "))[1:]
        ended = bpfbench(*words)  # stderr and stdout come together on a terminal: in either order here
        assert ended.returncode == 0, ended.stderr
        for printed in (ended.stdout + ended.stderr, ended.stderr + ended.stdout):
            first = transcripts.missing_label(step.printed, printed.splitlines())
            if first is None:
                break
        assert first is None, f"{step.command}: {first}\n{printed}"
