# SPDX-License-Identifier: Apache-2.0
"""KVM where it really works, else emulation. Whether it works is found out by booting: a device file proves nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bpfbench.codec import from_json, to_json
from bpfbench.errors import MachineError
from bpfbench.machine import command, facts
from bpfbench.model import Accelerator
from bpfbench.testbed.image.boot import Kernel
from bpfbench.testbed.vm import qemu
from bpfbench.testbed.vm.qemu import Vm

DEVICE = Path("/dev/kvm")

REMEMBERED = "kvm.json"
"""In the cache directory: what came of booting with it."""

TELLING = "Run /init as init process"
"""What a kernel says when it is up and has found its initrd."""

PROBE_S = 20.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of booting with KVM."""

    boot_id: str
    """Of this machine: a reboot may change what its processor lets us do."""
    reason: str | None
    """Why it does not work; None: it does."""


def choose(cache: Path, wanted: Accelerator, kernel: Kernel) -> Accelerator:
    """Return what virtual machines are run with.

    Args:
        cache: bpfbench's cache directory, where the outcome of a probe is kept until this machine is rebooted.
        wanted: by the study.
        kernel: to try it with.

    Raises:
        MachineError: KVM is wanted, and does not work.
    """
    if wanted is Accelerator.TCG:
        return wanted
    reason = lack() or _probed(cache, kernel)
    if reason is None:
        return Accelerator.KVM
    if wanted is Accelerator.KVM:
        raise MachineError(f"KVM does not work here: {reason}", "--accelerator auto goes on without it, emulated")
    command.LOG.debug("no KVM: %s", reason)
    return Accelerator.TCG


def lack() -> str | None:
    """Return what KVM lacks at first sight."""
    if not DEVICE.exists():
        return f"there is no {DEVICE}: the processor's virtualisation is off, or this is a virtual machine itself"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"{DEVICE} is not ours to use: sudo usermod --append --groups kvm $USER, then log in again"
    return None


def known(cache: Path) -> Probe | None:
    """Return what came of the probe since this machine was booted; None: it has not been tried."""
    try:
        probe = from_json(Probe, (cache / REMEMBERED).read_bytes())
    except (OSError, ValueError):
        return None
    return probe if probe.boot_id == facts.boot_id() else None


def _probed(cache: Path, kernel: Kernel) -> str | None:
    probe = known(cache)
    if probe is None:
        probe = Probe(facts.boot_id(), _try(kernel))
        (cache / REMEMBERED).write_text(to_json(probe, indent=None))
    return probe.reason


def _try(kernel: Kernel) -> str | None:
    """Boot a kernel with KVM as far as its initrd; return why that does not work."""
    vm = Vm("probe", Accelerator.KVM, 1, 2**29, kernel.vmlinuz, kernel.initrd, kernel_options=())

    def on_line(line: str) -> None:
        if TELLING in line:
            raise _UpError

    try:
        finished = command.run(qemu.argv(vm), on_line=on_line, timeout_s=PROBE_S)
    except _UpError:
        return None
    if finished.timed_out:
        return f"a kernel was not up after {PROBE_S:g} s"
    words = next((line.strip() for line in finished.stderr.splitlines() if line.strip()), "QEMU gave no reason")
    return f"a kernel cannot be booted ({words})"


class _UpError(Exception):
    """The kernel is up: enough has been seen."""
