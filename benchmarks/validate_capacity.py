#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates the capacity model: the paper's writes from its reads, and runs' held-out trials from their reads.

    python benchmarks/validate_capacity.py [RUN]

RUN is a run directory with read trials of 4 processes without a limit and others: write, mixed, 1 process, --rate-iops.
Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bpfbench import store
from bpfbench.analysis import table
from bpfbench.analysis.capacity import is_steady
from bpfbench.analysis.capacity_check import HeldOut, hold_out, predict_paper_writes
from bpfbench.report.wording import limit


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?")
    given = parser.parse_args()
    print("| the paper's writes | drains, events/s | predicted % | printed % | error, points |")
    print("| --- | ---: | ---: | ---: | ---: |")
    cells = predict_paper_writes()
    for cell in cells:
        at_least, at_most = ("" if cell.limited else ">= "), ("<= " if cell.is_bound else "")
        print(
            f"| {cell.tool}, {cell.setup} | {at_least}{cell.drain_per_s:.0f} | {cell.predicted:.2f} | "
            f"{at_most}{cell.measured:.2f} | {cell.error:+.2f} |"
        )
    print(_errors(cell.error for cell in cells))
    if given.run is None:
        return
    print("\n| held out | event, B | offered, events/s | predicted % | by CPU % | measured % | error, points | n |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    known = hold_out(table.load(store.Run(given.run)), _learnt_from)
    for held in sorted(known, key=lambda item: (*_kind(item), item.tracer.setup)):
        by_cpu = "-" if held.predicted_by_cpu is None else f"{held.predicted_by_cpu:.1f}"
        print(
            f"| {held.workload}, {held.processes} processes{limit(held.rate_iops)}: {held.tracer.setup} | "
            f"{held.tracer.event_bytes} | "
            f"{held.rate_per_s:.0f} | {held.predicted:.1f} | {by_cpu} | {held.measured:.1f} | "
            f"{held.error:+.1f} | {held.n} |"
        )
    print(_errors(held.error for held in known))
    given_cpu = (held.predicted_by_cpu - held.measured for held in known if held.predicted_by_cpu is not None)
    print("Given the CPU time the tracer had:", _errors(given_cpu).strip())
    for kind in sorted({_kind(held) for held in known}):
        workload, processes, steady, size = kind
        what = f"{workload}, {processes} processes, {size} B{', limited' if steady else ''}"
        print(f"{what}:", _errors(held.error for held in known if _kind(held) == kind).strip())


def _learnt_from(trial: Mapping[str, Any]) -> bool:
    return trial["workload"] == "read" and trial["processes"] == 4 and not is_steady(trial)


def _kind(held: HeldOut) -> tuple[str, int, bool, int]:
    return held.workload, held.processes, held.rate_iops is not None, held.tracer.event_bytes


def _errors(found: Iterable[float]) -> str:
    errors = sorted(map(abs, found))
    within = sum(error <= 5 for error in errors)
    return (
        f"\n{within} of {len(errors)} within 5 points; median {statistics.median(errors):.1f}, worst {errors[-1]:.1f}."
    )


if __name__ == "__main__":
    main()
