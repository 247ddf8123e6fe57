# SPDX-License-Identifier: Apache-2.0
"""What all unit tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from bpfbench.machine import turn

Invoke = Callable[..., tuple[int, str, str]]

# How long an example takes says nothing on a machine that is busy with something else.
settings.register_profile("bpfbench", deadline=None, max_examples=60)
settings.load_profile("bpfbench")


@pytest.fixture(autouse=True)
def turn_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the turn to measure be this process's and its children's: tests run side by side, and measure nothing."""
    monkeypatch.setenv(turn.STAND_IN, str(tmp_path_factory.getbasetemp() / "machine"))


@pytest.fixture(scope="session")
def ended_accounts() -> None:
    """Skip what reads the I/O account of a process that has ended, where the kernel shows it to root alone."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        Path(f"/proc/{pid}/io").read_text()
    except PermissionError:
        pytest.skip("this kernel shows the account of a process that has ended to root alone")
    finally:
        os.waitpid(pid, 0)


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Invoke]:
    """Call the entry point with these words; return its exit status, stdout and stderr."""
    from bpfbench import cli  # which looks, when it is imported, how wide its output is

    handlers = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["bpfbench", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    yield call
    for sign, handler in handlers.items():
        signal.signal(sign, handler)
