# SPDX-License-Identifier: Apache-2.0
"""How a campaign on many hosts is going, host by host."""

from __future__ import annotations

from collections.abc import Iterator

from bpfbench.model.live import Live, LiveHost
from bpfbench.report.document import ABSENT, Block, Bullets, Document, Heading, Paragraph, table
from bpfbench.units import duration, plural

STALE_S = 15.0
"""Without news for longer, nobody is attending."""
SHOWN = 50
"""So many hosts are shown one by one; those that need an eye come first."""
ORDER = ("away", "running", "waiting", "done")


def document(live: Live, now_s: float) -> Document:
    """Say how it is going, now."""
    return tuple(_blocks(live, now_s))


def _blocks(live: Live, now_s: float) -> Iterator[Block]:
    yield Heading(f"{live.run}: {live.done} of {live.planned} trials done")
    stale_s = now_s - live.at_s
    if live.ended:
        yield Paragraph("It has ended.")
    elif stale_s > STALE_S:
        yield Paragraph(f"Nobody has attended to it for {duration(stale_s)}; hosts end what they are at.", "warning")
    else:
        side_by_side = plural(len(live.hosts), "host")
        failed = f"; failed or invalid so far: {live.failed}" if live.failed else ""
        yield Paragraph(f"About {duration(live.left_s)} left on {side_by_side}{failed}.")
    hosts = sorted(live.hosts, key=lambda host: (ORDER.index(host.state), host.name))
    header = ("host", "state", "trial", "step", "for", "done", "failed", "left")
    yield table(header, [_row(host, now_s) for host in hosts[:SHOWN]], texts=4)
    if len(hosts) > SHOWN:
        yield Paragraph(f"And {plural(len(hosts) - SHOWN, 'host')} more.")
    yield Bullets(live.said)
    if live.dashboard and not live.ended:
        yield Paragraph(f"Dask's own pages, on the scheduler's machine: {live.dashboard}", "fine")


def _row(host: LiveHost, now_s: float) -> tuple[str, ...]:
    at_it = host.state in ("running", "away")
    return (
        host.name,
        host.state,
        host.trial or ABSENT,
        host.step or ABSENT,
        duration(max(0.0, now_s - host.since_s)) if at_it else ABSENT,
        f"{host.done} of {host.planned}",
        str(host.failed),
        duration(host.left_s) if host.left_s else ABSENT,
    )
