# SPDX-License-Identifier: Apache-2.0
"""The command that enters an image on the running kernel. Pure: facts in, argument vector out.

Two layers: `unshare` gives a private mount namespace in which tracefs can be mounted without the host seeing it, and in
it bubblewrap builds the file system from binds and starts the command in PID and IPC namespaces of its own. Nothing is
mounted outside, and when the namespace's first process dies, so does everything in it. Builds need no tracefs,
and so no root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bpfbench.catalogue import PACKAGE
from bpfbench.machine.command import KILLED_WITH_US
from bpfbench.machine.privileges import as_root

INSIDE = "/bpfbench"
"""Where our things are inside an image; install-headers makes the folders to bind over."""

SUPERVISE = str(PACKAGE / "testbed" / "supervise")
"""Mounts tracefs, and cleans up after a killed bpfbench."""

ENTER = str(PACKAGE / "testbed" / "enter")
"""Becomes a command in an image, among the host's processes."""

HOST_FILES = "/mnt"
"""Where the host's files are for such a command."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A host path seen inside."""

    host: str
    inside: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What the inside looks like."""

    root: str
    binds: tuple[Bind, ...] = ()
    symlinks: tuple[tuple[str, str], ...] = ()
    """(target, path) pairs, below a fresh /usr/lib/modules."""
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    own_network: bool = False
    """Whether there is nothing but a loopback device of its own."""


def argv(sandbox: Sandbox, command: Sequence[str], remove_if_killed: str = "") -> tuple[str, ...]:
    """Return the command that runs `command` in `sandbox`, and deletes a directory of ours if bpfbench is killed."""
    supervise = ("unshare", "--mount", "--propagation", "private", SUPERVISE, remove_if_killed)
    return (*KILLED_WITH_US, *supervise, *_bubblewrap(sandbox), "--", *command)


def building(sandbox: Sandbox, command: Sequence[str], euid: int | None = None) -> tuple[str, ...]:
    """Return the command that runs `command` in `sandbox`, as any user: where nothing is traced or measured."""
    return (*KILLED_WITH_US, *as_root(euid), *_bubblewrap(sandbox), "--", *command)


def beside(sandbox: Sandbox, command: Sequence[str]) -> tuple[str, ...]:
    """Return the command that becomes `command` in the image's root, but with the host's processes, and one of them."""
    words = ["unshare", "--mount", "--propagation", "private", ENTER, sandbox.root]
    for bind in sandbox.binds:
        words += ["bind", bind.host, bind.inside]
    for target, path in sandbox.symlinks:
        words += ["link", target, path]
    return (*words, "--", *(f"{name}={value}" for name, value in sandbox.env.items()), *command)


def _bubblewrap(sandbox: Sandbox) -> list[str]:
    # fmt: off
    words = [
        "bwrap",
        "--die-with-parent", "--unshare-pid", "--unshare-ipc",
        "--cap-add", "ALL", # BPF, tracing and dropping caches; bubblewrap would drop them
        "--ro-bind", sandbox.root, "/",
        "--proc", "/proc", "--dev", "/dev", "--bind", "/sys", "/sys",
        "--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/usr/lib/modules",
        "--clearenv",
        "--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin",
        "--setenv", "HOME", "/tmp",
        "--setenv", "LANG", "C.UTF-8",
        "--chdir", sandbox.workdir,
    ]
    # fmt: on
    words += ["--unshare-net"] if sandbox.own_network else []
    for bind in sandbox.binds:
        words += ["--bind" if bind.writable else "--ro-bind", bind.host, bind.inside]
    for target, path in sandbox.symlinks:
        words += ["--symlink", target, path]
    for name, value in sandbox.env.items():
        words += ["--setenv", name, value]
    return words
