# SPDX-License-Identifier: Apache-2.0
"""What a study's trials run on, made ready, and the testbed opened there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bpfbench.errors import MachineError
from bpfbench.machine import facts
from bpfbench.model import Accelerator, Attach, Study
from bpfbench.testbed import image as images
from bpfbench.testbed.host import Headers, HostTestbed, headers_here, require
from bpfbench.testbed.image import Bootable, Image, Progress, Sources
from bpfbench.testbed.trials import Testbed
from bpfbench.testbed.vm import accelerator
from bpfbench.testbed.vm.testbed import Sizes, VmTestbed


@dataclass(frozen=True, slots=True)
class Ground:
    """What trials run on."""

    image: Image
    headers: Headers
    """What BCC compiles with."""
    hooks: frozenset[Attach]
    """The flavours of attaching that every kernel of the study has."""
    bootable: Bootable | None = None
    """Of the testbed `vm`."""
    accelerator: Accelerator | None = None
    """Likewise: KVM or TCG."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a reader of results needs to know of it, ready for JSON."""
        told: dict[str, Any] = {"headers_for_bcc": self.headers.origin}
        if self.bootable is not None:
            keys = ("key", "release", "version", "suite", "hooks", "config")
            kernels = {kernel.name: asdict(kernel) for kernel in self.bootable.kernels}
            told["accelerator"] = self.accelerator
            told["emulated"] = self.accelerator is Accelerator.TCG
            told["kernels"] = {name: {key: kernel[key] for key in keys} for name, kernel in kernels.items()}
        return told


def check(study: Study) -> None:
    """Refuse what could not be measured, before anything is built.

    Raises:
        MachineError: this machine lacks something; says what to do.
    """
    if study.testbed == "vm":
        for lack in missing_for_vm():
            raise lack
    else:
        require(os.geteuid(), facts.missing())


def missing_for_vm() -> Iterator[MachineError]:
    """Yield what this machine lacks to boot virtual machines."""
    for command, package in {
        f"qemu-system-{os.uname().machine}": "qemu-system-x86" if os.uname().machine == "x86_64" else "qemu-system-arm",
        "qemu-img": "qemu-utils",
    }.items():
        if shutil.which(command) is None:
            yield MachineError(f"{command} is not installed", f"apt-get install {package}")


def prepare(study: Study, image: Image, cache: Path, sources: Sources, progress: Progress) -> Ground:
    """Make ready what a study runs on besides the image: kernels and accelerator, or headers.

    Raises:
        ImageError: a kernel or the disk could not be built.
        MachineError: KVM is wanted and does not work, or the running kernel's headers cannot be unpacked.
    """
    if study.testbed != "vm":
        return Ground(image, headers_here(image, cache), facts.hooks())
    bootable = images.bootable(cache, image, study.factors.kernels, sources, progress)
    hooks = frozenset.intersection(*(frozenset(kernel.hooks) for kernel in bootable.kernels))
    chosen = accelerator.choose(cache, study.machine.accelerator, bootable.kernels[0])
    return Ground(image, Headers("each kernel's own"), hooks, bootable, chosen)


def expected_hooks(study: Study) -> frozenset[Attach] | None:
    """Return the flavours of attaching that a study is going to find; None where only a run can tell.

    Every kernel that virtual machines boot has all of them, which is made sure of when it is built.
    """
    if study.testbed == "vm":
        return frozenset(Attach) - {Attach.AUTO}
    return facts.hooks() or None


def open_testbed(ground: Ground, study: Study, data_dir: Path, output_dir: Path, sizes: Sizes) -> Testbed:
    """Return the testbed of a study. `sizes` are of the disks of virtual machines."""
    if ground.bootable is None or ground.accelerator is None:
        return HostTestbed(ground.image, ground.headers, data_dir, output_dir, study.setups)
    return VmTestbed(
        ground.image,
        ground.bootable,
        study.machine,
        ground.accelerator,
        study.hosts,
        data_dir,
        output_dir,
        sizes,
        study.setups,
    )
