# SPDX-License-Identifier: Apache-2.0
"""What fio's processes call is counted to the call, from the moment it is executed to its end; nobody else's is."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench.errors import StepError
from bpfbench.inside.child import Launch
from bpfbench.inside.kernel import tasks
from bpfbench.inside.trial import counted
from bpfbench.inside.trial.workload import FioProcess
from bpfbench.model import CallAccount

COPY = "dd if=/dev/zero of=/dev/null bs=16 status=none count={}"
"""So many reads and so many writes, and what dd needs to start."""


def nothing() -> None: ...


def lives(pid: str) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def started(command: tuple[str, ...], stderr: Path, **options: object) -> FioProcess:
    return FioProcess(Launch(command, os.sched_getaffinity(0), stderr, **options))  # type: ignore[arg-type]


@pytest.fixture
def stderr(tmp_path: Path) -> Path:
    return tmp_path / "fio.stderr"


@pytest.fixture
def calls(stderr: Path) -> Callable[..., CallAccount]:
    """Run a shell script in fio's place to its end, and return what the kernel accounted."""

    def run(script: str, **options: object) -> CallAccount:
        with started(("sh", "-c", script), stderr, **options) as process:
            process.wait(60, 0.01, nothing)
        assert process.calls is not None
        return process.calls

    return run


Calls = Callable[..., CallAccount]


def copies(script: str, *counts: int) -> str:
    return script.format(*(COPY.format(count) for count in counts))


