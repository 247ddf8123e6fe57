# SPDX-License-Identifier: Apache-2.0
"""What a virtual machine boots: the disk, kernel and first program of an image, in a real QEMU, emulated."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from bpfbench import cli
from bpfbench.machine.command import SHOT_WITH_US
from bpfbench.model import Attach, Sources
from bpfbench.testbed import image
from bpfbench.testbed.image import Bootable, Image
from bpfbench.testbed.image.boot import Kernel

pytestmark = pytest.mark.beside  # an emulated CPU is not measured

PROOF = """\
#!/bin/sh
echo "release $(uname -r)"
echo "owner $(stat -c %U:%G /etc/shadow)"
echo "code $(cat /bpfbench/code)"
echo "headers $(test -e /lib/modules/$(uname -r)/build/include/config/auto.conf && echo yes)"
echo "module $(modprobe tun && grep -c ^tun /proc/modules)"
echo "vfs_read $(grep -c ' vfs_read$' /proc/kallsyms)"
echo "writable $(touch /usr/written && echo yes)"
echo "tmp $(stat -f -c %T /tmp) run $(stat -f -c %T /run)"
busybox poweroff -f
"""
"""A first program that tells where it is and powers off."""


@pytest.fixture(scope="session")
def bootable(trixie: Image) -> Bootable:
    return image.bootable(cli.cache_dir(), trixie, ("trixie",), Sources(), lambda *_: None)


def disk(serial: str, file: str | Path, *options: str) -> tuple[str, ...]:
    drive = ",".join((f"if=none,format=raw,id={serial},file={file}", *options))
    return ("-drive", drive, "-device", f"virtio-blk-pci,drive={serial},serial={serial}")


def boot(kernel: Kernel, init: str, *disks: str) -> dict[str, str]:
    """Boot, wait for the end, and return what the console said: first word -> the rest of each line."""
    argv = (
        *SHOT_WITH_US,
        *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1G"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", kernel.vmlinuz, "-initrd", kernel.initrd),
        *("-append", f"console=ttyS0 quiet panic=-1 bpfbench.init={init}"),
        *disks,
    )
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=True)
    return {line.split(" ", 1)[0]: line.partition(" ")[2] for line in ended.stdout.splitlines()}


class TestBoot:
    def test_the_first_program_is_in_the_image_with_its_kernels_modules_headers_and_our_code(
        self, bootable: Bootable, tmp_path: Path
    ) -> None:
        (tmp_path / "code").write_text("of ours")
        (tmp_path / "proof").write_text(PROOF)
        (tmp_path / "proof").chmod(0o755)
        with tarfile.open(tmp_path / "code.tar", "w") as archive:
            for name in ("code", "proof"):
                archive.add(tmp_path / name, name)
        (kernel,) = bootable.kernels
        said = boot(
            kernel,
            "/bpfbench/proof",
            *disk("root", bootable.disk, "snapshot=on"),
            *disk("kernel", kernel.disk, "readonly=on"),
            *disk("code", tmp_path / "code.tar", "readonly=on"),
        )
        assert said.get("release") == kernel.release
        assert said["owner"] == "root:shadow"
        assert said["code"] == "of ours"
        assert said["headers"] == "yes"
        assert said["module"] == "1"
        assert said["vfs_read"] == "1"
        assert said["writable"] == "yes"
        assert said["tmp"] == "tmpfs run tmpfs"

    def test_a_machine_without_its_disks_says_so_and_powers_off(self, bootable: Bootable) -> None:
        (kernel,) = bootable.kernels
        said = boot(kernel, "/bin/true", *disk("other", kernel.disk, "readonly=on"))
        assert said["bpfbench-init:"] == "no disks with the serials root and kernel; there are: other"

    def test_a_first_program_that_is_not_there_is_told(self, bootable: Bootable) -> None:
        (kernel,) = bootable.kernels
        disks = (*disk("root", bootable.disk, "snapshot=on"), *disk("kernel", kernel.disk, "readonly=on"))
        assert boot(kernel, "/no/such", *disks)["bpfbench-init:"] == "/no/such is no program in the image"


class TestKernel:
    def test_debians_own_has_the_papers_hooks(self, bootable: Bootable) -> None:
        (kernel,) = bootable.kernels
        assert kernel.release.startswith("6.12.")
        assert kernel.hooks == (Attach.KPROBE, Attach.FENTRY, Attach.TRACEPOINT)
