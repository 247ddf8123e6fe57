# SPDX-License-Identifier: Apache-2.0
"""The worker of a host: Dask's own, and the two functions that are ever submitted to it.

It measures nothing itself. A block is run by a process of its own (block.py); the worker starts that, or comes back to
it, and sends its records as they are finished. A worker that dies takes nothing with it, and the next one goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Worker, get_worker
from distributed.comm import connect
from distributed.core import Status
from distributed.worker import thread_state

from bpfbench import catalogue
from bpfbench.cluster import code, guard, requests, settings, spool
from bpfbench.cluster.order import BlockOrder, pack
from bpfbench.cluster.spool import Spool
from bpfbench.codec import from_json
from bpfbench.errors import BpfbenchError, MachineError

LOG = logging.getLogger("bpfbench.cluster")

LOOK_S = 0.5
"""How often a spool is looked into."""
ATTEMPTS = 3
"""How often the process of a block is started that ends without saying why."""
AGAIN_S = 5.0
"""How long a worker that has lost its scheduler waits before it looks for it again."""

SERVED = frozenset({"identity", "ping"})
"""What it is asked for by who reaches it. All that is to be done comes by the stream from its scheduler."""

EXTENSION = "bpfbench"


@dataclass(frozen=True, slots=True)
class Here:
    """What the functions know of the host they are on."""

    host: str
    cache: Path
    begin: Callable[[Spool, Path], subprocess.Popen[bytes]]
    """Starts the process that runs a spool's block."""


def run_block(topic: str, order_json: str, have: tuple[str, ...], refused: tuple[str, ...]) -> str:
    """Run a block, or come back to it, and send its records as they are finished.

    Args:
        topic: under which the controller listens.
        order_json: a BlockOrder.
        have: records that the controller has, as SPOOL/NAME.
        refused: ids of spools that it wants nothing of.
    """
    worker: Any = get_worker()
    here: Here = worker.extensions[EXTENSION]
    key = thread_state.key

    def post(message: dict[str, Any]) -> None:
        worker.log_event(topic, message)

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status is Status.running and task is not None and task.state == "executing"

    block: int | None = None
    try:
        order = from_json(BlockOrder, order_json)
        block = order.block
        code.require(order.code)
        _attend(here, order, frozenset(have), frozenset(refused), post, wanted)
    except (BpfbenchError, OSError, ValueError) as error:
        reason = error.message if isinstance(error, BpfbenchError) else str(error)
        post({"kind": "end", "block": block, "host": here.host, "spool": "", "names": [], "reason": reason[:2000]})
    return ""


def _attend(
    here: Here,
    order: BlockOrder,
    have: frozenset[str],
    refused: frozenset[str],
    post: Callable[[dict[str, Any]], None],
    wanted: Callable[[], bool],
) -> None:
    """Have a block run to its end, sending what it leaves."""
    found = spool.opened(here.cache, here.host, order, refused)
    origin = found.origin()
    process: subprocess.Popen[bytes] | None = None
    sent: set[str] = set()
    news: Any = None
    told = False
    attempts = 0
    while wanted():
        running = found.runner() is not None or (process is not None and process.poll() is None)
        end = None if running else found.read("end.json")
        if not told and (ground := found.read("facts.json")) is not None:
            post({"kind": "ground", "block": order.block, "host": here.host, "ground": json.dumps(ground)})
            told = True
        for path in found.records():
            if path.name not in sent and f"{origin.spool}/{path.name}" not in have:
                post(pack(order.run, order.block, origin, path))
            sent.add(path.name)
        if end is not None and (end["reason"] is None or attempts):
            names = sorted(sent)
            about = {"block": order.block, "host": here.host, "spool": origin.spool}
            post({"kind": "end", **about, "names": names, "reason": end["reason"]})
            return
        if not running:
            if attempts == ATTEMPTS:
                raise MachineError(f"its process ended {attempts} times without a word; {found.last_words()}")
            attempts += 1
            (found.path / "end.json").unlink(missing_ok=True)
            process = here.begin(found, here.cache)
        elif (latest := found.read("news.json")) is not None and latest != news:
            news = latest
            about = {key: str(latest.get(key, ""))[:200] for key in ("trial", "step")}
            post({"kind": "news", "block": order.block, "host": here.host, **about})
        time.sleep(LOOK_S)


