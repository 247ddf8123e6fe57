# SPDX-License-Identifier: Apache-2.0
"""Where a cluster's scheduler is, and what is needed to reach it. Known without Dask."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FILE = "connection.json"
"""Where a run directory keeps by what it was begun; paths, and no keys."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a cluster's scheduler is, and what is needed to reach it."""

    scheduler: str
    """Its address, such as tls://10.0.0.1:8786."""
    certificates: Path | None = None
    """A directory of them; None: none."""
    insecure: bool = False
    """Whether to do without them on a network."""


def keep(run_dir: Path, connection: Connection) -> None:
    """Have a run directory say by what it was begun, so that it can be gone on with."""
    certificates = str(connection.certificates.absolute()) if connection.certificates else None
    told = {"scheduler": connection.scheduler, "certificates": certificates, "insecure": connection.insecure}
    (run_dir / FILE).write_text(json.dumps(told) + "\n")


def kept(run_dir: Path) -> Connection | None:
    """Return by what a run was begun, or last gone on with; None where that is not known."""
    try:
        told = json.loads((run_dir / FILE).read_text())
        certificates = Path(told["certificates"]) if told["certificates"] else None
        return Connection(str(told["scheduler"]), certificates, insecure=bool(told["insecure"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
