# SPDX-License-Identifier: Apache-2.0
"""How fast each library's user space drains the ring: events saved per second while the ring overflows.

    sudo .venv/bin/bpfbench run benchmarks/drain.toml --run-dir drain
    .venv/bin/python benchmarks/drain.py drain

Where the ring overflows, it is full when fio ends, so what was drained while fio ran is what was saved less what a full
ring holds; the rate is that over fio's runtime. Where less than 5 % of the events were lost, the tracer was not busy
throughout: the rate is that at which events came, and only a lower bound (`>=`).
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from pathlib import Path

from bpfbench.model import EVENT_BYTES, Record, Status
from bpfbench.store import Run

SATURATED_LOSS = 0.05
HEADER_BYTES = 8
"""Of each record in a BPF ring buffer, which is then rounded up to 8; BPF_RINGBUF_HDR_SZ in the kernel's bpf.h."""


def rate(record: Record) -> tuple[float, bool]:
    """Return events per second, and whether the tracer was saturated."""
    fio, summary, config = record.fio, record.summary, record.trial.config
    if fio is None or summary is None or config is None or config.ringbuf_bytes is None:
        raise SystemExit(f"{record.trial.id} has no numbers")
    saturated = summary.lost_total >= SATURATED_LOSS * summary.intercepted_total
    slot_bytes = -(-(HEADER_BYTES + EVENT_BYTES + (config.payload_bytes or 0)) // 8) * 8
    in_ring = config.ringbuf_bytes // slot_bytes if saturated else 0
    return (summary.saved - in_ring) / fio.runtime_s, saturated


def main() -> None:
    """Print a table of the run named on the command line."""
    cells: dict[tuple[str, str, str], list[tuple[float, bool]]] = defaultdict(list)
    for record in Run(Path(sys.argv[1])).records():
        config = record.trial.config
        if config and record.status is Status.OK:
            event = "156 B" if config.payload_bytes is None else f"{156 + config.payload_bytes} B"
            cells[event, config.format, record.trial.setup].append(rate(record))
    print(f"{'event':8} {'format':8} {'setup':10} {'n':>2} {'k events/s':>12} {'SD':>8}")
    for (event, form, setup), rates in sorted(cells.items()):
        values = [value / 1000 for value, _ in rates]
        mark = "" if all(saturated for _, saturated in rates) else ">="
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        text = f"{mark}{statistics.fmean(values):.1f}"
        print(f"{event:8} {form:8} {setup:10} {len(values):2d} {text:>12} {spread:8.1f}")


if __name__ == "__main__":
    main()
