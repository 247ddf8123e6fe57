# SPDX-License-Identifier: Apache-2.0
"""bpfbench's own code: its digest, by which a worker of another version is told."""

from __future__ import annotations

import functools
import hashlib

from bpfbench import __version__, catalogue
from bpfbench.errors import MachineError


@functools.cache
def digest() -> str:
    """Return a checksum of every file of the package, as it is on this machine."""
    total = hashlib.sha256()
    files = (path for path in catalogue.PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in sorted(files):
        total.update(f"{path.relative_to(catalogue.PACKAGE)}\0{path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    return f"{__version__}-{total.hexdigest()[:16]}"


def require(wanted: str) -> None:
    """Refuse to work for another version of bpfbench.

    Raises:
        MachineError: says both.
    """
    if wanted != digest():
        raise MachineError(
            f"the controller has bpfbench {wanted}, this host {digest()}", "`bpfbench cluster up` brings the right one"
        )
