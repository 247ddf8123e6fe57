# SPDX-License-Identifier: Apache-2.0
"""A virtual machine as a command line: what QEMU is told, and nothing it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bpfbench.inside.agent import PORT
from bpfbench.model import Accelerator
from bpfbench.testbed.vm import qemu
from bpfbench.testbed.vm.qemu import Disk, Vm

VM = Vm("vm1", Accelerator.TCG, 2, 4 * 2**30, "/k/vmlinuz", "/k/initrd")


def values(words: tuple[str, ...], option: str) -> list[str]:
    """Return what follows each occurrence of an option."""
    return [words[number + 1] for number, word in enumerate(words) if word == option]


class TestMachine:
    def test_it_is_what_was_asked_for(self) -> None:
        words = qemu.argv(VM, "x86_64")
        assert "qemu-system-x86_64" in words
        assert values(words, "-smp") == ["2"]
        assert values(words, "-m") == ["4096M"]
        assert values(words, "-kernel") == ["/k/vmlinuz"]
        assert values(words, "-initrd") == ["/k/initrd"]

    def test_it_dies_with_us_and_ends_where_its_kernel_panics(self) -> None:
        words = qemu.argv(VM, "x86_64")
        assert words[: words.index("--")] == ("setpriv", "--pdeathsig", "KILL")
        assert "-no-reboot" in words
        assert "panic=-1" in values(words, "-append")[0].split()

    def test_it_has_no_network_and_no_device_that_nobody_asked_for(self) -> None:
        words = qemu.argv(VM, "x86_64")
        assert "-nodefaults" in words
        assert "-no-user-config" in words
        assert values(words, "-device") == []
        assert not {"-netdev", "-nic", "-net", "-fsdev", "-virtfs"} & set(words)

    def test_the_kernel_is_told_its_host_name_console_and_what_to_start(self) -> None:
        told = values(qemu.argv(VM, "x86_64"), "-append")[0].split()
        assert {"console=ttyS0", "bpfbench.host=vm1", f"bpfbench.init={qemu.INIT}"} <= set(told)
        assert "console=ttyAMA0" in values(qemu.argv(VM, "aarch64"), "-append")[0].split()

    @pytest.mark.parametrize(
        ("accelerator", "told", "cpu"),
        [(Accelerator.KVM, "kvm", "host"), (Accelerator.TCG, "tcg,thread=single", "max")],
    )
    def test_the_cpu_is_the_hosts_own_where_it_is_not_emulated(
        self, accelerator: Accelerator, told: str, cpu: str
    ) -> None:
        words = qemu.argv(replace(VM, accelerator=accelerator), "x86_64")
        assert values(words, "-accel") == [told]
        assert values(words, "-cpu") == [cpu]


class TestDisks:
    @pytest.mark.parametrize(
        ("disk", "options"),
        [
            (Disk("kernel", "/k/disk"), {"driver=raw", "read-only=on", "cache.direct=off"}),
            (Disk("root", "/dev/fd/7", "qcow2", writable=True), {"driver=qcow2", "read-only=off"}),
            (Disk("data", "/d/x.raw", writable=True, direct=True), {"read-only=off", "cache.direct=on"}),
        ],
        ids=lambda value: value.serial if isinstance(value, Disk) else "",
    )
    def test_a_disk_is_found_by_its_serial_and_written_only_if_it_may_be(self, disk: Disk, options: set[str]) -> None:
        words = qemu.argv(replace(VM, disks=(disk,)), "x86_64")
        (told,) = values(words, "-blockdev")
        assert options | {f"file.filename={disk.file}", f"node-name={disk.serial}"} <= set(told.split(","))
        assert values(words, "-device") == [f"virtio-blk-pci,drive={disk.serial},serial={disk.serial}"]

    def test_a_comma_in_a_path_is_no_option(self) -> None:
        (told,) = values(qemu.argv(replace(VM, disks=(Disk("data", "/a,read-only=on/b"),)), "x86_64"), "-blockdev")
        assert told.endswith("file.filename=/a,,read-only=on/b")


class TestPort:
    def test_the_agents_port_is_an_inherited_socket(self) -> None:
        words = qemu.argv(replace(VM, port_fd=9), "x86_64")
        assert "socket,id=agent,fd=9" in values(words, "-chardev")
        assert f"virtserialport,chardev=agent,name={PORT}" in values(words, "-device")
