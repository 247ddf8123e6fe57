# SPDX-License-Identifier: Apache-2.0
"""What setups save, predicted and measured: a table for each target with a rate of its own, then the drain rates.

Data:

    checked[]   each prediction of what was not looked at: tracer {setup, attach, format, event_bytes, ringbuf_bytes,
                rings, knobs (what else it is set to)},
                target {workload, processes, rate_iops, burst_ios, duty_percent}, rate_per_s and peak_per_s of the
                events offered; in per cent predicted, predicted_from_to (by the least and the greatest drain rate),
                measured, measured_from_to (in single trials); error in points, at_least (the drain rate is known from
                below only, so that too low a prediction is no error), n
    rates[]     what is known of drain rates: tracer, source, events_per_s, observed[], exact, cpu_share
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from bpfbench.analysis.questions.capacity import Capacity, DrainRate, HeldOut
from bpfbench.analysis.questions.ring_trials import Target, Tracer
from bpfbench.analysis.results import in_order
from bpfbench.model import EMULATED_REMARK
from bpfbench.report import wording
from bpfbench.report.about import About
from bpfbench.report.document import ABSENT, Block, Chapter, Document, Paragraph, Table, section, table
from bpfbench.report.numbers import rounded, share
from bpfbench.units import count, size

WITHIN = 5.0
"""Points: what is aimed at."""

NONE = "No tracer with a ring was measured beside a target with a rate of its own: there is nothing to check."
READING = (
    "Predicted: from the rate at which user space empties the ring, learnt without the trials that it is held against; "
    "the ring takes what it holds of a burst. Brackets: by the least and the greatest rate that was observed. ≥: the "
    "ring was never emptied too slowly there, so that more may be saved. Measured: the median of the trials; brackets: "
    "the least and the greatest. docs/capacity.md has the formulas, and where they fail.",
)


def data(found: Capacity) -> dict[str, Any]:
    """Return predictions and drain rates for programs."""
    own = [key.name for key in fields(HeldOut)] + ["error"]
    return {
        "checked": [
            {**{key: getattr(held, key) for key in own}, "target": held.target._asdict()} for held in found.checked
        ],
        "rates": found.rates,
    }


def document(found: Capacity, run: About) -> Document:
    """Describe predictions and drain rates."""
    return tuple(_blocks(found, run))


def _blocks(found: Capacity, run: About) -> Iterator[Block]:
    if run.emulated:
        yield Paragraph(EMULATED_REMARK)
        return
    if not found.checked:
        yield Paragraph(NONE)
    for title, offered, rows in _by_target(found.checked):
        yield from section(title, (offered,), rows)
    if found.checked:
        yield Paragraph(_errors(found.checked))
    if found.rates:
        drained = ("setup", "ring", "event, bytes", "drained, events/s", "from", "to", "of a CPU, %")
        rates = table(drained, map(_drained, _sorted(found.rates)), texts=2)
        yield from section("How fast rings are emptied", (), rates)
        yield from section("How to read this", READING)


def chapter(found: Capacity) -> Chapter | None:
    """Say what was predicted of targets at rates and in bursts, beside what was measured; None where nothing was lost.

    Where all is saved, and nothing else is predicted, there is nothing to be said.
    """
    rated = [held for held in found.checked if held.target.rate_iops is not None]
    if all(min(held.predicted, held.measured) > 100 - WITHIN for held in rated):
        return None
    tables = (replace(rows, title=title, caption=offered) for title, offered, rows in _by_target(rated))
    said = (
        "What is saved at a rate, or in bursts, predicted from the trials beside other targets and rates, and measured."
    )
    behind = Chapter("Predicted and measured", (*tables, *map(Paragraph, READING)), folded=True)
    return Chapter("Capacity", (Paragraph(f"{said} {_errors(rated)}"), behind), "capacity")


def _by_target(checked: Sequence[HeldOut]) -> Iterator[tuple[str, str, Table]]:
    """Yield by target and size of its events: what that is called, what was offered, and the predictions."""
    for target, event_bytes in sorted({(held.target, held.tracer.event_bytes) for held in checked}, key=_order):
        own = [held for held in checked if (held.target, held.tracer.event_bytes) == (target, event_bytes)]
        header = ("setup", "ring", "predicted, %", "measured, %", "error, points", "trials")
        rows = sorted(own, key=lambda held: (held.tracer.setup, held.tracer.knobs, held.tracer.ringbuf_bytes))
        title = f"{_called(target)}: events of {event_bytes} bytes"
        yield title, _offered(own), table(header, map(_row, rows), texts=2)


def _errors(checked: Sequence[HeldOut]) -> str:
    lossy = [held for held in checked if held.measured < 100]
    of_them = f", {_within(lossy)} where events were lost" if lossy else ""
    errors = [abs(held.error) for held in checked]
    return (
        f"{_within(checked)} predictions within {WITHIN:g} points{of_them}; median {statistics.median(errors):.1f}, "
        f"worst {max(errors):.1f}."
    )


def _within(held: Sequence[HeldOut]) -> str:
    return f"{sum(abs(own.error) <= WITHIN for own in held)} of {len(held)}"


def _order(kind: tuple[Target, int]) -> tuple[Any, ...]:
    target, event_bytes = kind
    return event_bytes, in_order(target.work)


def _sorted(rates: Sequence[DrainRate]) -> list[DrainRate]:
    return sorted(rates, key=_by_tracer)


def _by_tracer(own: DrainRate) -> tuple[int, str, str, int]:
    return own.tracer.event_bytes, own.tracer.setup, own.tracer.knobs, own.tracer.ringbuf_bytes


def _called(target: Target) -> str:
    """Name a target, whose size does not count."""
    many = {0: "", 1: ", 1 process"}.get(target.processes, f", {target.processes} processes")
    return f"{target.workload}{many}{wording.clauses(target.work)}"


def _offered(own: Sequence[HeldOut]) -> str:
    mean, peak = (max(getattr(held, key) for held in own) for key in ("rate_per_s", "peak_per_s"))
    within = f", up to {count(peak)} within bursts" if own[0].target.burst_ios > 1 else ""
    return f"Offered: up to {count(mean)} events/s{within}."


def _name(tracer: Tracer) -> str:
    return ", ".join(filter(None, (tracer.setup, tracer.attach, tracer.format, tracer.knobs)))


def _row(held: HeldOut) -> list[str]:
    predicted = f"{'≥ ' if held.at_least else ''}{_ends(held.predicted, held.predicted_from_to)}"
    measured, error = _ends(held.measured, held.measured_from_to), rounded(held.error, 1, "+")
    return [_name(held.tracer), size(held.tracer.ringbuf_bytes), predicted, measured, error, str(held.n)]


def _ends(percent: float, ends: tuple[float, float]) -> str:
    low, high = map(share, ends)
    return share(percent) if low == high else f"{share(percent)} [{low}, {high}]"


def _drained(own: DrainRate) -> list[str]:
    ends = (own.observed[0], own.observed[-1])
    rate = f"{'' if own.exact else '≥ '}{count(own.events_per_s)}"
    cpu = ABSENT if own.cpu_share is None else f"{100 * own.cpu_share:.0f}"
    tracer = own.tracer
    return [_name(tracer), size(tracer.ringbuf_bytes), str(tracer.event_bytes), rate, *map(count, ends), cpu]
