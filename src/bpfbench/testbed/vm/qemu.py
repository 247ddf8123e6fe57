# SPDX-License-Identifier: Apache-2.0
"""What a virtual machine is made of, and the command that is QEMU running it. Pure: values in, argument vector out."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from bpfbench.inside.agent import PORT
from bpfbench.machine.command import SHOT_WITH_US
from bpfbench.model import Accelerator
from bpfbench.testbed.sandbox import INSIDE

INIT = f"{INSIDE}/src/bpfbench/inside/guest-init"
"""What the initrd starts in the image's root."""


SINGLE = "tcg,thread=single"
"""Emulated CPUs take turns in one thread. With a thread each, QEMU 7.2 now and then runs an int3 that the kernel put
into its code to change it (static keys, kprobes, ftrace) and took out again: "Oops: int3", in 2 of some 50 boots."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What differs between the machines that QEMU emulates."""

    machine: str
    console: str


ARCHITECTURES = {"x86_64": Architecture("q35", "ttyS0"), "aarch64": Architecture("virt", "ttyAMA0")}
"""By what uname -m says; a guest is of the host's own architecture."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A block device of the guest."""

    serial: str
    """Which the guest tells it by."""
    file: str
    """A path; /dev/fd/N for a file without a name."""
    format: str = "raw"
    writable: bool = False
    direct: bool = False
    """Past the host's page cache, so that what the guest reads from disk comes from a disk."""


@dataclass(frozen=True, slots=True)
class Vm:
    """A virtual machine, complete."""

    name: str
    """Its host name."""
    accelerator: Accelerator
    """KVM or TCG."""
    cpus: int
    memory_bytes: int
    kernel: str
    initrd: str
    kernel_options: tuple[str, ...] = ("quiet",)
    disks: tuple[Disk, ...] = ()
    port_fd: int | None = None
    """A connected socket, inherited: the other end of the agent's port."""


def argv(vm: Vm, architecture: str = platform.machine()) -> tuple[str, ...]:
    """Return the command that runs `vm`, its console on stdout."""
    arch = ARCHITECTURES[architecture]
    # Whatever goes wrong in the guest ends QEMU: a panic is a reboot, and that an exit.
    options = (f"console={arch.console}", "panic=-1", f"bpfbench.init={INIT}", f"bpfbench.host={vm.name}")
    # fmt: off
    words = [
        *SHOT_WITH_US, # whatever it writes to has no name, or is a data disk, which is checked before use
        f"qemu-system-{architecture}",
        "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot",
        "-name", vm.name,
        "-machine", arch.machine,
        "-accel", vm.accelerator.value if vm.accelerator is Accelerator.KVM else SINGLE,
        "-cpu", "host" if vm.accelerator is Accelerator.KVM else "max",
        "-smp", str(vm.cpus),
        "-m", f"{vm.memory_bytes // 2**20}M",
        "-kernel", vm.kernel,
        "-initrd", vm.initrd,
        "-append", " ".join((*options, *vm.kernel_options)),
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
    ]
    # fmt: on
    for disk in vm.disks:
        words += ["-blockdev", _blockdev(disk), "-device", f"virtio-blk-pci,drive={disk.serial},serial={disk.serial}"]
    if vm.port_fd is not None:
        words += ["-chardev", f"socket,id=agent,fd={vm.port_fd}"]
        words += ["-device", "virtio-serial-pci", "-device", f"virtserialport,chardev=agent,name={PORT}"]
    return tuple(words)


def _blockdev(disk: Disk) -> str:
    """Describe a disk as -blockdev wants it, in which a comma is written twice."""
    options = {
        "driver": disk.format,
        "node-name": disk.serial,
        "read-only": "off" if disk.writable else "on",
        "discard": "unmap",
        "cache.direct": "on" if disk.direct else "off",
        "file.driver": "file",
        "file.filename": disk.file.replace(",", ",,"),
    }
    return ",".join(f"{key}={value}" for key, value in options.items())