@pytest.mark.usefixtures("ended_accounts")
class TestCalls:
    @pytest.mark.parametrize(
        "script",
        [
            "exec {}",
            "{}; :",
            "{}; {}; :",
            "{} & {} & wait",
            "(sh -c '{}; :'; {}) & (({} & wait) & wait); wait",
        ],
        ids=["itself", "a child", "two children", "two at once", "grandchildren"],
    )
    def test_those_of_all_its_processes_are_counted_to_the_call(self, calls: Calls, script: str) -> None:
        number = script.count("{}")
        idle, busy = (calls(copies(script, *counts)) for counts in ([0] * number, range(1000, 1000 + number)))
        expected = sum(range(1000, 1000 + number))
        assert (busy.reads - idle.reads, busy.writes - idle.writes) == (expected, expected)

    def test_reads_and_writes_are_told_apart(self, calls: Calls) -> None:
        reads = "dd if=/dev/zero of=/dev/null ibs=1 obs=1000 status=none count={}"
        idle, busy = (calls(f"exec {reads.format(count)}") for count in (0, 3000))
        assert (busy.reads - idle.reads, busy.writes - idle.writes) == (3000, 3)

    def test_what_was_called_before_it_was_executed_is_not_its_own(self, calls: Calls) -> None:
        def join() -> None:
            for path, flags in (("/dev/zero", os.O_RDONLY), ("/dev/null", os.O_WRONLY)):
                fd = os.open(path, flags)
                for _ in range(500):
                    _ = os.read(fd, 1) if flags == os.O_RDONLY else os.write(fd, b"x")
                os.close(fd)

        assert calls(":", join=join) == calls(":")

    def test_they_are_the_same_each_time(self, calls: Calls) -> None:
        script = copies("{} & {} & wait", 100, 200)
        assert len({calls(script) for _ in range(5)}) == 1

    def test_while_it_runs_there_are_none(self, stderr: Path) -> None:
        seen: list[CallAccount | None] = []
        with started(("sleep", "0.1"), stderr) as process:
            process.wait(60, 0.01, lambda: seen.append(process.calls))
        assert seen
        assert set(seen) == {None}
        assert process.calls is not None

    def test_those_of_a_fio_that_failed_are_known(self, stderr: Path) -> None:
        with started(("sh", "-c", "exit 3"), stderr) as process, pytest.raises(StepError):
            process.wait(60, 0.01, nothing)
        assert process.calls is not None

    @pytest.mark.parametrize(("scope", "known"), [("0\n", True), ("1\n", True), ("2\n", True), ("3\n", False)])
    def test_where_nobody_may_trace_there_are_none_and_it_runs_all_the_same(
        self, stderr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, known: bool
    ) -> None:
        (tmp_path / "ptrace_scope").write_text(scope)
        monkeypatch.setattr(counted, "YAMA", tmp_path / "ptrace_scope")
        with started(("sh", "-c", "echo ran"), stderr) as process:
            process.wait(60, 0.01, nothing)
        assert stderr.read_text() == "ran\n"
        assert (process.calls is not None) is known

    def test_a_kernel_that_keeps_no_account_has_none(self, stderr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(_: int) -> object:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

        monkeypatch.setattr(tasks, "io", read)
        with started(("sh", "-c", "echo ran"), stderr) as process:
            process.wait(60, 0.01, nothing)
        assert stderr.read_text() == "ran\n"
        assert process.calls is None


class TestStart:
    @pytest.mark.parametrize(("mode", "reason"), [(None, "No such file or directory"), (0o644, "Permission denied")])
    def test_what_cannot_be_executed_is_told_with_the_reason(
        self, stderr: Path, tmp_path: Path, mode: int | None, reason: str
    ) -> None:
        if mode is not None:
            (tmp_path / "fio").write_text("#!/bin/sh\n")
            (tmp_path / "fio").chmod(mode)
        with pytest.raises(StepError, match=f"^fio cannot be started: {reason}$"):
            started((str(tmp_path / "fio"),), stderr)

    def test_one_whose_control_group_cannot_be_joined_is_not_started(self, stderr: Path, tmp_path: Path) -> None:
        def join() -> None:
            raise OSError(errno.EBUSY, "busy")

        with pytest.raises(StepError, match=r"^fio cannot be started: "):
            started(("touch", str(tmp_path / "ran")), stderr, join=join)
        assert not (tmp_path / "ran").exists()

    def test_one_that_may_not_be_traced_though_nothing_said_so_runs_without_an_account(
        self, stderr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Refusing:
            def ptrace(self, *_: object) -> int:
                ctypes.set_errno(errno.EPERM)
                return -1

        monkeypatch.setattr(counted, "_libc", Refusing())
        with started(("touch", str(tmp_path / "ran")), stderr) as process:
            process.wait(60, 0.01, nothing)
        assert (tmp_path / "ran").exists()
        assert process.calls is None

    @pytest.mark.usefixtures("ended_accounts")
    def test_it_is_traced_no_longer_once_it_runs(self, calls: Calls, stderr: Path) -> None:
        calls("grep TracerPid /proc/self/status")
        assert stderr.read_text().split() == ["TracerPid:", "0"]

    @pytest.mark.usefixtures("ended_accounts")
    def test_a_script_is_executed_as_a_program_is(self, stderr: Path, tmp_path: Path) -> None:
        script = tmp_path / "program"  # not called fio: a run of the same machine would count its calls
        script.write_text("#!/bin/sh\necho ran\n")
        script.chmod(0o755)
        with started((str(script),), stderr) as process:
            process.wait(60, 0.01, nothing)
        assert stderr.read_text() == "ran\n"
        assert process.calls is not None

    def test_it_runs_where_it_is_to_with_what_its_job_refers_to_and_sleeps_exactly(self, stderr: Path) -> None:
        (cpu, *_) = sorted(os.sched_getaffinity(0))
        script = 'echo "$SIZE"; grep Cpus_allowed_list /proc/self/status; cat /proc/self/timerslack_ns'
        with FioProcess(Launch(("sh", "-c", script), {cpu}, stderr, env={"SIZE": "16m"})) as process:
            process.wait(60, 0.01, nothing)
        assert stderr.read_text().split() == ["16m", "Cpus_allowed_list:", str(cpu), "1"]


class TestWait:
    def test_a_fio_that_fails_is_told_with_its_last_words(self, stderr: Path) -> None:
        script = "echo early >&2; echo 'disk full' >&2; exit 3"
        with (
            started(("sh", "-c", script), stderr) as process,
            pytest.raises(StepError, match=r"^fio ended with status 3: disk full$"),
        ):
            process.wait(60, 0.01, nothing)

    def test_one_that_takes_too_long_is_told(self, stderr: Path) -> None:
        with (
            started(("sleep", "600"), stderr) as process,
            pytest.raises(StepError, match=r"^fio was still running after 0\.05 s$"),
        ):
            process.wait(0.05, 0.01, nothing)

    def test_on_leaving_it_and_its_children_are_gone(self, stderr: Path, tmp_path: Path) -> None:
        pids = tmp_path / "pids"

        def tick() -> None:
            if pids.exists() and len(pids.read_text().split()) == 2:
                raise StepError("seen enough")

        script = f"sleep 600 & echo $! $$ > {pids}; wait"
        with started(("sh", "-c", script), stderr) as process, pytest.raises(StepError, match="seen enough"):
            process.wait(60, 0.01, tick)
        until_s = time.monotonic() + 10
        while (left := [pid for pid in pids.read_text().split() if lives(pid)]) and time.monotonic() < until_s:
            time.sleep(0.01)
        assert left == []
