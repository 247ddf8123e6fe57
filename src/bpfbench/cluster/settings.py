# SPDX-License-Identifier: Apache-2.0
"""What we set of Dask's, all in one place, each for a reason. docs/cluster.md has the table.

A measured host should have as little as possible of ours awake; a cut of a minute is to be sat out; and nothing that a
task does may be repeated by Dask on its own account, as a block belongs to its host.
"""

from __future__ import annotations

import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dask
from distributed.security import Security

from bpfbench.errors import MachineError
from bpfbench.units import duration

LOST_S = 120
"""A connection that is silent for so long is lost; no record with it, as hosts keep them until they are fetched."""
CLOCK_S = 60.0
"""A clock that is off by more is told of."""

SETTINGS: dict[str, Any] = {
    # How often a task may see its worker die before Dask gives it up, which counts as one failure of the block on that
    # host. A block outlives its worker (block.py), and who comes back goes on with it: no block kills its worker.
    "distributed.scheduler.allowed-failures": 3,
    # A worker that is silent for so long is taken for gone.
    "distributed.scheduler.worker-ttl": "5 minutes",
    # Blocks belong to their hosts: nobody steals them.
    "distributed.scheduler.work-stealing": False,
    # Nothing is kept in several places, so there is nothing to balance.
    "distributed.scheduler.active-memory-manager.start": False,
    # Events are kept in memory for whoever subscribes too late, by topic. Ours hold whole records, and hosts have them.
    "distributed.admin.low-level-log-length": 20,
    "distributed.admin.log-length": 1000,
    "distributed.comm.timeouts.tcp": f"{LOST_S}s",
    "distributed.comm.timeouts.connect": "30s",
    "distributed.comm.retry.count": 3,
    # Records are compressed by us.
    "distributed.comm.compression": False,
    # Whatever samples a worker 100 times a second would be part of what is measured.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.system-monitor.log-length": 60,
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "30s",
    "distributed.worker.memory.monitor-interval": "30s",
    # Neither what a worker keeps nor what it takes of memory is ever much: nothing is spilled, paused or ended by that.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    # The worker restarts itself; what Dask would preload is none of ours.
    "distributed.scheduler.preload": [],
    "distributed.worker.preload": [],
    "distributed.client.preload": [],
}

CA, CERTIFICATE, KEY = "ca.pem", "node.pem", "node.key"
"""What a directory of certificates holds."""


def clock(now_s: float) -> str | None:
    """Return what is to be said of a clock that shows this time now, in seconds; None: it is right enough."""
    off_s = abs(now_s - time.time())
    if off_s <= CLOCK_S:
        return None
    return f"its clock is off by {duration(off_s)}; nothing depends on it but the times in its records"


def apply() -> None:
    """Set what we set. Before anything of Dask's is made."""
    dask.config.set(SETTINGS)


def _is_own(host: str) -> bool:
    """Tell whether an address is this machine's own; a name may begin like one, and be anybody's."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def security(certificates: Path | None, address: str, *, insecure: bool = False) -> Security:
    """Return the keys that a connection to, or at, an address is made with.

    Args:
        certificates: a directory of them; None: none.
        address: of the scheduler, such as tls://10.0.0.1:8786.
        insecure: whether to do without on a network.

    Raises:
        MachineError: there are none, and the address is not this machine's own; or they are not all there.
    """
    if certificates is None:
        if not insecure and not _is_own(address.partition("://")[2].rpartition(":")[0].strip("[]")):
            raise MachineError(
                f"{address}: without certificates, whoever reaches it can run things as root on every host",
                "`bpfbench cluster up` makes certificates (--certificates DIR); or say --insecure",
            )
        return Security(require_encryption=False)
    for name in (CA, CERTIFICATE, KEY):
        if not (certificates / name).is_file():
            raise MachineError(f"{certificates} has no {name}", "`bpfbench cluster up` makes it")
    ours = {f"tls_{role}_{kind}": str(certificates / name) for role in ("scheduler", "worker", "client") for kind, name
            in (("cert", CERTIFICATE), ("key", KEY))}  # fmt: skip
    return Security(tls_ca_file=str(certificates / CA), require_encryption=True, tls_min_version=0x0304, **ours)
