# SPDX-License-Identifier: Apache-2.0
"""A service outlives who began it, is there once, and leaves nothing when it is ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bpfbench.machine import service

SLEEPS = ("sh", "-c", "sleep 1000 & echo begun; wait")
STUBBORN = ("sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000 & echo begun; wait; wait")


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state" / "lock"
    service.end(tmp_path / "state" / "lock", grace_s=0.1)


def begin(lock: Path, argv: tuple[str, ...] = SLEEPS) -> bool:
    return service.begin(lock, argv, lock.with_name("log"), {"of": "tests"}, dict(os.environ))


def wait_until(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def begun(lock: Path) -> bool:
    return "begun" in lock.with_name("log").read_text()


def of_session(leader: int) -> list[str]:
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/stat") if f" {leader} " in read(path)]


def read(path: Path) -> str:
    try:
        state, *words = path.read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else f" {words[2]} "


def test_it_is_there_once_and_says_what_it_is(lock: Path) -> None:
    assert service.running(lock) is None
    assert begin(lock)
    found = service.running(lock)
    assert found is not None
    assert found.about == {"of": "tests"}
    assert os.getsid(found.pid) == found.pid
    assert not begin(lock)
    assert service.running(lock) == found


@pytest.mark.parametrize("argv", [SLEEPS, STUBBORN])
def test_ending_it_ends_what_it_began(lock: Path, argv: tuple[str, ...]) -> None:
    begin(lock, argv)
    wait_until(lambda: begun(lock))
    found = service.running(lock)
    assert found is not None
    assert service.end(lock, grace_s=0.3)
    assert service.running(lock) is None
    assert of_session(found.pid) == []
    assert not service.end(lock)
    assert begin(lock)


def test_one_that_dies_is_gone_whoever_asks(lock: Path) -> None:
    begin(lock, ("sh", "-c", "echo begun; exec sleep 1000"))
    wait_until(lambda: begun(lock))
    found = service.running(lock)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    wait_until(lambda: service.running(lock) is None)


def test_what_a_killed_one_left_in_its_file_counts_for_nothing(lock: Path) -> None:
    lock.parent.mkdir()
    lock.write_text('{"pid": 1, "about": {}}')
    assert service.running(lock) is None
    assert not service.end(lock)


def test_a_command_that_is_not_there_is_said_to_be(lock: Path) -> None:
    with pytest.raises(FileNotFoundError):
        begin(lock, ("no-such-command",))
    assert service.running(lock) is None
