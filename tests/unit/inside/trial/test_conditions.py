# SPDX-License-Identifier: Apache-2.0
"""The state of the machine is read in its units, and what a machine cannot tell is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bpfbench.inside.trial import conditions
from bpfbench.model import DiskCounters

MEMINFO = """\
MemTotal:        8137268 kB
MemFree:         5000000 kB
Cached:          1000000 kB
SwapCached:            7 kB
Dirty:               120 kB
Writeback:            16 kB
WritebackTmp:          5 kB
HugePages_Total:       0
"""
STAT = "cpu  10 20 30 40 50 60 70 250 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1 2\n"
AVERAGES = "avg10=0.00 avg60=0.10 avg300=0.20"
PRESSURE = {
    "cpu": f"some {AVERAGES} total=1500000\nfull {AVERAGES} total=0\n",
    "io": f"some {AVERAGES} total=2250000\nfull {AVERAGES} total=2000001\n",
    "memory": f"some {AVERAGES} total=3\nfull {AVERAGES} total=2\n",
}
BLOCK = "    1001       11     8008       13     2002       22    16016       24        3     4500       26       27\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine that tells everything."""
    place = tmp_path / "root"
    write(place / "proc/meminfo", MEMINFO)
    write(place / "proc/stat", STAT)
    for resource, text in PRESSURE.items():
        write(place / "proc/pressure" / resource, text)
    for cpu, khz in ((0, 2_000_000), (1, 3_000_000), (10, 4_000_000)):
        write(place / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", f"{khz}\n")
    write(place / "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "1\n")
    write(stat_of(place, tmp_path), BLOCK)
    return place


def stat_of(root: Path, data: Path) -> Path:
    """The statistics of the device a directory is on."""
    number = data.stat().st_dev
    return root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}/stat"


def test_memory_is_in_bytes(root: Path, tmp_path: Path) -> None:
    found = conditions.now(tmp_path, root)
    assert (found.dirty_bytes, found.writeback_bytes) == (120 * 1024, 16 * 1024)
    assert (found.cached_bytes, found.free_bytes) == (1_000_000 * 1024, 5_000_000 * 1024)


def test_steal_time_is_of_all_cpus_together(root: Path, tmp_path: Path) -> None:
    assert conditions.now(tmp_path, root).steal_s == 250 / os.sysconf("SC_CLK_TCK")


def test_pressure_is_the_time_since_boot_in_seconds(root: Path, tmp_path: Path) -> None:
    assert conditions.now(tmp_path, root).pressure_s == {
        "cpu some": 1.5,
        "cpu full": 0.0,
        "io some": 2.25,
        "io full": 2.000001,
        "memory some": 3e-6,
        "memory full": 2e-6,
    }


def test_a_kernel_without_pressure_tells_none(root: Path, tmp_path: Path) -> None:
    for resource in PRESSURE:
        (root / "proc/pressure" / resource).unlink()
    assert conditions.now(tmp_path, root).pressure_s == {}
    (root / "proc/pressure").rmdir()
    assert conditions.now(tmp_path, root).pressure_s == {}


def test_one_that_lacks_some_of_it_tells_the_rest(root: Path, tmp_path: Path) -> None:
    (root / "proc/pressure/memory").unlink()
    write(root / "proc/pressure/cpu", f"some {AVERAGES} total=1000000\n")  # before 5.13
    assert conditions.now(tmp_path, root).pressure_s == {"cpu some": 1.0, "io some": 2.25, "io full": 2.000001}


def test_frequency_is_the_mean_of_all_cpus(root: Path, tmp_path: Path) -> None:
    assert conditions.now(tmp_path, root).cpu_mhz == 3000.0


def test_without_a_driver_there_is_none(root: Path, tmp_path: Path) -> None:
    for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/*"):
        path.unlink()
    assert conditions.now(tmp_path, root).cpu_mhz is None


def test_the_disk_is_that_of_the_data_files(root: Path, tmp_path: Path) -> None:
    write(root / "sys/dev/block/999:7/stat", BLOCK.replace("1001", "5"))
    assert conditions.now(tmp_path, root).disk == DiskCounters(
        read_ios=1001,
        read_bytes=8008 * 512,
        write_ios=2002,
        write_bytes=16016 * 512,
        in_flight=3,
        busy_s=4.5,
    )


def test_data_files_on_no_block_device_have_none(root: Path, tmp_path: Path) -> None:
    stat_of(root, tmp_path).unlink()
    assert conditions.now(tmp_path, root).disk is None


def test_this_machine_tells_what_it_can(tmp_path: Path) -> None:
    one, other = conditions.now(tmp_path), conditions.now(tmp_path)
    assert one.monotonic_s <= other.monotonic_s
    assert 0 <= one.steal_s <= other.steal_s
    assert one.free_bytes > 0
    assert all(other.pressure_s[kind] >= total for kind, total in one.pressure_s.items())
    if one.disk is not None and other.disk is not None:
        assert other.disk.write_ios >= one.disk.write_ios
