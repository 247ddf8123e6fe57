# SPDX-License-Identifier: Apache-2.0
"""What is at hand of a campaign on a cluster while it goes on: RUN/live.json, and RUN/live.html for a browser."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bpfbench.cluster.ledger import Ledger, OwnBlock
from bpfbench.codec import to_json
from bpfbench.model.live import LIVE_FORMAT, Live, LiveHost
from bpfbench.report.documents import live as documents
from bpfbench.report.write import plain
from bpfbench.store import write_whole

EVERY_S = 2
"""How often the page loads itself again, and how often both are written."""


@dataclass(slots=True)
class HostNow:
    """What is known of a host."""

    ready: bool = False
    """It is there, and has said what it has of the run."""
    asked_s: float | None = None
    """When it was asked for that."""
    task: str | None = None
    block: OwnBlock | None = None
    """That it has."""
    begun: frozenset[int] = frozenset()
    """Blocks that it has begun before."""
    away_s: float | None = None
    """Since when it is away."""
    given_up: str = ""
    """Why it is not waited for any more; it may still come back."""
    unfit: str = ""
    """Why it is not to be used any more."""
    rest_s: float = 0.0
    """It is left alone until then."""
    trial: str = ""
    step: str = ""
    since_s: float = 0.0
    """Of the step, since the epoch."""


def picture(
    ledger: Ledger,
    hosts: Mapping[str, HostNow],
    scheduler: str,
    dashboard: str | None,
    said: tuple[str, ...],
    *,
    ended: bool,
) -> Live:
    """Return how it is going."""
    planned, done = Counter[str](), Counter[str]()
    for block in ledger.blocks.values():
        planned[block.host] += len(block.trials)
        done[block.host] += len(block.trials) - len(block.left)

    def row(host: str) -> LiveHost:
        now = hosts.get(host, HostNow())
        away = now.away_s is not None or now.unfit
        state = "away" if away else "running" if now.task else "done" if done[host] == planned[host] else "waiting"
        left_s = ledger.left_s(host)
        return LiveHost(
            host, state, now.trial, now.step, now.since_s, done[host], planned[host], ledger.failed[host], left_s
        )

    return Live(
        format=LIVE_FORMAT,
        at_s=time.time(),
        run=ledger.run.info.id,
        scheduler=scheduler,
        dashboard=dashboard,
        ended=ended,
        left_s=ledger.all_left_s(),
        hosts=tuple(map(row, sorted(planned))),
        said=said,
    )


def write(folder: Path, live: Live) -> None:
    """Write both, each whole or not at all."""
    page = plain.text(documents.document(live, time.time()), f"bpfbench {live.run}", None if live.ended else EVERY_S)
    for name, text in (("live.json", to_json(live)), ("live.html", page)):
        write_whole(folder / name, text)
