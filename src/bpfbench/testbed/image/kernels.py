# SPDX-License-Identifier: Apache-2.0
"""Kernels that a virtual machine boots an image with: Debian's own, each with an initrd and a disk of its modules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bpfbench.catalogue import KERNELS, PACKAGE
from bpfbench.codec import from_json
from bpfbench.errors import ImageError, UsageError
from bpfbench.model import Attach, Sources
from bpfbench.testbed import sandbox
from bpfbench.testbed.image import layers
from bpfbench.testbed.image.build_sandbox import build_sandbox
from bpfbench.testbed.image.recipes import KERNEL_SUITES
from bpfbench.testbed.sandbox import INSIDE, Bind

SCRIPTS = PACKAGE / "testbed" / "image"

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
    Attach.KPROBE: ("CONFIG_KPROBES", "CONFIG_KRETPROBES", "CONFIG_BPF_EVENTS"),
    Attach.FENTRY: (
        "CONFIG_DEBUG_INFO_BTF",
        "CONFIG_BPF_JIT",
        "CONFIG_FUNCTION_TRACER",
        "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
    ),
    Attach.TRACEPOINT: ("CONFIG_FTRACE_SYSCALLS", "CONFIG_BPF_EVENTS"),
}
"""Flavour -> the options that it needs, all of them; in the order of preference."""

FACTS = (
    "CONFIG_BPF_JIT_ALWAYS_ON",
    "CONFIG_CPU_MITIGATIONS",
    "CONFIG_FPROBE",
    "CONFIG_HZ",
    "CONFIG_KPROBES_ON_FTRACE",
    "CONFIG_PREEMPT",
    "CONFIG_PREEMPT_DYNAMIC",
    "CONFIG_PREEMPT_LAZY",
    "CONFIG_PREEMPT_NONE",
    "CONFIG_PREEMPT_RT",
    "CONFIG_PREEMPT_VOLUNTARY",
    "CONFIG_RETHOOK",
)
"""The options that Kernel.config tells, besides those of HOOKS."""


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


def build_kernel(name: str, root: Path, sources: Sources, place: Path, partial: Path) -> None:
    """Make a kernel's files in `partial`, for `place`.

    Raises:
        ImageError: it could not be downloaded or made.
    """
    binds = (Bind(str(SCRIPTS), f"{INSIDE}/build"), Bind(str(partial), f"{INSIDE}/out", writable=True))
    inside = build_sandbox(root, binds, sources, {}, "/")
    suite = KERNEL_SUITES[name]
    script = (f"{INSIDE}/build/make-kernel", suite, sources.mirror or MIRROR, f"{INSIDE}/build/init", f"{INSIDE}/out")
    layers.run(sandbox.building(inside, script), f"kernel {name}", partial)
    options = read_config((partial / "config").read_text())
    kernel = Kernel(
        name=name,
        key=place.name.rsplit("-", 1)[1],
        suite=suite,
        release=(partial / "release").read_text().strip(),
        version=(partial / "version").read_text().strip(),
        hooks=hooks(options),
        config={option: options.get(option, "n") for option in sorted({*FACTS, *sum(HOOKS.values(), ())})},
        vmlinuz=str(place / "vmlinuz"),
        initrd=str(place / "initrd"),
        disk=str(place / "kernel.ext4"),
    )
    (partial / "kernel.json").write_text(json.dumps(asdict(kernel), indent=1) + "\n")


def load_kernel(place: Path) -> Kernel:
    """Return the kernel that is built at `place`.

    Raises:
        FileNotFoundError: none is.
        ImageError: another version of bpfbench built it.
    """
    path = place / "kernel.json"
    try:
        return from_json(Kernel, path.read_bytes())
    except ValueError as error:
        raise ImageError(f"{path}: {error}", f"another version of bpfbench built it: delete {place}") from error


def read_config(text: str) -> dict[str, str]:
    """Read a kernel's configuration: the options that are set, without quotes."""
    lines = (line.partition("=") for line in text.splitlines() if line.startswith("CONFIG_"))
    return {option: value.strip('"') for option, _, value in lines}


def hooks(options: Mapping[str, str]) -> tuple[Attach, ...]:
    """Return the flavours of attaching that a configuration provides."""
    return tuple(attach for attach, needed in HOOKS.items() if all(options.get(option) == "y" for option in needed))
