# SPDX-License-Identifier: Apache-2.0
"""One bpfbench at a time has the machine; another is refused, or waits, and can be ended meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench.errors import MachineError
from bpfbench.machine.turn import alone


class TestAlone:
    def test_a_second_one_is_refused_and_told_who_is_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["/usr/bin/bpfbench", "run", "my study.toml"])
        with alone(tmp_path / "cache"):
            with pytest.raises(MachineError) as caught, alone(tmp_path / "cache"):
                pytest.fail("the second was let in")
            who = rf"process {os.getpid()}, bpfbench run 'my study\.toml'"
            since = r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(for \d+ s\)"
            assert re.fullmatch(f"another bpfbench is measuring on this machine: {who}, {since}", caught.value.message)
            assert caught.value.hint == "wait for it, as --wait does, or stop it"

    def test_after_the_first_the_second_may_also_if_it_failed(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), alone(tmp_path):
            raise ZeroDivisionError
        with alone(tmp_path):
            pass

    def test_one_in_another_process_is_refused_too(self, tmp_path: Path) -> None:
        with alone(tmp_path):
            child = os.fork()
            if child == 0:
                try:
                    with alone(tmp_path):
                        os._exit(1)
                except MachineError:
                    os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_one_that_waits_is_told_for_whom_and_comes_after(self, tmp_path: Path) -> None:
        done: list[str] = []
        waiting = threading.Event()

        def tell(message: str) -> None:
            done.append(message)
            waiting.set()

        def second() -> None:
            with alone(tmp_path, tell):
                done.append("second")

        thread = threading.Thread(target=second)
        with alone(tmp_path):
            thread.start()
            assert waiting.wait(30)
            done.append("first")
        thread.join(30)
        said, *order = done
        assert re.search(rf": process {os.getpid()}, bpfbench.*, since .* \(for \d+ s\)$", said)
        assert order == ["first", "second"]

    def test_nobody_is_told_where_there_is_nobody_to_wait_for(self, tmp_path: Path) -> None:
        with alone(tmp_path, pytest.fail):
            pass

    def test_one_that_was_killed_is_named_no_longer(self, tmp_path: Path) -> None:
        (tmp_path / "measuring.lock").write_text("process 1, bpfbench run of-old --with many --options")
        with alone(tmp_path), pytest.raises(MachineError) as caught, alone(tmp_path):
            pytest.fail("the second was let in")
        assert "of-old" not in caught.value.message
        assert re.search(rf"process {os.getpid()}, bpfbench\b", caught.value.message)


def ignoring(sign: signal.Signals) -> Callable[[], None]:
    """Return what has a process begin as a shell starts it with &, deaf to a signal, and this one blocked besides."""

    def ignore() -> None:
        signal.signal(sign, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, (sign,))

    return ignore


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_one_that_waits_is_ended_by_a_signal_whatever_it_inherited(tmp_path: Path, sign: signal.Signals) -> None:
    (tmp_path / "data" / "4x4096").mkdir(parents=True)
    argv = [sys.executable, "-m", "bpfbench", "data", "remove", "--wait"]
    env = {**os.environ, "BPFBENCH_CACHE": str(tmp_path)}
    with (
        alone(tmp_path),
        subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=env, preexec_fn=ignoring(sign)) as process,
    ):
        try:
            assert process.stderr is not None
            assert "; waiting for it" in process.stderr.readline()
            process.send_signal(sign)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 128 + sign
    assert "bpfbench: interrupted" in said
    assert (tmp_path / "data" / "4x4096").is_dir()
