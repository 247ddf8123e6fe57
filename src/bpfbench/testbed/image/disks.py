# SPDX-License-Identifier: Apache-2.0
"""The disk a virtual machine boots from: an image's root as an ext4 file system in a sparse file, never written to."""

from __future__ import annotations

from pathlib import Path

from bpfbench.catalogue import PACKAGE
from bpfbench.testbed import sandbox
from bpfbench.testbed.image import layers
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox

SCRIPTS = PACKAGE / "testbed" / "image"

FREE_MIB = 2048
"""Room for what a virtual machine writes, into its overlay."""

ROOT = "/run/bpfbench/root"
"""Where the root is seen inside itself once more, without what is mounted over it there."""


def disk_key(root: str) -> str:
    """Return the content address of the disk of a root, which is given by its key."""
    return layers.digest(root.encode(), (SCRIPTS / "make-disk").read_bytes(), str(FREE_MIB).encode())


def build_disk(root: Path, partial: Path) -> None:
    """Make PARTIAL/root.ext4 of a root.

    Raises:
        ImageError: it could not be made.
    """
    binds = (
        Bind(str(root), ROOT),
        Bind(str(SCRIPTS), f"{INSIDE}/build"),
        Bind(str(partial), f"{INSIDE}/out", writable=True),
    )
    argv = (f"{INSIDE}/build/make-disk", ROOT, f"{INSIDE}/out/root.ext4", str(FREE_MIB))
    layers.run(sandbox.building(Sandbox(str(root), binds), argv), "the disk", partial)