def begin(found: Spool, cache: Path) -> subprocess.Popen[bytes]:
    """Start the process that runs a spool's block; it is nobody's, and ends when the block does."""
    path = os.pathsep.join([str(catalogue.PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    with (found.path / "log.txt").open("ab") as log:
        return subprocess.Popen(
            (sys.executable, "-m", "bpfbench.cluster.block", str(found.path), str(cache)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )


def answer(topic: str, nonce: str, kind: str, text: str) -> str:
    """Answer a request of the controller's, at once.

    Args:
        topic: under which the controller listens.
        nonce: what the answer is known by.
        kind: one of requests.KINDS.
        text: JSON that says what about.
    """
    worker = get_worker()
    here: Here = worker.extensions[EXTENSION]
    message: dict[str, Any] = {"kind": "answer", "nonce": nonce, "host": here.host, "reason": None}
    try:
        message["answer"] = json.dumps(requests.answer(here.cache, here.host, kind, json.loads(text)))
    except (BpfbenchError, OSError, ValueError, KeyError, TypeError) as error:
        message["reason"] = (error.message if isinstance(error, BpfbenchError) else f"{kind}: {error}")[:2000]
    worker.log_event(topic, message)
    return ""


def serve(
    scheduler: str,
    name: str,
    certificates: Path | None,
    cache: Path,
    *,
    insecure: bool = False,
    once: bool = False,
) -> None:
    """Be the worker of a host, until ended; one that loses its scheduler looks for it again.

    Args:
        scheduler: its address, such as tls://10.0.0.1:8786.
        name: what this host is called.
        certificates: a directory of them; None: without.
        cache: bpfbench's cache directory.
        insecure: whether to do without certificates on a network.
        once: end when the scheduler is lost.

    Raises:
        MachineError: it may not be connected to like this.
    """
    keys = settings.security(certificates, scheduler, insecure=insecure)
    settings.apply()
    guard.only(guard.OF_A_TASK)
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)

    async def run() -> None:
        said = ""
        while True:
            try:
                # Dask's worker tries ten times a second, for ever, and does not say why it fails.
                comm = await connect(scheduler, **keys.get_connection_args("worker"))
                await comm.close()
                said = ""
                async with made(scheduler, Here(name, cache, begin), security=keys, death_timeout=None) as worker:
                    await worker.finished()
            except (OSError, ValueError, TimeoutError) as error:
                if str(error) != said:
                    said = str(error)
                    LOG.warning("scheduler %s cannot be joined, and is tried again: %s", scheduler, said)
            if once:
                return
            await asyncio.sleep(AGAIN_S)

    asyncio.run(run())


def made(scheduler: str, here: Here, **options: Any) -> Worker:
    """Return a worker that is one host, not started yet: it offers HOST=1, and a resource of the host's own name.

    Tasks are bound to hosts by that resource, not by Dask's addresses, which change when a worker comes back.
    """
    worker = Worker(
        scheduler,
        name=here.host,
        nthreads=4,
        resources={"HOST": 1, resource(here.host): 1},
        local_directory=str(here.cache / "cluster" / "scratch"),
        memory_limit=0,
        dashboard_address="127.0.0.1:0",
        **options,
    )
    for handler in set(worker.handlers) - SERVED:
        del worker.handlers[handler]
    worker.extensions[EXTENSION] = here
    return worker


def resource(host: str) -> str:
    """Return the resource that is a host's own."""
    return f"host:{host}"
