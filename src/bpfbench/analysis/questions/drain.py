# SPDX-License-Identifier: Apache-2.0
"""How fast user space drains the ring, and what an event costs: repetitions put together, by configuration."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bpfbench.analysis.questions.roofline import Range, Share, ceiling_of, ceilings, over, share
from bpfbench.model.drain import DrainResult, KernelTime, Measured
from bpfbench.model.roofline import together

STATES = tuple(field.name.removesuffix("_ns") for field in dataclasses.fields(KernelTime))
"""What an event can meet on the kernel side."""

ON_CPU_MIN = 0.9
"""A tracer that was on its CPU for less of the time was held up."""

WAKE_UP_S = 20e-6
"""What stopping and letting go on takes of CPU time, about; it hides the rest where a burst is not much longer."""


@dataclass(frozen=True, slots=True)
class Drained:
    """One setup in one configuration, over its repetitions that count; None where there is none."""

    setup: str
    event_bytes: int
    format: str
    ringbuf_bytes: int
    attach: str
    events_per_s: Range | None
    cpu_ns_per_event: Range | None
    kernel_ns_per_event: dict[str, Range] | None
    coarse: bool
    """Most bursts were seen as a whole only."""
    on_cpu: float | None
    """The share of the draining time that the tracer was on a CPU; None where bursts are too short to tell."""
    share: Share | None
    """How near it comes to what the machine allowed right before and right after; None where that is not known."""
    bytes_per_s: Range | None
    """The same rate in bytes of events as the contract has them, whatever they take in ring and output."""

    @property
    def held_up(self) -> bool:
        """Whether the disk or other programs kept it from its CPU: the library could be faster than that."""
        return self.on_cpu is not None and self.on_cpu < ON_CPU_MIN


_Key = tuple[str, int, str, int, str]


def drained(measured: Sequence[Measured]) -> tuple[Drained, ...]:
    """Put the repetitions together, in the order in which sizes, formats, rings and hooks were first asked for."""
    found: dict[_Key, list[DrainResult]] = {}
    for item in measured:
        case, config = item.case, item.case.config
        key = (case.called, case.event_bytes, str(config.format), config.ringbuf_bytes or 0, str(config.attach))
        results = found.setdefault(key, [])
        if item.result is not None and item.reason is None:
            results.append(item.result)
    return tuple(_drained(key, found[key]) for key in sorted(found, key=lambda key: key[1:]))


def _drained(key: _Key, results: Sequence[DrainResult]) -> Drained:
    _, size, form, *_ = key
    kernel = [dataclasses.asdict(result.kernel) for result in results if result.kernel is not None]
    times = {state: over([taken[f"{state}_ns"] for taken in kernel]) for state in STATES}
    rate = over([result.events_per_s for result in results])
    return Drained(
        *key,
        events_per_s=rate,
        cpu_ns_per_event=over([result.cpu_ns_per_event for result in results]),
        kernel_ns_per_event={state: found for state, found in times.items() if found} or None,
        coarse=any(result.coarse for result in results),
        on_cpu=_on_cpu(results),
        share=_share(results, size, form),
        bytes_per_s=rate and Range(rate.median * size, rate.min * size, rate.max * size, rate.n),
    )


def _share(results: Sequence[DrainResult], event_bytes: int, form: str) -> Share | None:
    """Return the share over repetitions, each of the ceiling of its own time: so a machine that drifts drops out."""
    near = ((own, ceiling_of(event_bytes, form, ceilings(own.allowed))) for own in results)
    percent = over([100 * own.events_per_s / most.events_per_s.median for own, most in near if most])
    ceiling = ceiling_of(event_bytes, form, ceilings(together(*(own.allowed for own in results))))
    return share(percent, ceiling) if percent and ceiling else None


def _on_cpu(results: Sequence[DrainResult]) -> float | None:
    long = [r for r in results if r.slots / r.events_per_s > 100 * WAKE_UP_S]
    shares = [min(1.0, r.cpu_ns_per_event * r.events_per_s / 1e9) for r in long]
    return statistics.median(shares) if shares else None
