# SPDX-License-Identifier: Apache-2.0
"""One bpfbench at a time has the machine; another is refused, or waits, and can be ended meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bpfbench.errors import MachineError
from bpfbench.machine.turn import alone


class TestAlone:
    def test_a_second_one_is_refused_and_told_who_is_first(self) -> None:
        with alone(), pytest.raises(MachineError) as caught, alone():
            pytest.fail("the second was let in")
        since = r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(for [^)]+\)"
        who = f"process {os.getpid()}, .*, {since}"
        assert re.fullmatch(f"another bpfbench is measuring on this machine: {who}", caught.value.message)
        assert caught.value.hint == "wait for it, as --wait does, or stop it"

    @pytest.mark.parametrize("wait", [True, False])
    def test_two_caches_are_on_one_machine(self, tmp_path: Path, wait: bool) -> None:
        with measuring(tmp_path / "one", ("run", "my study.toml\x1b[31m")) as first:
            before_s = time.time()
            second = removing(tmp_path / "two", "--wait" if wait else "--no-wait")
            assert second.stderr is not None
            said = second.stderr.readline()
            first.kill()
            second.communicate(timeout=60)
        shown = r"bpfbench run 'my study\.toml\?\[31m'"
        since = r"since (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \(for [^)]+\)"
        found = re.search(f": process {first.pid}, {shown}, {since}{'; waiting for it' if wait else ''}$", said)
        assert found, said
        assert before_s - 60 < datetime.fromisoformat(found[1]).timestamp() <= time.time()
        assert second.returncode == (0 if wait else 1)
        assert (tmp_path / "two" / "data" / "4x4096").exists() != wait

    def test_after_the_first_the_second_may_also_if_it_failed(self) -> None:
        with pytest.raises(ZeroDivisionError), alone():
            raise ZeroDivisionError
        with alone():
            pass

    def test_one_in_another_process_is_refused_too(self) -> None:
        with alone():
            child = os.fork()
            if child == 0:
                try:
                    with alone():
                        os._exit(1)
                except MachineError:
                    os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_one_that_waits_is_told_for_whom_and_comes_after(self) -> None:
        done: list[str] = []
        waiting = threading.Event()

        def tell(message: str) -> None:
            done.append(message)
            waiting.set()

        def second() -> None:
            with alone(tell):
                done.append("second")

        thread = threading.Thread(target=second)
        with alone():
            thread.start()
            assert waiting.wait(30)
            done.append("first")
        thread.join(30)
        said, *order = done
        assert re.search(rf": process {os.getpid()}, .*, since .* \(for .*\)$", said)
        assert order == ["first", "second"]

    def test_nobody_is_told_where_there_is_nobody_to_wait_for(self) -> None:
        with alone(pytest.fail):
            pass


@contextlib.contextmanager
def measuring(cache: Path, words: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process with the turn, started by these words."""
    code = "from bpfbench.machine.turn import alone\nwith alone(): print('mine', flush=True); input()"
    argv = [sys.executable, "-c", code, "bpfbench", *words]
    env = {**os.environ, "BPFBENCH_CACHE": str(cache)}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"mine\n"
            yield process
        finally:
            process.kill()


def removing(cache: Path, wait: str, **options: Any) -> subprocess.Popen[str]:
    """Start what removes data from a cache."""
    (cache / "data" / "4x4096").mkdir(parents=True)
    argv = [sys.executable, "-m", "bpfbench", "data", "remove", wait]
    env = {**os.environ, "BPFBENCH_CACHE": str(cache)}
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=env, **options)


def ignoring(sign: signal.Signals) -> Callable[[], None]:
    """Return what has a process begin as a shell starts it with &, deaf to a signal, and this one blocked besides."""

    def ignore() -> None:
        signal.signal(sign, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, (sign,))

    return ignore


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_one_that_waits_is_ended_by_a_signal_whatever_it_inherited(tmp_path: Path, sign: signal.Signals) -> None:
    with alone(), removing(tmp_path, "--wait", preexec_fn=ignoring(sign)) as process:
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
