# SPDX-License-Identifier: Apache-2.0
"""The scheduler's process: Dask's own, with what it serves cut down to what tasks of ours need."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path

from distributed import Scheduler

from bpfbench.cluster import guard, settings
from bpfbench.errors import MachineError
from bpfbench.store import write_whole

SERVED = frozenset(
    {
        "identity",
        "connection_stream",
        "register-client",
        "register-worker",
        "heartbeat_worker",
        "unregister",
        "versions",
    }
)
"""What it is asked for. All else (run_function, broadcast, plugins, dumps to files …) is not there."""

DASHBOARD = "127.0.0.1:0"
"""Where Dask's own pages are: they know no certificates, so on this machine alone."""


def serve(
    listen: str,
    port: int,
    certificates: Path | None,
    *,
    insecure: bool = False,
    said: Path | None = None,
    dashboard: str = DASHBOARD,
) -> None:
    """Be the scheduler of a cluster, until ended.

    Args:
        listen: the address to listen at.
        port: 0: any.
        certificates: a directory of them; None: without, on the loopback interface.
        insecure: whether to do without on a network.
        said: a file that gets its address, process and dashboard, in JSON, once it listens.
        dashboard: where Dask's own pages are.

    Raises:
        MachineError: it may not, or cannot, listen there.
    """
    protocol = "tls" if certificates else "tcp"
    keys = settings.security(certificates, f"{protocol}://{listen}:{port}", insecure=insecure)
    settings.apply()
    guard.only(guard.OF_A_TASK)
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)

    async def run() -> None:
        scheduler = Scheduler(
            host=listen, port=port, protocol=protocol, security=keys, dashboard=True, dashboard_address=dashboard
        )
        for name in set(scheduler.handlers) - SERVED:
            del scheduler.handlers[name]
        async with scheduler:
            if said:
                pages = f"http://{dashboard.rpartition(':')[0]}:{scheduler.http_server.port}/status"
                about = {"address": scheduler.address, "pid": os.getpid(), "dashboard": pages}
                write_whole(said, json.dumps(about))
            await scheduler.finished()

    try:
        asyncio.run(run())
    except RuntimeError as error:  # Dask's, around what went wrong
        raise MachineError(f"{protocol}://{listen}:{port}: {error.__cause__ or error}") from None
