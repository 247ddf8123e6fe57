# SPDX-License-Identifier: Apache-2.0
"""What a virtual machine's disks are files of. All but the data disk have no name: nothing can leave them behind."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from bpfbench.catalogue import PACKAGE
from bpfbench.errors import MachineError
from bpfbench.machine import command

MOST_BROUGHT_BYTES = 256 * 2**20
"""The largest folder of a tracer that a study brings, or of a target: it goes into the guest's memory."""


def inherited(file: IO[bytes]) -> str:
    """Return the path under which a process that inherits `file` can open it."""
    return f"/dev/fd/{file.fileno()}"


def code(tracers: Path, brought: Mapping[str, Path], directory: Path) -> IO[bytes]:
    """Pack what is not in the image's root: ourselves, the tracers, and by setup the folders of those a study brings.

    Raises:
        MachineError: a folder is too large for a guest's memory.
    """
    for setup, folder in brought.items():
        size = sum(path.lstat().st_size for path in folder.rglob("*"))
        if size > MOST_BROUGHT_BYTES:
            what = setup.replace("+", " of ", 1) if "+" in setup else f"setup {setup}"
            raise MachineError(
                f"{what}: {folder} has {size // 2**20} MiB, and all of it would go into the virtual machine",
                f"give it a folder of at most {MOST_BROUGHT_BYTES // 2**20} MiB, or choose --testbed host",
            )
    file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.add(PACKAGE, "src/bpfbench", filter=_ours)
        archive.add(tracers, "tracers", filter=_owned_by_root)
        for setup, folder in brought.items():
            archive.add(folder, f"run/setups/{setup}", filter=_owned_by_root)
    file.flush()
    return file


def _ours(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if Path(entry.name).name == "__pycache__" else _owned_by_root(entry)


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def overlay(backing: Path, directory: Path) -> IO[bytes]:
    """Make a disk that begins as `backing`, which is not changed by what is written to it.

    Raises:
        MachineError: it could not be made.
    """
    file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - the caller closes it
    # fmt: off
    argv = (
        "qemu-img", "create", "-q", "-f", "qcow2",
        "-b", str(backing.resolve()), "-F", "raw", inherited(file),
    )
    # fmt: on
    finished = command.run(argv, pass_fds=(file.fileno(),))
    if finished.status != 0:
        file.close()
        raise MachineError(f"an overlay of {backing} cannot be made: {finished.last_words}")
    return file


def scratch(size: int, directory: Path) -> IO[bytes]:
    """Make an empty disk that holds `size` bytes and takes no room before it is written to."""
    file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - the caller closes it
    file.truncate(with_spare(size))
    return file


def data_disk(data_dir: Path, host: str, size: int) -> Path:
    """Return where the disk is that keeps `size` bytes of data files of a host, whether it is there or not."""
    return data_dir / "vm" / f"{host}-{size // 2**20}MiB.raw"


def make_data_disk(data_dir: Path, host: str, size: int) -> Path:
    """Return the disk that keeps the data files of a host, there now; the guest repairs or formats it if need be."""
    path = data_disk(data_dir, host, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "ab") as file:  # noqa: PTH123
        file.truncate(with_spare(size))
    return path


SPARE_BYTES = 256 * 2**20
"""Of every disk, for what the file system keeps for itself, besides a twentieth."""


def with_spare(size: int) -> int:
    """Return how large a disk must be that holds `size` bytes, in whole MiB."""
    return -(-(size * 21 // 20 + SPARE_BYTES) // 2**20) * 2**20
