# SPDX-License-Identifier: Apache-2.0
"""Building an image. The command's prefix is run for real, around a harmless command: no image is needed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bpfbench.testbed import image
from bpfbench.testbed.image import Sources
from bpfbench.testbed.image.root import bootstrap_argv

PARENT = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True).wait()"
"""What stands for bpfbench; command.run gives a process a session of its own, too."""


def running(argv: tuple[str, ...]) -> list[int]:
    """Return the ids of the processes that have exactly this command line."""
    wanted = b"".join(word.encode() + b"\0" for word in argv)
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == wanted:
                found.append(int(path.parent.name))
    return found


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait for a condition, and tell whether it came true in time."""
    until_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def sleep() -> Iterator[tuple[str, ...]]:
    """A command that no other process has; none is left after the test, whatever comes of it."""
    words = ("sleep", f"{40_000_000 + os.getpid()}.{time.monotonic_ns() % 10**9}")
    yield words
    for pid in running(words):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace and a mount of /proc need root")
def test_nothing_of_a_bootstrap_outlives_a_bpfbench_that_is_killed(sleep: tuple[str, ...]) -> None:
    whole = bootstrap_argv(image.recipe_of("trixie"), Sources(), Path("/nowhere"))
    prefix = whole[: whole.index("mmdebstrap")]
    with subprocess.Popen((sys.executable, "-c", PARENT, *prefix, *sleep)) as parent:
        assert within(10, lambda: len(running(sleep)) == 1), "it never began"
        parent.send_signal(signal.SIGKILL)
    assert within(10, lambda: not running(sleep)), "it outlives us"
