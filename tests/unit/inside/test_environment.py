# SPDX-License-Identifier: Apache-2.0
"""What is said of machine and kernel, from files as the kernel writes them, below a root of our own."""

from __future__ import annotations

import gzip
import platform
from pathlib import Path
from typing import Any

import pytest

from bpfbench.inside import environment
from bpfbench.model import Accelerator

MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw,discard
30 27 259:3 /data /mnt/fast\\040disk rw,noatime shared:4 - xfs /dev/nvme0n1p3 rw,attr2,inode64
31 27 0:40 / /home rw - btrfs /dev/sdb rw,compress=zstd
32 30 0:41 / /mnt/fast\\040disk/over rw - tmpfs tmpfs rw
"""
CONFIG = """\
#
# Linux/x86 6.12.0 Kernel Configuration
#
CONFIG_BPF_JIT=y
CONFIG_HZ=250
CONFIG_PREEMPT_DYNAMIC=y
# CONFIG_KPROBES is not set
CONFIG_KPROBES_ON_FTRACE_MAYBE=y
CONFIG_LOCALVERSION="-custom"
"""


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


class TestMounts:
    @pytest.mark.parametrize(
        ("place", "source"),
        [
            ("/srv/x", "/dev/vda1"),
            ("/mnt/fast disk", "/dev/nvme0n1p3"),
            ("/mnt/fast disk/x/y", "/dev/nvme0n1p3"),
            ("/mnt/fast diskette", "/dev/vda1"),
            ("/mnt/fast disk/over/z", "tmpfs"),
        ],
    )
    def test_a_directory_lies_on_the_deepest_mount_above_it(self, place: str, source: str) -> None:
        assert environment.mount_of(MOUNTINFO, Path(place))["source"] == source

    def test_file_system_device_and_options(self) -> None:
        assert environment.mount_of(MOUNTINFO, Path("/mnt/fast disk/x")) == {
            "number": "259:3",
            "source": "/dev/nvme0n1p3",
            "filesystem": "xfs",
            "options": "rw,noatime,attr2,inode64",
        }

    def test_what_is_mounted_later_lies_over_what_was_before(self) -> None:
        later = f"{MOUNTINFO}33 27 8:1 / / rw - ext4 /dev/sda1 rw\n"
        assert environment.mount_of(later, Path("/srv"))["source"] == "/dev/sda1"

    def test_nothing_is_mounted_nowhere(self) -> None:
        with pytest.raises(LookupError, match="nothing is mounted at /x"):
            environment.mount_of("", Path("/x"))


class TestStorage:
    def storage(self, root: Path) -> dict[str, Any]:
        """Of a directory on the partition 259:3."""
        plant(root, {"proc/self/mountinfo": "30 27 259:3 / / rw - ext4 /dev/nvme0n1p3 rw\n"})
        return environment.storage(root, root)

    def test_of_a_partition_it_is_the_disk_that_counts(self, tmp_path: Path) -> None:
        disk = "sys/devices/pci/nvme0n1"
        files = {
            "queue/rotational": "0\n",
            "queue/scheduler": "[none] mq-deadline\n",
            "device/model": "Samsung SSD 970  \n",
            "nvme0n1p3/partition": "3\n",
        }
        plant(tmp_path, {f"{disk}/{name}": text for name, text in files.items()})
        (tmp_path / "sys/dev/block").mkdir(parents=True)
        (tmp_path / "sys/dev/block/259:3").symlink_to(tmp_path / disk / "nvme0n1p3")
        found = self.storage(tmp_path)
        assert found["filesystem"] == "ext4"
        assert found["device"] == {
            "name": "nvme0n1",
            "model": "Samsung SSD 970",
            "rotational": "0",
            "scheduler": "none",
        }

    def test_a_device_made_of_others_names_them(self, tmp_path: Path) -> None:
        plant(tmp_path, {"sys/dev/block/259:3/queue/rotational": "1", "sys/dev/block/259:3/slaves/sda/x": ""})
        assert self.storage(tmp_path)["device"]["made_of"] == ["sda"]

    def test_a_file_system_without_a_device_of_its_own_has_none(self, tmp_path: Path) -> None:
        assert self.storage(tmp_path)["device"] is None


class TestKernelConfig:
    def test_what_matters_is_y_m_a_value_or_n(self) -> None:
        found = environment.parse_config(CONFIG)
        assert set(found) == set(environment.OPTIONS)
        assert (found["BPF_JIT"], found["HZ"], found["PREEMPT_DYNAMIC"]) == ("y", "250", "y")
        assert (found["KPROBES"], found["KPROBES_ON_FTRACE"], found["PREEMPT_RT"]) == ("n", "n", "n")

    def test_the_kernels_own_is_preferred(self, tmp_path: Path) -> None:
        plant(tmp_path, {f"boot/config-{platform.release()}": "CONFIG_HZ=100\n", "proc/x": ""})
        (tmp_path / "proc/config.gz").write_bytes(gzip.compress(CONFIG.encode()))
        assert environment.kernel_config(tmp_path)["HZ"] == "250"

    def test_else_that_beside_the_kernel(self, tmp_path: Path) -> None:
        plant(tmp_path, {f"boot/config-{platform.release()}": CONFIG})
        assert environment.kernel_config(tmp_path)["HZ"] == "250"

    @pytest.mark.parametrize(("release", "is_its_own"), [(platform.release(), True), ("6.12.0-other", False)])
    def test_that_of_headers_is_taken_only_if_they_are_the_running_kernels(
        self, tmp_path: Path, release: str, is_its_own: bool
    ) -> None:
        build = f"usr/lib/modules/{platform.release()}/build"
        plant(tmp_path, {f"{build}/.config": CONFIG, f"{build}/include/config/kernel.release": f"{release}\n"})
        if is_its_own:
            assert environment.kernel_config(tmp_path)["HZ"] == "250"
        else:
            with pytest.raises(LookupError, match=r"neither /proc/config\.gz nor /boot/config-"):
                environment.kernel_config(tmp_path)


class TestFacts:
    def test_what_cannot_be_had_is_absent_with_a_reason(self, tmp_path: Path) -> None:
        found = environment.facts({"data": "/nowhere/at/all"}, plant(tmp_path, {"proc/cpuinfo": "flags : fpu\n"}))
        assert "cpu_model" not in found
        assert found["absent"]["cpu_model"] == "/proc/cpuinfo has no 'model name'"
        assert found["absent"]["cpu_governor"] == "the kernel does not scale the CPUs' frequency"
        assert found["absent"]["cpu_turbo"] == "neither intel_pstate/no_turbo nor cpufreq/boost"
        assert found["absent"]["storage_data"].endswith("No such file or directory")
        assert found["virtual_machine"] is False

    def test_what_can_is_there(self, tmp_path: Path) -> None:
        policy = "sys/devices/system/cpu/cpufreq/policy{}/scaling_governor"
        files = {
            "proc/cpuinfo": "model name\t: Intel(R) Core(TM) i5-9500 CPU @ 3.00GHz\nflags\t\t: fpu vme hypervisor\n",
            "proc/meminfo": "MemTotal:       16777216 kB\nSwapTotal:             0 kB\n",
            "proc/sys/kernel/bpf_stats_enabled": "0\n",
            policy.format(0): "powersave\n",
            policy.format(4): "performance\n",
            "sys/devices/system/cpu/intel_pstate/no_turbo": "0\n",
            "sys/devices/system/cpu/smt/active": "1\n",
            "sys/devices/system/cpu/vulnerabilities/meltdown": "Mitigation: PTI\n",
            "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
            "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
        }
        found = environment.facts({}, plant(tmp_path, files))
        assert found["cpu_model"] == "Intel(R) Core(TM) i5-9500 CPU @ 3.00GHz"
        assert found["memory_bytes"] == 16 * 2**30
        assert (found["cpu_governor"], found["cpu_turbo"], found["cpu_smt"]) == ("performance, powersave", True, True)
        assert (found["transparent_hugepages"], found["lockdown"]) == ("madvise", "none")
        assert found["mitigations"] == {"meltdown": "Mitigation: PTI"}
        assert found["sysctl"]["kernel.bpf_stats_enabled"] == "0"
        assert found["sysctl"]["kernel.perf_event_paranoid"] is None
        assert found["virtual_machine"] is True

    def test_this_machine_can_be_described(self, tmp_path: Path) -> None:
        found = environment.facts({"data": str(tmp_path)})
        assert found["kernel"] == platform.release()
        assert found["clocksource"]
        assert found["storage_data"]["filesystem"]

    def test_a_record_says_kernel_boot_and_how_the_cpu_is_had(self) -> None:
        found = environment.current(Accelerator.TCG)
        assert found.kernel == platform.release()
        assert found.boot_id == environment.current(None).boot_id != ""
        assert found.emulated
        assert not environment.current(None).emulated
