# SPDX-License-Identifier: Apache-2.0
"""The vm testbed: an image booted on a kernel of its own, in as many virtual machines as the study has hosts.

One is up at a time, as they would take each other's CPU. The plan keeps the trials of a block together, so that one
boot serves a whole block. What a trial writes goes with the machine, but for what is on the data disk of each host.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bpfbench.errors import LostError
from bpfbench.machine.command import Finished
from bpfbench.model import Accelerator, Boot, Machine, Setup
from bpfbench.testbed.image import Bootable, Image, Kernel
from bpfbench.testbed.trials import LOG, Job, Testbed
from bpfbench.testbed.vm import disks
from bpfbench.testbed.vm.agent import GuestOrder
from bpfbench.testbed.vm.guest import Guest
from bpfbench.testbed.vm.qemu import Disk, Vm

TCG_SLOWNESS = 12.0
"""What deadlines are multiplied by where the CPU is emulated: everything takes 5 to 20 times as long."""

BOOT_S = 60.0
"""Deadline for a boot, with KVM. Usual: 3 s, and 10 s to 20 s emulated."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much the disks of a virtual machine must hold, in bytes; 0: there is no such disk."""

    data: int = 0
    output: int = 0


class VmTestbed(Testbed):
    """Runs trials in virtual machines.

    Args:
        image: a built image.
        bootable: its disk, and the kernels.
        machine: what each virtual machine is.
        accelerator: KVM or TCG, found out by accelerator.choose.
        hosts: their names; the first runs what no trial is.
        data_dir: where data disks are kept, a file per host and size.
        output_dir: on the file system for everything that is thrown away.
        sizes: of the disks.
        setups: those with a command of their own; all others are the image's.
    """

    def __init__(
        self,
        image: Image,
        bootable: Bootable,
        machine: Machine,
        accelerator: Accelerator,
        hosts: Sequence[str],
        data_dir: Path,
        output_dir: Path,
        sizes: Sizes,
        setups: Sequence[Setup] = (),
    ) -> None:
        super().__init__(setups)
        self.image = image
        self.accelerator = self._accelerator = accelerator
        self.slowness = TCG_SLOWNESS if accelerator is Accelerator.TCG else 1.0
        self.warms_up = accelerator is not Accelerator.TCG and machine.boot is Boot.BLOCK
        self.boots_blocks = True
        self._bootable = bootable
        self._machine = machine
        self._hosts = tuple(hosts)
        self._data_dir = data_dir
        self._output_dir = output_dir
        self._sizes = sizes
        self._up: _Up | None = None

    def close(self, *, at_once: bool = False) -> None:
        """End what is up."""
        if self._up and not at_once:
            self._up.guest.power_off()
        if self._up:
            self._up.guest.kill()
        self._up = None

    def inside(self, job: Job, on_line: Callable[[str], None]) -> Finished:
        """Run a command in the virtual machine it belongs to, booted if need be; one that is lost is booted anew."""
        keep = {"record": job.record_dir} if job.record_dir else {}
        if job.keep_output_as:
            keep["output"] = self._output_dir / job.keep_output_as
            keep["output"].mkdir(parents=True)
        order = GuestOrder(job.argv, job.stdin, job.data, job.output, keep)
        try:
            finished = self._guest(job).run(order, on_line, job.timeout_s)
        except BaseException as error:  # also where we are interrupted: nobody would listen to what it says
            self.close(at_once=True)
            if isinstance(error, LostError) and job.record_dir:
                (job.record_dir / "console.txt").write_text(error.console)
            raise
        if self._machine.boot is Boot.TRIAL and job.record_dir:
            self.close()
        return finished

    def discard_outputs(self) -> None:
        """Do nothing: what was written has no name, and went with the machine."""

    def _guest(self, job: Job) -> Guest:
        """Return the virtual machine that a job belongs to."""
        host = job.host or self._hosts[0]
        kernel = self._kernel(job.kernel)
        if self._up and not self._up.guest.alive:
            self.close(at_once=True)
        if self._up and not self._up.serves(host, kernel if job.kernel else None, job.block):
            self.close()
        if self._up is None:
            self._up = _Up(self._boot(host, kernel), host, kernel)
        self._up.block = self._up.block if job.block is None else job.block
        return self._up.guest

    def _kernel(self, name: str | None) -> Kernel:
        if name is None:
            return self._bootable.kernels[0]
        return next(kernel for kernel in self._bootable.kernels if kernel.name == name)

    def _boot(self, host: str, kernel: Kernel) -> Guest:
        begin_s = time.monotonic()
        self._output_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as ours:  # QEMU has its own hold of them
            code = ours.enter_context(disks.code(Path(self.image.tracers), self.brought_folders(), self._output_dir))
            root = ours.enter_context(disks.overlay(self._bootable.disk, self._output_dir))
            files = [code, root]
            attached = [
                Disk("root", disks.inherited(root), "qcow2", writable=True),
                Disk("kernel", kernel.disk),
                Disk("code", disks.inherited(code)),
            ]
            if self._sizes.data:
                data = disks.make_data_disk(self._data_dir, host, self._sizes.data)
                attached.append(Disk("data", str(data), writable=True, direct=True))
            if self._sizes.output:
                output = ours.enter_context(disks.scratch(self._sizes.output, self._output_dir))
                files.append(output)
                attached.append(Disk("output", disks.inherited(output), writable=True, direct=True))
            vm = Vm(
                name=host,
                accelerator=self._accelerator,
                cpus=self._machine.cpus,
                memory_bytes=self._machine.memory_bytes,
                kernel=kernel.vmlinuz,
                initrd=kernel.initrd,
                disks=tuple(attached),
            )
            guest = Guest(vm, files, BOOT_S * self.slowness)
        LOG.debug("%s is up after %.1f s, on kernel %s", host, time.monotonic() - begin_s, guest.hello.kernel)
        return guest


@dataclass(slots=True)
class _Up:
    """The virtual machine that is up, and what for."""

    guest: Guest
    host: str
    kernel: Kernel
    block: int | None = None

    def serves(self, host: str, kernel: Kernel | None, block: int | None) -> bool:
        """Tell whether a job can be run in it. A block begins in a fresh one, or in what has only laid out data."""
        return (
            self.host == host
            and (kernel is None or self.kernel == kernel)
            and (block is None or self.block in (None, block))
        )
