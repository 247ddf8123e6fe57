# SPDX-License-Identifier: Apache-2.0
"""A host's own end of `cluster up`, `status` and `down`: its worker begun and ended, and what there is told.

Run there by SSH, as `bpfbench cluster node VERB`; it answers in JSON. The worker is a service (machine/service.py), and
the blocks that run are processes of their own (block.py), which are ended here, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bpfbench import catalogue
from bpfbench.cluster import code, spool
from bpfbench.errors import MachineError
from bpfbench.machine import service
from bpfbench.testbed import image as images

END_S = 30.0
"""How long a block may take to end."""


def state(cache: Path) -> dict[str, Any]:
    """Say what there is of bpfbench's on this host."""
    worker = service.running(lock(cache))
    built = images.built(cache)
    return {
        "code": code.digest(),
        "worker": None if worker is None else {"pid": worker.pid, **worker.about},
        "images": {image.key: [kernel.name for kernel in images.boot_layers(cache, image)[1]] for image in built},
        "parts": {image.key: image.parts for image in built},
        "blocks": [f"{each.path.parent.name}/{each.path.name}" for each in spool.running(cache)],
    }


def begin(cache: Path, scheduler: str, name: str, certificates: Path, mark: str) -> dict[str, Any]:
    """Have a worker of this cluster on this host; one that was begun otherwise is ended first.

    Args:
        cache: bpfbench's cache directory.
        scheduler: its address.
        name: what this host is called.
        certificates: a directory of them.
        mark: changes when the certificates do.

    Raises:
        MachineError: the host is another cluster's.
    """
    about = {"scheduler": scheduler, "name": name, "code": code.digest(), "mark": mark}
    there = service.running(lock(cache))
    if there is not None and there.about.get("scheduler") not in (scheduler, None):
        raise MachineError(
            f"it is a worker of {there.about['scheduler']} already",
            "a host belongs to one cluster: `bpfbench cluster down` of that one lets it go",
        )
    begun = there is None or there.about != about
    if begun:
        service.end(lock(cache))
        argv = (
            *(sys.executable, "-m", "bpfbench", "cluster", "worker", "--scheduler", scheduler, "--name", name),
            *("--certificates", str(certificates), "--cache", str(cache)),
        )
        service.begin(lock(cache), argv, cache / "cluster" / "worker.log", about, environment(cache))
    return {"begun": begun, **state(cache)}


def end(cache: Path) -> dict[str, Any]:
    """End the worker, and the blocks that run, which keep what is finished."""
    ended = service.end(lock(cache))
    running = spool.running(cache)
    for each in running:
        each.stop()
    until_s = time.monotonic() + END_S
    while (left := spool.running(cache)) and time.monotonic() < until_s:
        time.sleep(0.1)
    for each in left:
        if pid := each.runner():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return {"worker": ended, "blocks": len(running)}


def lock(cache: Path) -> Path:
    """Return the file that a host's worker holds."""
    return cache / "cluster" / "worker.lock"


def environment(cache: Path) -> Mapping[str, str]:
    """Return the environment of a service of ours, in which it finds this very code and these packages."""
    path = [str(catalogue.PACKAGE.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "BPFBENCH_CACHE": str(cache)}
