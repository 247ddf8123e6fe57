# SPDX-License-Identifier: Apache-2.0
"""Where a cluster's scheduler is, and what is needed to reach it. Known without Dask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a cluster's scheduler is, and what is needed to reach it."""

    scheduler: str
    """Its address, such as tls://10.0.0.1:8786."""
    certificates: Path | None = None
    """A directory of them; None: none."""
    insecure: bool = False
    """Whether to do without them on a network."""
