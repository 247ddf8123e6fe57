#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates the capacity model: the paper's writes from its reads, and runs' held-out trials from their reads.

    python benchmarks/validate_capacity.py [RUN]

RUN is a run directory with read trials of 4 processes without a limit and others: write, mixed, 1 process, --rate-iops.
Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bpfbench import catalogue, store
from bpfbench.analysis import results
from bpfbench.analysis.questions.capacity import (
    HeldOut,
    drain_of,
    drain_rates,
    fidelity_percent,
    held_out,
    learnt,
    observe,
)
from bpfbench.analysis.questions.ring_trials import RingTrial, Stream, Target, trials
from bpfbench.analysis.results import Results
from bpfbench.model import BLOCK_BYTES
from bpfbench.report import wording
from bpfbench.units import size

LIMITED_BELOW_PERCENT = 95.0
"""A setup of the paper that saved less was limited by its drain rate; of the others it is known from below only."""


LIKE = "as `bpfbench run quick --workloads read` has them"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?")
    given = parser.parse_args()
    run = None if given.run is None else results.load(store.Run(given.run))
    if run is not None and len({_learnt_from(trial) for trial in trials(run)}) < 2:
        parser.exit(2, f"{given.run}: wanted are read trials of 4 processes without a limit, and others: {LIKE}\n")
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
    if run is None:
        return
    print("\n| held out | event, B | offered, events/s | predicted % | by CPU % | measured % | error, points | n |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    known = hold_out(run, _learnt_from)
    known_by_cpu = {(held.tracer, held.target): held for held in hold_out_by_cpu(run, _learnt_from)}
    for held in sorted(known, key=lambda item: (*_kind(item), item.tracer.setup)):
        found = known_by_cpu.get((held.tracer, held.target))
        by_cpu = "-" if found is None else f"{found.predicted:.1f}"
        limit = wording.clauses(held.target.work)
        print(
            f"| {held.target.workload}, {held.target.processes} processes{limit}: "
            f"{held.tracer.setup}, {_configured(held)} | "
            f"{held.tracer.event_bytes} | "
            f"{held.rate_per_s:.0f} | {held.predicted:.1f} | {by_cpu} | {held.measured:.1f} | "
            f"{held.error:+.1f} | {held.n} |"
        )
    print(_errors(held.error for held in known))
    given_cpu = (held.predicted - held.measured for held in known_by_cpu.values())
    print("Given the CPU time the tracer had:", _errors(given_cpu).strip())
    for kind in sorted({_kind(held) for held in known}):
        workload, processes, steady, event_bytes = kind
        what = f"{workload}, {processes} processes, {event_bytes} B{', limited' if steady else ''}"
        print(f"{what}:", _errors(held.error for held in known if _kind(held) == kind).strip())
    for configured in sorted({_configured(held) for held in known}):
        print(f"{configured}:", _errors(held.error for held in known if _configured(held) == configured).strip())


def hold_out(run: Results, known: Callable[[RingTrial], bool]) -> tuple[HeldOut, ...]:
    """Predict the trials for which `known` is false from those for which it is true, given their event rates alone."""
    found = trials(run)
    return held_out(learnt(filter(known, found)), (trial for trial in found if not known(trial)))


def hold_out_by_cpu(run: Results, known: Callable[[RingTrial], bool]) -> tuple[HeldOut, ...]:
    """Predict the same given the CPU time that the tracer had, too: what is left of the error if that is known.

    A tracer with the share s of a CPU meets a rate R as one with a CPU to itself meets R / s.
    """
    found = trials(run)
    observed = [own for trial in found if known(trial) and (own := observe(trial)) is not None]
    alone = [replace(own, events_per_s=own.events_per_s / own.cpu_share) for own in observed if own.cpu_share]
    rest = (
        replace(trial, rate_per_s=trial.rate_per_s / trial.cpu_share, peak_per_s=trial.peak_per_s / trial.cpu_share)
        for trial in found
        if not known(trial) and trial.cpu_share
    )
    return held_out(drain_rates(alone), rest)


def _learnt_from(trial: RingTrial) -> bool:
    return trial.target == Target("read", 4, None)


def _kind(held: HeldOut) -> tuple[str, int, bool, int]:
    return held.target.workload, held.target.processes, held.target.steady, held.tracer.event_bytes


def _configured(held: HeldOut) -> str:
    return f"{held.tracer.format}, ring {size(held.tracer.ringbuf_bytes)}"


def _errors(found: Iterable[float]) -> str:
    errors = sorted(map(abs, found))
    within = sum(error <= 5 for error in errors)
    return (
        f"\n{within} of {len(errors)} within 5 points; median {statistics.median(errors):.1f}, worst {errors[-1]:.1f}."
    )


@dataclass(frozen=True, slots=True)
class PaperWrite:
    """What a setup of the paper saves of its writes, predicted from its reads, beside what is printed. In per cent."""

    setup: str
    tool: str
    drain_per_s: float
    """By the share saved while reading, at vanilla's rate."""
    limited: bool
    """False: reading did not take all of the drain rate, so that it is at least this."""
    predicted: float
    measured: float
    """Printed; where the paper prints a bound for several setups, the bound."""
    is_bound: bool

    @property
    def error(self) -> float:
        """In percentage points; against a bound, how far beyond it."""
        error = self.predicted - self.measured
        return max(0.0, error) if self.is_bound else error


def predict_paper_writes() -> tuple[PaperWrite, ...]:
    """Predict the paper's write results from its read results, with the numbers of data/paper.toml alone.

    The runtime of a setup's writes is vanilla's times the factor the paper prints for it, the lower end of a bound;
    that of its reads is vanilla's, which no setup exceeded by more than 2.4 %.
    """
    paper = catalogue.paper()
    fio = paper["fio"]
    events = fio["processes"] * fio["size_per_process_gib"] * 2**30 / BLOCK_BYTES
    return tuple(_paper_writes(paper, events))


def _paper_writes(paper: Mapping[str, Any], events: float) -> Iterator[PaperWrite]:
    read_s, write_s = (paper["vanilla"][workload]["runtime_s"]["mean"] for workload in ("read", "write"))
    for tool, percents in paper["read"]["saved_percent"].items():
        counts, printed = paper["read"]["saved_events"][tool], paper["write"]["saved_percent"][tool]
        for setup, percent in percents.items():
            limited = percent < LIMITED_BELOW_PERCENT
            share = counts.get(setup, percent / 100 * events) / events
            drain = drain_of(share, events / read_s, steady=False)
            duration_s = write_s * _write_factor(paper, tool, setup)
            yield PaperWrite(
                setup=setup,
                tool=tool,
                drain_per_s=drain,
                limited=limited,
                predicted=fidelity_percent(drain, Stream(events / duration_s, steady=False)),
                measured=printed.get(setup, printed.get("others_at_most", math.nan)),
                is_bound=setup not in printed,
            )


def _write_factor(paper: Mapping[str, Any], tool: str, setup: str) -> float:
    """Return what the paper prints of a setup's runtime over vanilla's in writes; of a bound, the lower end."""
    printed = paper["write"]["factor_over_vanilla"][tool]["runtime_s"]
    found = printed.get(setup, printed.get("others_at_least", 1.0))
    return max(1.0, float(found[0] if isinstance(found, list) else found))


if __name__ == "__main__":
    main()
