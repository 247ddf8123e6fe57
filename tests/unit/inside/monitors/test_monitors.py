# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of machine and process, in texts as it writes them, and what is made of it by hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from bpfbench.inside.monitors import process, series, system
from bpfbench.inside.monitors.system import SystemSample
from bpfbench.model import SystemLoad

# user nice system idle iowait irq softirq steal guest guest_nice
STAT = """\
cpu  302406 1178 100503 1210040 2211 13 5420 7001 900 20
cpu0 151203 589 50251 605020 1105 7 2710 3500 450 10
cpu1 151203 589 50252 605020 1106 6 2710 3501 450 10
intr 63914012 0 9 0 0 0 0 0 0 0 0 0 0 4 0 0 0 0 0 0 0
ctxt 103040518
btime 1795390000
processes 412345
procs_running 3
procs_blocked 0
softirq 21734059 0 6134402 14 1410501 302101 0 2 5106311 0 8780728
"""

MAPS = """\
55d0c8a00000-55d0c8a2a000 r--p 00000000 fe:01 1311 /usr/bin/tracer
55d0c8a2a000-55d0c8b00000 r-xp 0002a000 fe:01 1311 /usr/bin/tracer
7f12a0000000-7f12a0021000 rw-p 00000000 00:00 0
7f12a4a28000-7f12a4bb0000 r-xp 00028000 fe:01 2044 /usr/lib/a library.so.6
7f12a4c00000-7f12a4c10000 rw-s 00000000 00:0f 1029 anon_inode:bpf-map
7ffd1d5f8000-7ffd1d5fa000 r-xp 00000000 00:00 0 [vdso]
"""

MEMINFO = """\
MemTotal:        8137652 kB
MemFree:         1204316 kB
MemAvailable:    5904120 kB
Buffers:          210244 kB
Cached:          4520180 kB
SwapCached:            0 kB
Active:          3021500 kB
Inactive:        3120044 kB
Active(anon):    1420500 kB
Inactive(anon):    12044 kB
Mlocked:           27652 kB
SwapTotal:             0 kB
SwapFree:              0 kB
Dirty:              1320 kB
Writeback:             0 kB
AnonPages:       1411020 kB
Mapped:           520312 kB
Shmem:             41512 kB
KReclaimable:     402100 kB
Slab:             510200 kB
SReclaimable:     402100 kB
SUnreclaim:       108100 kB
HugePages_Total:       0
HugePages_Free:        0
Hugepagesize:       2048 kB
DirectMap4k:      182144 kB
"""

SMAPS_ROLLUP = """\
55d0c3a00000-7ffd2b9fe000 ---p 00000000 00:00 0                          [rollup]
Rss:               21536 kB
Pss:                9871 kB
Pss_Dirty:          6012 kB
Pss_Anon:           5900 kB
Pss_File:           3971 kB
Pss_Shmem:             0 kB
Shared_Clean:      15200 kB
Private_Dirty:      6012 kB
SwapPss:               0 kB
Locked:                0 kB
"""


def at(seconds: float, busy: int, total: int, memory: int = 0) -> SystemSample:
    return SystemSample(seconds, busy, total, memory)


class TestStat:
    def test_busy_is_user_nice_system_and_interrupts(self) -> None:
        busy, _ = system.parse_stat(STAT)
        assert busy == 302406 + 1178 + 100503 + 13 + 5420 == 409_520

    def test_total_adds_idle_waiting_and_stolen_time_and_no_guest_time_again(self) -> None:
        _, total = system.parse_stat(STAT)
        assert total == 409_520 + 1210040 + 2211 + 7001 == 1_628_772

    def test_a_machine_with_one_cpu_is_read_alike(self) -> None:
        assert system.parse_stat("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n") == (19, 36)


