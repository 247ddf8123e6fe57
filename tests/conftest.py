# SPDX-License-Identifier: Apache-2.0
"""What tests of every kind share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench.machine import facts
from bpfbench.model import Sources
from bpfbench.testbed import image
from bpfbench.testbed.image import Image

UNIT = Path(__file__).parent / "unit"


def pytest_configure() -> None:
    """Have every bpfbench wait for another that is measuring, also somebody else's, and write as into a pipe."""
    os.environ["BPFBENCH_WAIT"] = "1"
    os.environ.pop("COLUMNS", None)  # which pytest-xdist's processes have
    os.environ.pop("SUDO_USER", None)  # whom bpfbench tells to use sudo again
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background, where Ctrl-C means others
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark unit tests as such that run side by side."""
    if UNIT in item.path.parents:
        item.add_marker("beside")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the whole matrix of what is otherwise tried by a few cases."""
    parser.addoption("--freeze", action="store_true", help="write the snapshots of what is said of stored runs anew")
    parser.addoption(
        "--all", action="store_true", help="with alternatives to setups, too, do all that is done with setups"
    )


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
    if lacks := list(facts.missing()):
        pytest.fail(f"this machine lacks what a host testbed needs: {lacks}")
    from bpfbench import cli  # which looks, when it is imported, how wide its output is

    return image.build(cli.cache_dir(), "trixie", Sources(), lambda *_: None)


@pytest.fixture
def patient(request: pytest.FixtureRequest) -> None:
    """Skip what takes minutes, unless all is asked for."""
    if not request.config.getoption("--all"):
        pytest.skip("takes minutes: --all")
