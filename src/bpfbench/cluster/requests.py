# SPDX-License-Identifier: Apache-2.0
"""What the controller asks of a host besides blocks, and what is done there to answer; each takes a moment."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bpfbench.cluster import code, spool
from bpfbench.errors import MachineError
from bpfbench.machine import facts
from bpfbench.run.stage import VENUES
from bpfbench.testbed import image as images

Asked = Mapping[str, Any]
"""What it is about."""


def hello(cache: Path, host: str, asked: Asked) -> dict[str, Any]:
    """Say who this is: what could be in the way of measuring here, and whether the image with its packages is there.

    Raises:
        MachineError: another version of bpfbench, or the machine lacks something.
    """
    code.require(str(asked["code"]))
    VENUES[str(asked["below"])].check()
    cache.mkdir(parents=True, exist_ok=True)
    key, parts = asked.get("image"), tuple(map(str, asked.get("parts", ())))
    return {
        "host": host,
        "node": platform.node(),
        "kernel": platform.release(),
        "cpus": len(os.sched_getaffinity(0)),
        "boot_id": facts.boot_id(),
        "now_s": time.time(),
        "running": ", ".join(f"block {each.path.name} of {each.path.parent.name}" for each in spool.running(cache)),
        "image": key is not None and images.with_key(cache, str(key), parts) is not None,
    }


def blocks(cache: Path, _: str, asked: Asked) -> dict[str, Any]:
    """Say which blocks of a run are here: that still run, or have ended."""
    found = list(spool.of_run(cache, str(asked["run"])))
    return {each.path.name: {"running": each.runner() is not None} for each in found}


def stop(cache: Path, _: str, asked: Asked) -> dict[str, Any]:
    """End what runs here of a run, at once; what is finished is kept."""
    for each in spool.of_run(cache, str(asked["run"])):
        each.stop()
    return {}


def forget(cache: Path, _: str, asked: Asked) -> dict[str, Any]:
    """Delete the spools of blocks that the controller has all of."""
    for block in asked["blocks"]:
        spool.forget(cache, str(asked["run"]), int(block))
    return {}


KINDS: dict[str, Callable[[Path, str, Asked], dict[str, Any]]] = {
    "hello": hello,
    "blocks": blocks,
    "stop": stop,
    "forget": forget,
}


def answer(cache: Path, host: str, kind: str, asked: Asked) -> dict[str, Any]:
    """Answer a request.

    Raises:
        MachineError: there is no such, or this machine lacks something.
    """
    if kind not in KINDS:
        raise MachineError(f"{kind!r} is nothing that a host is asked")
    return KINDS[kind](cache, host, asked)