class TestMeminfo:
    def test_used_and_buffers_without_the_page_cache(self) -> None:
        # used = MemTotal - MemFree - Buffers - Cached - SReclaimable + Shmem, and buffers come back in
        used = 8137652 - 1204316 - 210244 - 4520180 - 402100 + 41512
        assert used == 1_842_324
        assert system.parse_meminfo(MEMINFO) == (used + 210244) * 1024 == 2_101_829_632

    def test_reading_files_into_the_page_cache_uses_no_memory(self) -> None:
        read = MEMINFO.replace("MemFree:         1204316", "MemFree:          204316")
        read = read.replace("Cached:          4520180", "Cached:          5520180")
        assert system.parse_meminfo(read) == system.parse_meminfo(MEMINFO)

    def test_shared_memory_counts_though_the_kernel_files_it_under_cached(self) -> None:
        shared = MEMINFO.replace("MemFree:         1204316", "MemFree:         1204216")
        shared = shared.replace("Cached:          4520180", "Cached:          4520280")
        shared = shared.replace("Shmem:             41512", "Shmem:             41612")
        assert system.parse_meminfo(shared) - system.parse_meminfo(MEMINFO) == 100 * 1024


class TestLoad:
    def test_cpu_is_the_busy_share_of_the_span_and_memory_the_mean_of_the_samples(self) -> None:
        samples = [at(100.0, 5000, 20000, 1000), at(100.5, 5010, 20100, 4000), at(102.0, 5100, 20400, 1000)]
        found = system.load(samples, 100.0, 102.0)
        assert found == SystemLoad(seconds=2.0, cpu_percent=25.0, memory_bytes=2000.0, samples=3)

    def test_counters_are_interpolated_to_the_ends_of_the_span_and_memory_is_that_of_the_samples_inside(self) -> None:
        samples = [at(100.0, 5000, 20000, 1000), at(100.5, 5010, 20100, 4000), at(102.0, 5100, 20400, 1000)]
        # at 100.25: 5005 of 20050; at 101.0, a third of the way from 100.5 to 102: 5040 of 20200
        found = system.load(samples, 100.25, 101.0)
        assert found is not None
        assert found.cpu_percent == pytest.approx(100 * 35 / 150)
        assert (found.seconds, found.memory_bytes, found.samples) == (0.75, 4000.0, 1)

    def test_what_was_before_and_after_the_span_does_not_count(self) -> None:
        idle_busy_idle = [at(0.0, 0, 0, 9), at(1.0, 0, 400, 1), at(2.0, 400, 800, 3), at(3.0, 400, 1200, 9)]
        assert system.load(idle_busy_idle, 1.0, 2.0) == SystemLoad(1.0, 100.0, 2.0, 2)

    def test_beyond_the_samples_counters_are_those_of_the_nearest(self) -> None:
        samples = [at(100.0, 5000, 20000, 1000), at(102.0, 5100, 20400, 3000)]
        assert system.load(samples, 99.0, 103.0) == SystemLoad(4.0, 25.0, 2000.0, 2)

    @pytest.mark.parametrize(("busy", "percent"), [(0, 0.0), (400, 100.0)])
    def test_idle_is_0_and_busy_100_per_cent_of_all_cpus(self, busy: int, percent: float) -> None:
        found = system.load([at(0.0, 10, 10), at(2.0, 10 + busy, 410)], 0.0, 2.0)
        assert found is not None
        assert found.cpu_percent == percent

    @pytest.mark.parametrize("samples", [[], [at(0.0, 1, 2)], [at(0.0, 1, 2), at(0.001, 1, 2)]])
    def test_a_span_without_length_has_no_load(self, samples: list[SystemSample]) -> None:
        assert system.load(samples, 0.0, 0.001) is None

    @pytest.mark.parametrize("span", [(2.0, 8.0), (-2.0, -1.0), (11.0, 12.0)], ids=["between", "before", "after"])
    def test_a_span_without_a_sample_inside_has_no_load(self, span: tuple[float, float]) -> None:
        assert system.load([at(0.0, 0, 0, 1), at(10.0, 500, 1000, 1)], *span) is None

    def test_this_machine_can_be_read(self) -> None:
        with system.SystemReader() as reader:
            reader.take()
            reader.take()
        one, other = reader.samples()
        assert 0 < one.busy_ticks <= one.total_ticks <= other.total_ticks
        assert one.memory_bytes > 0
        assert one.monotonic_s <= other.monotonic_s


