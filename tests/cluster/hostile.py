# SPDX-License-Identifier: Apache-2.0
"""A hostile worker: has a host's name and place, and sends a controller whatever could hurt it. Run as a program."""

from __future__ import annotations

import asyncio
import pickle
import sys
import time
import zlib
from pathlib import Path
from typing import Any

from distributed import get_worker
from distributed.protocol.serialize import ToPickle

from bpfbench.cluster import order, settings, worker
from bpfbench.cluster.order import BlockOrder, Origin
from bpfbench.codec import from_json

MARKS = Path(sys.argv[3])
"""Where it would leave a mark, had it anything run elsewhere than in its own process."""
RECORD = Path(sys.argv[4])
"""The directory of a genuine record."""


class BombError(Exception):
    """Runs something in whatever unpickles it."""

    def __reduce__(self) -> Any:
        return exec, (f"import os; open({str(MARKS)!r} + '/' + str(os.getpid()), 'w')",)


def strike(topic: str, order_json: str, have: Any, refused: Any) -> object:
    """Do what a worker must not, in the place of run_block."""
    mine: Any = get_worker()
    ordered = from_json(BlockOrder, order_json)
    if not ordered.trials:
        return TRUE_RUN_BLOCK(topic, order_json, have, refused)
    trial = ordered.trials[0]
    origin = Origin("beta", "boot", "spool", trial.id)
    genuine = order.pack(ordered.run, ordered.block, origin, RECORD)
    packed = zlib.compress(b"x")
    huge = zlib.compressobj(9)
    bomb = b"".join(huge.compress(bytes(2**20)) for _ in range(70)) + huge.flush()
    for message in (
        {"kind": "record"},
        {"kind": "record", "garbage": b"\xff" * 1000},
        genuine,
        {**genuine, "run": "another"},
        {**genuine, "host": "alpha"},
        {**genuine, "name": "../../../../tmp/climbs"},
        {**genuine, "files": {**genuine["files"], "../../climbs": packed}},
        {**genuine, "files": {**genuine["files"], "/tmp/absolute": packed}},
        {**genuine, "files": {**genuine["files"], "record.json": bomb}},
        {**genuine, "files": {"record.json": zlib.compress(b"[" * 500_000)}},
        {"kind": "news", "block": 10**9, "host": "beta"},
        {"kind": "news", "block": ordered.block, "host": "beta", "trial": "\x1b[2J\n" * 500, "step": "x"},
        {"kind": "end", "block": ordered.block, "host": "alpha", "reason": "it was me"},
        {"kind": "ground", "block": ordered.block, "host": "beta", "ground": "[" * 100_000},
        {"kind": "answer", "nonce": "none", "answer": "{"},
        ["no", "mapping"],
        "text",
    ):
        mine.log_event(topic, message)
    time.sleep(1)  # the scheduler gives up the connection at the next pickle, with all that comes along with it
    mine.log_event("warn", {"message": pickle.dumps(BombError()), "category": pickle.dumps(BombError())})
    mine.log_event("print", {"args": ("from a worker",)})
    mine.loop.add_callback(mine.batched_send, {"op": "log-event", "topic": topic, "msg": ToPickle(BombError())})
    if ordered.block % 2:
        raise BombError
    return BombError()


TRUE_RUN_BLOCK = worker.run_block
worker.run_block = strike  # type: ignore[assignment]
strike.__module__, strike.__qualname__ = "bpfbench.cluster.worker", "run_block"


async def main() -> None:
    """Be a worker, again and again."""
    settings.apply()
    while True:
        here = worker.Here("beta", Path(sys.argv[2]), worker.begin)
        async with worker.made(sys.argv[1], here) as mine:
            await mine.finished()
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main())
