# SPDX-License-Identifier: Apache-2.0
"""The scheduler's process: Dask's own, with what it serves cut down to what tasks of ours need.

Dask has no roles: it asks a peer's certificate who vouches for it, and not whose it is. Here the name in it counts. A
worker is called as its certificate says, speaks of itself alone, and is no client; a client has our own name.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distributed import Scheduler

from bpfbench.cluster import certificates as issued
from bpfbench.cluster import guard, settings, worker
from bpfbench.errors import MachineError
from bpfbench.store import write_whole

LOG = logging.getLogger("bpfbench.cluster")

SERVED = frozenset(
    {
        "identity",
        "register-client",
        "register-worker",
        "heartbeat_worker",
        "unregister",
        "versions",
    }
)
"""What it is asked for. All else (run_function, broadcast, plugins, dumps to files …) is not there."""

OF_WORKERS = frozenset(
    {
        "task-finished",
        "task-erred",
        "release-worker-data",
        "add-keys",
        "long-running",
        "reschedule",
        "keep-alive",
        "log-event",
        "worker-status-change",
        "request-refresh-who-has",
    }
)
"""What a worker says of itself on its stream; what else Dask knows is a client's to say."""

DASHBOARD = "127.0.0.1:0"
"""Where Dask's own pages are: they know no certificates, so on this machine alone."""


class _Checked:
    """A connection of which only those messages are read that are not refused."""

    def __init__(self, comm: Any, refusal: Callable[[Any], str | None]) -> None:
        self._comm = comm
        self._refusal = refusal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._comm, name)

    async def read(self) -> list[Any]:
        read = await self._comm.read()
        messages = read if isinstance(read, tuple | list) else (read,)
        return [message for message in messages if not self._refused(message)]

    def _refused(self, message: Any) -> bool:
        why = self._refusal(message)
        if why is not None:
            LOG.warning("refused: of %s: %s", self._comm.peer_address, why)
        return why is not None


class _NamedScheduler(Scheduler):  # type: ignore[misc]
    """Dask's scheduler, which takes its peers for whom their certificates name; without certificates, for anyone."""

    own: str | None = None
    """What the certificate names that it and the controllers have; None: there are none."""

    async def add_worker(self, comm: Any, **about: Any) -> None:
        """Take a worker, if it has the name that it says."""
        name, named = about.get("name"), _named(comm)
        offered = {resource for resource in about.get("resources") or () if resource != "HOST"}
        if self.own is not None and (name != named or offered != {worker.resource(str(name))}):
            why = f"the certificate of host {named} is no good for a worker called {str(name)[:80]}"
            LOG.warning("refused: %s", why)
            await comm.write({"status": "error", "message": why, "time": time.time()})
            return
        await super().add_worker(comm, **about)

    async def add_client(self, comm: Any, **about: Any) -> None:
        """Take a client, if it is a controller."""
        if self.own is not None and _named(comm) != self.own:
            LOG.warning("refused: host %s would be a client", _named(comm))
            comm.abort()
            return
        await super().add_client(comm, **about)

    def of_its_own(self, handler: Any) -> Any:
        """Return a handler of what is said of a worker, which only that one may say."""

        def checked(comm: Any, **about: Any) -> Any:
            there = self.workers.get(about.get("address"))
            if self.own is not None and there is not None and there.name != _named(comm):
                raise ValueError(f"host {_named(comm)} is not {there.name}")
            return handler(**about)

        return checked

    async def handle_stream(self, comm: Any, extra: dict[str, Any] | None = None) -> None:
        """Attend to a worker or a client; who it is, is not its own to say."""
        address = (extra or {}).get("worker")
        name = self.workers[address].name if address and self.own is not None else None

        def refusal(message: Any) -> str | None:
            if not isinstance(message, dict):
                return None
            for key in extra or {}:
                message.pop(key, None)
            if name is None:
                return None
            told = message.get("msg")
            if message.get("op") not in OF_WORKERS | {"close-stream"}:
                return f"host {name} says {str(message.get('op'))[:80]!r}, as a client would"
            if isinstance(told, Mapping) and told.get("host", name) != name:
                return f"host {name} speaks of itself as {str(told.get('host'))[:80]!r}"
            return None

        await super().handle_stream(_Checked(comm, refusal), extra)


def _named(comm: Any) -> str | None:
    """Return whom the certificate of a peer names."""
    subject = (comm.extra_info.get("peercert") or {}).get("subject", ())
    return next((str(value) for part in subject for key, value in part if key == "commonName"), None)


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
        scheduler = _NamedScheduler(
            host=listen, port=port, protocol=protocol, security=keys, dashboard=True, dashboard_address=dashboard
        )
        scheduler.own = issued.name(certificates) if certificates else None
        for name in set(scheduler.handlers) - SERVED:
            del scheduler.handlers[name]
        for name in ("heartbeat_worker", "unregister"):
            scheduler.handlers[name] = scheduler.of_its_own(scheduler.handlers[name])
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