class TestSeries:
    SAMPLES = (at(10.0, 100, 0), at(11.0, 200, 0), at(15.0, 200, 0), at(17.0, 260, 0))

    def busy(self, time_s: float, samples: Sequence[SystemSample] = SAMPLES) -> float:
        return series.at(samples, time_s, lambda sample: sample.busy_ticks)

    @pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample.monotonic_s))
    def test_at_a_sample_it_is_the_samples_value(self, sample: SystemSample) -> None:
        assert self.busy(sample.monotonic_s) == sample.busy_ticks

    @pytest.mark.parametrize(("time_s", "value"), [(10.25, 125), (10.5, 150), (13.0, 200), (15.5, 215), (16.0, 230)])
    def test_between_two_samples_it_is_on_the_line_between_them(self, time_s: float, value: float) -> None:
        assert self.busy(time_s) == value

    @pytest.mark.parametrize(("time_s", "value"), [(9.999, 100), (-1e9, 100), (17.001, 260), (1e9, 260)])
    def test_outside_the_samples_it_is_that_of_the_nearest_and_never_beyond(self, time_s: float, value: float) -> None:
        assert self.busy(time_s) == value

    @pytest.mark.parametrize("time_s", [0.0, 1.0, 2.0])
    def test_a_single_sample_is_the_value_at_all_times(self, time_s: float) -> None:
        assert self.busy(time_s, [at(1.0, 7, 0)]) == 7

    @pytest.mark.parametrize(("time_s", "value"), [(1.0, 5), (1.5, 7), (2.0, 8)])
    def test_two_samples_of_one_moment_do_no_harm(self, time_s: float, value: float) -> None:
        assert self.busy(time_s, [at(1.0, 5, 0), at(1.0, 6, 0), at(2.0, 8, 0)]) == value

    def test_without_a_sample_there_is_no_value(self) -> None:
        with pytest.raises(ValueError, match=r"^no samples$"):
            self.busy(1.0, [])


class TestPss:
    def test_it_is_in_bytes_and_no_other_line_is_taken_for_it(self) -> None:
        assert process.parse_pss(SMAPS_ROLLUP) == 9871 * 1024

    @pytest.mark.parametrize("text", ["", "Pss_Anon: 12 kB\nSwapPss: 3 kB\n"])
    def test_a_process_without_memory_has_none(self, text: str) -> None:
        assert process.parse_pss(text) is None

    def test_a_process_that_is_gone_has_none(self) -> None:
        assert process.pss_bytes(beyond_every_pid()) is None

    def test_that_of_this_process_can_be_read(self) -> None:
        if not Path("/proc/self/smaps_rollup").exists():
            pytest.skip("this kernel has no smaps_rollup")
        found = process.pss_bytes(os.getpid())
        assert found is not None
        assert found > 2**20


class TestProcess:
    def test_this_process_can_be_read_and_pss_only_where_it_is_asked_for(self) -> None:
        cheap, full = (process.sample(os.getpid(), with_pss=with_pss) for with_pss in (False, True))
        assert cheap is not None
        assert full is not None
        assert 0 < cheap.user_s + cheap.system_s <= full.user_s + full.system_s
        assert cheap.pss_bytes is None
        assert full.pss_bytes is None or full.pss_bytes > 2**20

    def test_a_process_that_is_gone_has_no_sample(self) -> None:
        assert process.sample(beyond_every_pid(), with_pss=True) is None


def beyond_every_pid() -> int:
    return int(Path("/proc/sys/kernel/pid_max").read_text()) + 1


def test_code_is_what_is_mapped_to_be_executed_each_file_once() -> None:
    assert list(process.parse_executable(MAPS)) == ["/usr/bin/tracer", "/usr/lib/a library.so.6"]
    own = process.code_bytes(os.getpid())
    assert own is not None
    assert own > Path("/proc/self/exe").stat().st_size
    assert process.code_bytes(2**22 + 1) is None
