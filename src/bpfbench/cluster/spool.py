# SPDX-License-Identifier: Apache-2.0
"""The spool: where a host keeps a block that it was ordered to run, until the controller has all of it.

    CACHE/cluster/spools/RUN/BLOCK/order.json    what was ordered
    CACHE/cluster/spools/RUN/BLOCK/spool.json    its id, host and boot
    CACHE/cluster/spools/RUN/BLOCK/run/          a run directory, of this block alone
    CACHE/cluster/spools/RUN/BLOCK/facts.json    the ground it is run on, once that is open
    CACHE/cluster/spools/RUN/BLOCK/news.json     what it is at
    CACHE/cluster/spools/RUN/BLOCK/end.json      how it ended
    CACHE/cluster/spools/RUN/BLOCK/log.txt       what was said and run
    CACHE/cluster/spools/RUN/BLOCK/lock          held by the process that runs it, with its number

Whoever comes back to it, be it another worker after the first was killed, finds what is done and goes on from there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bpfbench.cluster.order import BlockOrder, Origin
from bpfbench.codec import from_json, to_json
from bpfbench.errors import MachineError
from bpfbench.machine import facts
from bpfbench.store import write_whole

KEPT_DAYS = 14
"""For so long a spool is kept that nobody asks for."""
END_S = 20.0
"""How long the process of a block may take to end when it is told to."""
SURVEY = "survey"
"""What the block is called that has no trials: it only opens the ground, and says what that is."""


class Spool:
    """One block on this host."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_dir = path / "run"

    def order(self) -> BlockOrder:
        """Return what was ordered."""
        return from_json(BlockOrder, (self.path / "order.json").read_bytes())

    def origin(self) -> Origin:
        """Return what its records say they are from."""
        return from_json(Origin, (self.path / "spool.json").read_bytes())

    def records(self) -> Iterator[Path]:
        """Yield the directories of finished records, warm-ups too."""
        for kind in ("warm-ups", "trials"):
            folder = self.run_dir / kind
            if folder.is_dir():
                yield from sorted(folder.iterdir())

    def read(self, name: str) -> Any:
        """Return what one of its JSON files says; None where there is none."""
        try:
            return json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return None

    def write(self, name: str, data: Any) -> None:
        """Write one of its JSON files, whole or not at all."""
        write_whole(self.path / name, json.dumps(data) + "\n")

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Hold it as the one process that runs it; false where another does."""
        with (self.path / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield True

    def runner(self) -> int | None:
        """Return the process that runs it now; None without one."""
        try:
            with (self.path / "lock").open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0)
        except FileNotFoundError:
            pass
        return None

    def stop(self) -> None:
        """Ask the process that runs it, if any, to end at once; it keeps what is finished."""
        if pid := self.runner():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def end(self) -> None:
        """End the process that runs it, if any, and wait for that."""
        deadline_s = time.monotonic() + END_S
        self.stop()
        while (pid := self.runner()) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def last_words(self) -> str:
        """Return the last line of its log."""
        try:
            lines = (self.path / "log.txt").read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1][:500] if lines else "it said nothing"


def spools(cache: Path) -> Path:
    """Return where spools are, in bpfbench's cache directory of a host."""
    return cache / "cluster" / "spools"


def of_run(cache: Path, run: str) -> Iterator[Spool]:
    """Yield the spools there are of a run."""
    for path in _found(cache, f"{_named(run)}/*/spool.json"):
        yield Spool(path.parent)


def running(cache: Path) -> list[Spool]:
    """Return the spools of blocks that run, of whichever runs."""
    found = (Spool(path.parent) for path in _found(cache, "*/*/spool.json"))
    return [each for each in found if each.runner() is not None]


def opened(cache: Path, host: str, order: BlockOrder, refused: frozenset[str]) -> Spool:
    """Return the spool of a block, begun now unless there is one of this boot that is not refused.

    Args:
        cache: bpfbench's cache directory.
        host: what this host is called.
        order: says which block.
        refused: ids of spools that the controller wants no records of.
    """
    path = spools(cache) / _named(order.run) / (str(order.block) if order.trials else SURVEY)
    spool = Spool(path)
    if (path / "spool.json").exists():
        there = spool.origin()
        same = (there.host, there.boot_id) == (host, facts.boot_id()) and there.spool not in refused
        if same and order.trials == spool.order().trials and order.trials:
            return spool
        spool.end()
        shutil.rmtree(path, ignore_errors=True)
    discard_old(cache)
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    while not partial.exists():
        with contextlib.suppress(FileNotFoundError):  # `forget` took the run's folder just then: it was empty
            partial.mkdir(parents=True, mode=0o700)
    (partial / "order.json").write_text(to_json(order))
    (partial / "spool.json").write_text(json.dumps(asdict(Origin(host, facts.boot_id(), uuid.uuid4().hex))))
    shutil.rmtree(path, ignore_errors=True)
    partial.rename(path)
    return spool


def forget(cache: Path, run: str, block: int) -> None:
    """End what runs of a block, and delete its spool, which the controller has all of, or wants nothing of."""
    path = spools(cache) / _named(run) / (SURVEY if block < 0 else str(block))
    Spool(path).end()
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        (spools(cache) / run).rmdir()


def discard_old(cache: Path) -> None:
    """Delete the spools that nobody has asked for in a long time."""
    long_ago_s = time.time() - KEPT_DAYS * 86400
    for path in _found(cache, "*/*/"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < long_ago_s and Spool(path).runner() is None:
                shutil.rmtree(path, ignore_errors=True)


def _found(cache: Path, pattern: str) -> list[Path]:
    """Return what there is of spools; `forget` may take folders away while they are looked into."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return sorted(spools(cache).glob(pattern))


def _named(run: str) -> str:
    """Refuse the name of a run that is no name of a directory."""
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.@+ -]{0,200}", run):
        raise MachineError(f"{run!r} is no name of a run")
    return run
