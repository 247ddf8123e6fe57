# SPDX-License-Identifier: Apache-2.0
"""What virtual machines boot: a disk, an image's root as ext4 in a sparse file, and Debian's kernels.

The disk is never written to. Each kernel comes with an initrd and a disk of its modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bpfbench.catalogue import KERNELS, PACKAGE
from bpfbench.codec import to_json
from bpfbench.errors import UsageError
from bpfbench.inside import environment
from bpfbench.model import Attach, Sources
from bpfbench.testbed import sandbox
from bpfbench.testbed.image import layers
from bpfbench.testbed.image.build_sandbox import build_sandbox
from bpfbench.testbed.image.layers import Site
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox

SCRIPTS = PACKAGE / "testbed" / "image"

FREE_MIB = 2048
"""Room on the disk for what a virtual machine writes, into its overlay."""

ROOT = "/run/bpfbench/root"
"""Where the root is seen inside itself once more, without what is mounted over it there."""

KERNEL_SUITES = {"trixie": "trixie", "backports": "trixie-backports", "sid": "sid"}
"""Kernel (catalogue.KERNELS) -> the Debian suite it is from."""

MIRROR = "http://deb.debian.org/debian"
"""Where kernels come from unless a mirror is given."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A built kernel. Paths are the host's."""

    name: str
    """Of catalogue.KERNELS."""
    key: str
    suite: str
    release: str
    """As uname -r has it."""
    version: str
    """Of the Debian package."""
    hooks: tuple[Attach, ...]
    """The flavours of attaching that its configuration provides."""
    config: dict[str, str]
    """What a reader of results may want to know of its configuration: option -> value, `n` where it is not set."""
    vmlinuz: str
    initrd: str
    disk: str
    """ext4, with /modules and /src."""


HOOKS = {
    Attach.KPROBE: ("KPROBES", "KRETPROBES", "BPF_EVENTS"),
    Attach.FENTRY: ("DEBUG_INFO_BTF", "BPF_JIT", "FUNCTION_TRACER", "DYNAMIC_FTRACE_WITH_DIRECT_CALLS"),
    Attach.TRACEPOINT: ("FTRACE_SYSCALLS", "BPF_EVENTS"),
}
"""Flavour -> the options that it needs, all of them; in the order of preference."""

OPTIONS = sorted({*environment.OPTIONS, "CPU_MITIGATIONS", "RETHOOK", *sum(HOOKS.values(), ())})
"""Those that are told of a kernel's configuration."""


def disk_key(root: str) -> str:
    """Return the content address of the disk of a root, which is given by its key."""
    return layers.digest(root.encode(), (SCRIPTS / "make-disk").read_bytes(), str(FREE_MIB).encode())


def build_disk(root: Path, site: Site) -> None:
    """Make PARTIAL/root.ext4 of a root.

    Raises:
        ImageError: it could not be made.
    """
    inside = Sandbox(str(root), (Bind(str(root), ROOT), *_binds(site.partial)))
    argv = (f"{INSIDE}/build/make-disk", ROOT, f"{INSIDE}/out/root.ext4", str(FREE_MIB))
    site.run(sandbox.building(inside, argv), "the disk")


def _binds(partial: Path) -> tuple[Bind, ...]:
    return Bind(str(SCRIPTS), f"{INSIDE}/build"), Bind(str(partial), f"{INSIDE}/out", writable=True)


def kernel_key(root: str, name: str) -> str:
    """Return the content address of a kernel: of the root it is made with, its suite and how it is made."""
    scripts = [(SCRIPTS / script).read_bytes() for script in ("make-kernel", "make-disk", "init")]
    return layers.digest(root.encode(), name.encode(), KERNEL_SUITES[name].encode(), *scripts)


def require_kernels(names: tuple[str, ...]) -> None:
    """Refuse names that no kernel has.

    Raises:
        UsageError: lists those there are.
    """
    for name in names:
        if name not in KERNELS:
            raise UsageError(f"kernel {name!r} is not one of: {', '.join(KERNELS)}")


def build_kernel(name: str, root: Path, sources: Sources, layer: Path, site: Site) -> None:
    """Make a kernel's files, for `layer`.

    Raises:
        ImageError: it could not be downloaded or made.
    """
    partial = site.partial
    inside = build_sandbox(root, _binds(partial), sources, {}, "/")
    suite = KERNEL_SUITES[name]
    script = (f"{INSIDE}/build/make-kernel", suite, sources.mirror or MIRROR, f"{INSIDE}/build/init", f"{INSIDE}/out")
    site.run(sandbox.building(inside, script), f"kernel {name}")
    config = environment.parse_config((partial / "config").read_text(), OPTIONS)
    kernel = Kernel(
        name=name,
        key=layers.name_and_key(layer.name)[1],
        suite=suite,
        release=(partial / "release").read_text().strip(),
        version=(partial / "version").read_text().strip(),
        hooks=hooks(config),
        config={f"CONFIG_{option}": value for option, value in config.items()},
        vmlinuz=str(layer / "vmlinuz"),
        initrd=str(layer / "initrd"),
        disk=str(layer / "kernel.ext4"),
    )
    (partial / "kernel.json").write_text(to_json(kernel))


def load_kernel(layer: Path) -> Kernel:
    """Return the kernel that is built as this layer; raises as layers.load."""
    return layers.load(Kernel, layer, "kernel.json")


def hooks(config: Mapping[str, str]) -> tuple[Attach, ...]:
    """Return the flavours of attaching that a configuration provides."""
    return tuple(attach for attach, needed in HOOKS.items() if all(config[option] == "y" for option in needed))
