# SPDX-License-Identifier: Apache-2.0
"""The vm testbed: an image booted on a kernel of its own, in as many virtual machines as the study has hosts.

One is up at a time, as they would take each other's CPU. The plan keeps the trials of a block together, so that one
boot serves a whole block. What a trial writes goes with the machine, but for what is on the data disk of each host.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bpfbench.errors import LostError, MachineError
from bpfbench.machine import facts
from bpfbench.machine.command import Finished
from bpfbench.machine.facts import Diagnosis
from bpfbench.model import Accelerator, Attach, Boot, Workload
from bpfbench.testbed import image as images
from bpfbench.testbed.base import LOG, Ground, Testbed, Venue
from bpfbench.testbed.image import Bootable
from bpfbench.testbed.image.boot import Kernel
from bpfbench.testbed.job import Job
from bpfbench.testbed.vm import accelerator, disks
from bpfbench.testbed.vm.guest import Guest
from bpfbench.testbed.vm.qemu import Disk, Vm

TCG_SLOWNESS = 12.0
"""What deadlines are multiplied by where the CPU is emulated: everything takes 5 to 20 times as long."""

BOOT_S = 60.0
"""Deadline for a boot, with KVM. Usual: 3 s, and 10 s to 20 s emulated."""

MACHINES = "virtual machines"
"""What the doctor calls them."""


class VmTestbed(Testbed):
    """Runs trials in virtual machines.

    Args:
        ground: its study says what each machine is, and their names; the first runs what no trial is. Data disks are
            kept in its data directory, a file per host and size; what is thrown away is on the file system of its
            output directory.
        bootable: the image's disk, and the kernels.
        accelerator: KVM or TCG, found out by accelerator.choose.
    """

    accelerator: Accelerator
    boots_blocks = True

    def __init__(self, ground: Ground, bootable: Bootable, accelerator: Accelerator) -> None:
        super().__init__(ground.image, ground.data_dir, ground.output_dir, ground.study.setups, ground.study.targets)
        self._machine = ground.study.machine
        self._hosts = ground.study.hosts
        self._disks = ground.disks
        self._bootable = bootable
        self.accelerator = accelerator
        self.slowness = TCG_SLOWNESS if self.emulated else 1.0
        self.warms_up = not self.emulated and self._machine.boot is Boot.BLOCK
        self._up: Guest | None = None
        self._block: int | None = None
        """That trials of were run in what is up."""

    @property
    def hooks(self) -> frozenset[Attach]:
        """Those of all its kernels."""
        return frozenset.intersection(*(frozenset(kernel.hooks) for kernel in self._bootable.kernels))

    @property
    def facts(self) -> dict[str, Any]:
        """This machine's, how it is emulated or not, and the kernels."""
        told = ("key", "release", "version", "suite", "hooks", "config")
        kernels = {kernel.name: asdict(kernel) for kernel in self._bootable.kernels}
        return {
            **facts.gather(),
            "headers_for_bcc": "each kernel's own",
            "accelerator": self.accelerator,
            "emulated": self.emulated,
            "kernels": {name: {key: kernel[key] for key in told} for name, kernel in kernels.items()},
        }

    @property
    def cpus(self) -> int:
        """Those of a virtual machine."""
        return self._machine.cpus

    def data_files(self, workloads: Iterable[Workload]) -> Iterable[Path]:  # noqa: ARG002 - all are on one disk
        """Return the disks that are there, a host's each."""
        found = (disks.data_disk(self.data_dir, host, self._disks.data) for host in self._hosts)
        return (path for path in found if path.exists())

    def close(self, *, at_once: bool = False) -> None:
        """End what is up."""
        if self._up and not at_once:
            self._up.power_off()
        if self._up:
            self._up.kill()
        self._up = self._block = None

    def inside(self, job: Job, on_line: Callable[[str], None]) -> Finished:
        """Run a command in the virtual machine it belongs to, booted if need be; one that is lost is booted anew."""
        keep = {"record": job.record_dir} if job.record_dir else {}
        if job.keep_output_as:
            keep["output"] = self.output_dir / job.keep_output_as
            keep["output"].mkdir(parents=True)
        try:
            finished = self._guest(job).run(job, keep, on_line)
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
        """Return the virtual machine that a job belongs to.

        A block begins in a fresh one, or in what has only laid out data; what is of no block does not mind.
        """
        host = job.host or self._hosts[0]
        kernel = next(kernel for kernel in self._bootable.kernels if job.kernel in (None, kernel.name))
        if self._up and not self._up.alive:
            self.close(at_once=True)
        same_block = job.block is None or self._block in (None, job.block)
        if self._up and not (same_block and (self._up.vm.name, self._up.vm.kernel) == (host, kernel.vmlinuz)):
            self.close()
        if self._up is None:
            self._up = self._boot(host, kernel)
        self._block = self._block if job.block is None else job.block
        return self._up

    def _boot(self, host: str, kernel: Kernel) -> Guest:
        begin_s = time.monotonic()
        self.output_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as ours:  # QEMU has its own hold of them
            code = ours.enter_context(disks.code(Path(self.image.tracers), self.carried.folders, self.output_dir))
            root = ours.enter_context(disks.overlay(self._bootable.disk, self.output_dir))
            files = [code, root]
            attached = [
                Disk("root", disks.inherited(root), "qcow2", writable=True),
                Disk("kernel", kernel.disk),
                Disk("code", disks.inherited(code)),
            ]
            if self._disks.data:
                data = disks.make_data_disk(self.data_dir, host, self._disks.data)
                attached.append(Disk("data", str(data), writable=True, direct=True))
            if self._disks.output:
                output = ours.enter_context(disks.scratch(self._disks.output, self.output_dir))
                files.append(output)
                attached.append(Disk("output", disks.inherited(output), writable=True, direct=True))
            vm = Vm(
                name=host,
                accelerator=self.accelerator,
                cpus=self._machine.cpus,
                memory_bytes=self._machine.memory_bytes,
                kernel=kernel.vmlinuz,
                initrd=kernel.initrd,
                disks=tuple(attached),
            )
            guest = Guest(vm, files, BOOT_S * self.slowness)
        LOG.debug("%s is up after %.1f s, on kernel %s", host, time.monotonic() - begin_s, guest.kernel)
        return guest


def missing() -> Iterator[Diagnosis]:
    """Yield what this machine lacks to boot virtual machines."""
    arch = os.uname().machine
    system = "qemu-system-x86" if arch == "x86_64" else "qemu-system-arm"
    for lack in facts.lacks(facts.commands({f"qemu-system-{arch}": system, "qemu-img": "qemu-utils"})):
        yield replace(lack, what=MACHINES, found=f"{lack.what} is {lack.found}")


def _check() -> None:
    for lack in missing():
        raise MachineError(lack.found, lack.advice)


def _testbed(ground: Ground) -> VmTestbed:
    kernels = ground.study.factors.kernels
    bootable = images.bootable(ground.cache, ground.image, kernels, ground.sources, ground.progress)
    chosen = accelerator.choose(ground.cache, ground.study.machine.accelerator, bootable.kernels[0])
    return VmTestbed(ground, bootable, chosen)


VENUE = Venue(_check, lambda: frozenset(Attach) - {Attach.AUTO}, _testbed)
