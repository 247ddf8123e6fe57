# SPDX-License-Identifier: Apache-2.0
"""What cgroup v2 says of a group, in texts as the kernel writes them, and what there is without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfbench.inside.monitors import cgroup
from bpfbench.inside.monitors.cgroup import ControlGroups

HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
MEMORY_STAT = "anon 1404928\nfile 536870912\nkernel 3145728\nfile_dirty 40960\n"
IO_STAT = """\
259:0 rbytes=536870912 wbytes=4096 rios=2049 wios=1 dbytes=0 dios=0
8:0 rbytes=8192 wbytes=40960 rios=2 wios=10 dbytes=0 dios=0 cost.usage=5
"""
CPU_STAT = "usage_usec 1500000\nuser_usec 500000\nsystem_usec 1000000\nnice_usec 0\n"


def group(hierarchy: Path, role: str, files: dict[str, str]) -> ControlGroups:
    """A trial's groups as they are while it runs."""
    groups = ControlGroups(hierarchy, "t")
    groups._group = hierarchy / "bpfbench-t"
    (hierarchy / "bpfbench-t" / role).mkdir(parents=True)
    for name, text in files.items():
        (hierarchy / "bpfbench-t" / role / name).write_text(text)
    return groups


class TestMounted:
    def test_beside_version_1(self) -> None:
        assert cgroup.mounted(HYBRID) == Path("/sys/fs/cgroup/unified")

    def test_by_itself(self) -> None:
        assert cgroup.mounted("cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n") == Path("/sys/fs/cgroup")

    def test_not_at_all(self) -> None:
        assert (
            cgroup.mounted("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n") is None
        )


class TestTexts:
    def test_bytes_of_all_devices_are_added_up(self) -> None:
        assert cgroup.parse_io(IO_STAT) == (536_879_104, 45_056)

    def test_a_group_that_did_no_io_moved_nothing(self) -> None:
        assert cgroup.parse_io("") == (0, 0)
        assert cgroup.parse_io("8:0 \n") == (0, 0)


class TestUsage:
    def test_with_every_controller(self, tmp_path: Path) -> None:
        files = {"cpu.stat": CPU_STAT, "memory.peak": "700000000\n", "memory.stat": MEMORY_STAT, "io.stat": IO_STAT}
        found = group(tmp_path, "workload", files).usage("workload")
        assert found is not None
        assert (found.user_s, found.system_s) == (0.5, 1.0)
        assert (found.memory_peak_bytes, found.page_cache_bytes) == (700_000_000, 536_870_912)
        assert (found.read_bytes, found.written_bytes) == (536_879_104, 45_056)

    def test_what_the_hierarchy_has_no_controller_for_is_absent_not_zero(self, tmp_path: Path) -> None:
        found = group(tmp_path, "tracer", {"cpu.stat": CPU_STAT}).usage("tracer")
        assert found is not None
        assert found.user_s == 0.5
        assert (found.memory_peak_bytes, found.page_cache_bytes, found.read_bytes, found.written_bytes) == (None,) * 4

    def test_a_group_that_nobody_joined_used_nothing_that_could_be_known(self, tmp_path: Path) -> None:
        idle = "usage_usec 0\nuser_usec 0\nsystem_usec 0\n"
        assert group(tmp_path, "tracer", {"cpu.stat": idle}).usage("tracer") is None

    def test_a_group_that_has_been_taken_away_is_no_error(self, tmp_path: Path) -> None:
        assert group(tmp_path, "tracer", {}).usage("tracer") is None


class TestNone:
    def test_without_a_hierarchy_there_are_no_groups_and_a_reason(self) -> None:
        with ControlGroups(None, "t") as groups:
            groups.joiner("tracer")()
            assert groups.usage("tracer") is None
            assert groups.reason == "no cgroup v2 is mounted"

    def test_where_none_can_be_made_neither(self, tmp_path: Path) -> None:
        with ControlGroups(tmp_path / "nowhere", "t") as groups:
            assert groups.reason is not None
            assert groups.reason.endswith("No such file or directory")

    @pytest.mark.parametrize("hierarchy", [None, "empty"])
    def test_nothing_of_ours_is_there(self, hierarchy: str | None, tmp_path: Path) -> None:
        assert cgroup.ours(tmp_path if hierarchy else None) == frozenset()
