# SPDX-License-Identifier: Apache-2.0
"""What a burst was, and what the kernel side took, by what was seen of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bpfbench.errors import StepError
from bpfbench.inside.drain import at_work
from bpfbench.inside.drain.at_work import chosen, cpus_apart, enough, refresh
from bpfbench.inside.drain.burst import Burst, Glance, Producer, measure
from bpfbench.inside.drain.rate import Grown, kernel_time
from bpfbench.inside.kernel.tasks import stop, stopped
from bpfbench.model import Attach, Format, TracerConfig
from bpfbench.model.drain import KernelTime

SLOT = 168


def look(position: int, at_ns: int, gap_ns: int = 0) -> Glance:
    """A look at which so many events had been drained."""
    return Glance(position * SLOT, at_ns - gap_ns, at_ns)


def burst(**changed: object) -> Burst:
    """An undisturbed burst of 1000 events in 1 ms."""
    return replace(Burst(1000, 1e6, coarse=False, counts=True, cpu_events=1001, cpu_ns=10**6), **changed)  # type: ignore[arg-type]


class TestBurst:
    def test_waking_up_and_what_was_drained_before_the_first_look_are_not_in_it(self) -> None:
        found = measure(SLOT, look(0, 0), look(10, 1_000_000), look(1010, 2_000_000), cpu_ns=5)
        assert (found.events, found.ns, found.coarse, found.counts) == (1000, 1e6, False, True)
        assert found.events_per_s == pytest.approx(1e6)
        assert (found.cpu_events, found.cpu_ns) == (1010, 5)

    def test_when_it_began_and_ended_is_taken_to_be_halfway_between_two_looks(self) -> None:
        found = measure(SLOT, look(0, 0), look(1, 100_000, gap_ns=1000), look(101, 200_000, gap_ns=2000), 0)
        assert found.ns == 100_000 - 1000 + 500

    def test_one_that_moved_on_at_once_counts_from_when_it_was_let_go_on(self) -> None:
        end = look(100, 50_000, gap_ns=200)
        found = measure(SLOT, look(0, 10_000), end, end, 0)
        assert (found.events, found.coarse) == (100, True)
        assert found.ns == pytest.approx(40_000, rel=0.01)

    @pytest.mark.parametrize(
        ("first", "last", "counts"),
        [
            (look(1, 100_000), look(101, 200_000, gap_ns=30_000), False),  # away when the end came
            (look(1, 100_000, gap_ns=30_000), look(101, 200_000), False),  # away when it began
            (look(60, 100_000), look(101, 200_000), False),  # saw the smaller half only
            (look(1, 100_000), look(101, 105_000, gap_ns=3000), True),  # fast, and known to 2 us
        ],
    )
    def test_one_that_was_not_watched_well_does_not_count(self, first: Glance, last: Glance, counts: bool) -> None:
        assert measure(SLOT, look(0, 0), first, last, 0).counts is counts

    def test_fine_and_coarse_bursts_are_not_mixed(self) -> None:
        fine, coarse, disturbed = burst(), burst(coarse=True), burst(counts=False)
        assert chosen([fine, coarse, fine, disturbed]) == [fine, fine]
        assert chosen([coarse, coarse, fine]) == [coarse, coarse]
        assert chosen([disturbed]) == []

    def test_bursts_go_on_until_there_is_enough_of_something(self) -> None:
        assert not enough([burst()] * 10, 156, 0.1)
        assert enough([burst()] * 200, 156, 0.1)
        assert enough([burst(ns=0.3e9)], 156, 0.3)
        assert enough([burst()] * 40, 4252, 0.1)
        assert enough([burst(events=1)] * 256, 156, 0.1)
        assert enough([burst()], 156, 2.1)
        assert not enough([burst(counts=False)] * 300, 156, 2.1), "nothing counts yet"
        assert enough([burst(counts=False)], 156, 21)

    def test_the_tracer_gets_the_last_cpu_and_nothing_else_does(self) -> None:
        assert cpus_apart({0, 2, 5}) == {"tracer": {5}, "others": {0, 2}}
        with pytest.raises(StepError, match="2 CPUs"):
            cpus_apart({3})


class TestKernelTime:
    def grown(self, reads: int, **programs: tuple[int, int]) -> Grown:
        return Grown(reads, {int(number[1:]): growth for number, growth in programs.items()})

    def test_programs_of_both_hooks_add_up_and_those_of_other_calls_do_not_count(self) -> None:
        kinds = {
            "other": self.grown(1000, p1=(50_000, 1000), p2=(30_000, 1000), p3=(900, 9)),
            "waiting": self.grown(100, p1=(100_000, 100), p2=(20_000, 100), p3=(90_000, 900)),
            "busy": self.grown(1000, p1=(200_000, 1000), p2=(100_000, 1000), p3=(0, 0)),
            "full": self.grown(1000, p1=(150_000, 1000), p2=(100_000, 1000), p3=(0, 0)),
        }
        assert kernel_time(kinds) == KernelTime(waiting_ns=1200.0, busy_ns=300.0, full_ns=250.0, other_ns=80.0)

    def test_runs_for_other_processes_are_taken_off(self) -> None:
        kinds = {
            "other": self.grown(1000, p1=(60_000, 1200)),
            **{kind: self.grown(1000, p1=(200_000 + 500 * 50, 1500)) for kind in ("waiting", "busy", "full")},
        }
        assert kernel_time(kinds).busy_ns == pytest.approx(200.0)
        assert kernel_time(kinds).other_ns == pytest.approx(50.0)

    def test_a_tracer_without_a_program_that_runs_each_time_is_refused(self) -> None:
        kinds = {kind: self.grown(1000, p1=(0, 3)) for kind in ("other", "waiting", "busy", "full")}
        with pytest.raises(StepError, match="none of the 1 programs"):
            kernel_time(kinds)


def state_of(pid: int) -> str:
    """Return what a process does: R, S, T, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class TestProcesses:
    def test_the_producer_has_the_name_and_does_as_many_reads_as_it_is_told(self, tmp_path: Path) -> None:
        with Producer("producer", tmp_path / "data", os.sched_getaffinity(0)) as producer:
            producer.read(3)
            producer.read(4)
            assert producer.reads == 7
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            assert "producer\n" in [Path(f"/proc/{child}/comm").read_text() for child in children]

    def test_a_process_is_stopped_meanwhile_and_goes_on_after(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
            try:
                with stopped(process.pid):
                    assert state_of(process.pid) == "T"
                assert state_of(process.pid) != "T"
                stop(process.pid)
                assert state_of(process.pid) == "T"
            finally:
                process.send_signal(signal.SIGKILL)
        with pytest.raises((StepError, ProcessLookupError)):
            stop(process.pid)


class TestFreeMemory:
    """What each measurement begins with."""

    CONFIG = TracerConfig(Attach.TRACEPOINT, Format.BINARY, 65536, 100)

    def test_what_is_written_to_have_it_is_deleted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(at_work, "REFRESHED_BYTES", 2**20)
        refresh(tmp_path, self.CONFIG)
        assert list(tmp_path.iterdir()) == []

    def test_where_there_is_no_room_that_is_the_reason(self, tmp_path: Path) -> None:
        (tmp_path / "refresh").symlink_to("/dev/full")
        with pytest.raises(StepError, match="cannot take 256 MiB: No space left on device"):
            refresh(tmp_path, self.CONFIG)
        assert list(tmp_path.iterdir()) == []
