# SPDX-License-Identifier: Apache-2.0
"""What tests of every kind share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench import cli
from bpfbench.testbed import image, machine
from bpfbench.testbed.image import Image, Sources


def pytest_configure() -> None:
    """Have every bpfbench that a test starts wait for another that is measuring, also somebody else's."""
    os.environ["BPFBENCH_WAIT"] = "1"


@pytest.fixture
def bpfbench(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run bpfbench as a user does, in a directory of its own."""

    def run(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "bpfbench", *map(str, words)]
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]

    return run


@pytest.fixture(scope="session")
def trixie() -> Image:
    """Return the image, built if need be; the cache is the user's, so that runs and tests share it."""
    if os.geteuid() != 0:
        pytest.skip("entering an image on this kernel needs root")
    if lacks := list(machine.missing()):
        pytest.fail(f"this machine lacks what a host testbed needs: {lacks}")
    return image.build(cli.cache_dir(), "trixie", Sources(), lambda *_: None)
