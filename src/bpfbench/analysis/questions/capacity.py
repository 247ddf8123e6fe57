# SPDX-License-Identifier: Apache-2.0
"""Fidelity predicted: what a setup saves at an event rate, an event size and a ring that need not have been measured.

User space empties the ring at a rate of its own, the drain rate D: so much is saved of what never stops coming.

    fidelity = min(1, g(D / R) + S / N)     R events/s offered, S events fit into the ring, N events in all
    fidelity = min(D / M, the same)         of bursts of N events, at R events/s each, of a mean of M events/s
    g(x) = min(1, x)                        at a steady rate, with a CPU for the tracer when it needs one
    g(x) = 1 - (1 + x) exp(-2 x)            of a target that is as fast as it can be, as in a burst: the tracer waits
                                            for its turns

docs/capacity.md derives this, and says how well it predicts what was held out, and where it does not
apply. A prediction is believed where it was checked against trials it had not seen: those of this run, where it has
targets with a rate of their own on both sides of the wanted one, else those of docs/capacity.md.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bpfbench.analysis.questions.ring_trials import RingTrial, Stream, Target, Tracer, target_cpus, trials
from bpfbench.analysis.results import Results
from bpfbench.codec import decode
from bpfbench.model import EVENT_BYTES, TracerConfig, Waking

RING_LIMITED_PERCENT = 5.0
"""A trial that lost so much to a full ring says what the drain rate is, one that lost less what it is at least."""

SLACK_MOST = 0.5
"""Of a trial that saved more of its events through the ring's mere size than this share, no drain rate is taken."""

SAVED_MOST = 0.999
"""Of an unlimited target, what saved more is taken to have saved this: g is 1 at an infinite drain rate only."""

DOCUMENTED_ERROR = {EVENT_BYTES: 3.4, 1 << 30: 51.5}
"""By the largest event it holds for: the worst error, in points, of predictions for targets with a rate of their own
from those without. docs/capacity.md, "Held out on a machine of two CPUs"."""

DOCUMENTED, THIS_RUN = "docs/capacity.md", "this run"

KEPT = 0.98
"""A target had the rate wanted of it where it had this share of it: fio's comes out up to 0.5 % below its limit."""


class Source(StrEnum):
    """Where a drain rate is from."""

    BENCH = "bench drain"
    """The tracer had a CPU to itself."""
    RUN = "run"
    """The tracer had the share of the CPUs that the target left it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one trial, or one repetition of `bench drain`, says of the drain rate."""

    tracer: Tracer
    source: Source
    events_per_s: float
    exact: bool
    """False: the rate is at least so high."""
    cpu_share: float | None
    """How much of one CPU the tracer had meanwhile; None where that was not measured."""


@dataclass(frozen=True, slots=True)
class DrainRate:
    """The observations of one tracer from one source, put together."""

    tracer: Tracer
    source: Source
    events_per_s: float
    """Median of the exact observations; where there is none, the highest rate that was kept up with."""
    observed: tuple[float, ...]
    """Each of the same."""
    exact: bool
    """False: the rate is at least so high, however much higher."""
    cpu_share: float | None
    """Median of the same observations."""

    @property
    def held_up(self) -> bool:
        """True where the tracer had to wait for a CPU: with one of its own it would drain faster."""
        return self.exact and self.cpu_share is not None and self.cpu_share < 0.9


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a tracer would save, in per cent of the events offered."""

    percent: float
    """Mean over the drain rates observed: where they straddle the event rate, some trials lose events, others none."""
    low: float
    high: float
    """By the least and the greatest drain rate observed."""
    at_least: bool
    """The drain rate is known from below only: fidelity may be higher."""
    basis: tuple[DrainRate, ...]
    """One drain rate, or the two that were interpolated between."""


def fidelity_percent(drain_per_s: float, stream: Stream, slots: float = 0.0) -> float:
    """Return what is saved of a stream, in per cent, by a ring that `slots` events fit into: the module's formulas."""
    x = drain_per_s / stream.rate_per_s
    drained = min(1.0, x) if stream.steady else 1 - (1 + x) * math.exp(-2 * x)
    in_pauses = drain_per_s / stream.mean_per_s if stream.mean_per_s else math.inf
    return 100 * min(1.0, in_pauses, drained + slots / stream.events)


def drain_of(share: float, rate_per_s: float, *, steady: bool) -> float:
    """Return the drain rate, events/s, at which this share of what comes at a rate is drained: g's inverse."""
    if steady:
        return rate_per_s * share
    lost = math.log(1 - min(SAVED_MOST, share))
    # ln(1 + x) - 2 x = ln(lost), by Newton's steps from above the root, as the left side is concave.
    x, step = -lost, 1.0
    while abs(step) > 1e-15 * x:
        step = (math.log1p(x) - 2 * x - lost) / (1 / (1 + x) - 2)
        x -= step
    return rate_per_s * x


def learnt(found: Iterable[RingTrial]) -> tuple[DrainRate, ...]:
    """Return what trials say of drain rates."""
    return drain_rates(filter(None, map(observe, found)))


def observe(trial: RingTrial) -> Observation | None:
    """Return what one trial says of the drain rate, if anything."""
    lost_percent, slots = 100 * trial.lost / trial.events, trial.tracer.slots * trial.bursts
    exact = lost_percent >= RING_LIMITED_PERCENT
    if exact and slots > SLACK_MOST * trial.saved:
        return None
    if not exact and trial.bursts > 1:  # it may be the ring that held them: what came was drained by the next burst
        return Observation(trial.tracer, Source.RUN, trial.rate_per_s * trial.saved / trial.events, exact, None)
    share = (trial.saved - slots) / trial.runtime_s / trial.rate_per_s if exact else 1 - lost_percent / 100
    drain = drain_of(share, trial.peak_per_s, steady=trial.target.steady)
    return Observation(trial.tracer, Source.RUN, drain, exact, trial.cpu_share)


def from_bench(document: Mapping[str, Any]) -> tuple[Observation, ...]:
    """Return what the JSON document of `bench drain` says of drain rates, of setups as they are tuned as well.

    Of a tracer that nothing wakes up it says none: that sleeps while its ring fills, however fast it drains.

    Raises:
        KeyError, TypeError, ValueError: it is no such document.
    """
    found = []
    for item in document["measurements"]:
        case, result, config = item["case"], item["result"], decode(TracerConfig, item["case"]["config"], "config")
        tracer = Tracer.of(case["setup"], config, case["event_bytes"], cpus=1)  # it drained one ring
        if tracer is None or result is None or item["reason"] is not None or config.wakeup == Waking.NEVER:
            continue
        rate = result["events"] / result["seconds"]
        found.append(Observation(tracer, Source.BENCH, rate, exact=True, cpu_share=1.0))
    return tuple(found)


def drain_rates(observations: Iterable[Observation]) -> tuple[DrainRate, ...]:
    """Put the observations of each tracer and source together."""
    groups: defaultdict[tuple[Tracer, Source], list[Observation]] = defaultdict(list)
    for observation in observations:
        groups[observation.tracer, observation.source].append(observation)
    return tuple(_drain_rate(*key, found) for key, found in groups.items())


def _drain_rate(tracer: Tracer, source: Source, found: Sequence[Observation]) -> DrainRate:
    exact = [observation for observation in found if observation.exact]
    used = exact or [max(found, key=lambda observation: observation.events_per_s)]
    rates = [observation.events_per_s for observation in used]
    shares = [observation.cpu_share for observation in used if observation.cpu_share is not None]
    return DrainRate(
        tracer,
        source,
        statistics.median(rates),
        tuple(sorted(rates)),
        exact=bool(exact),
        cpu_share=statistics.median(shares) if shares else None,
    )


def predict(rates: Iterable[DrainRate], wanted: Tracer, stream: Stream) -> Prediction | None:
    """Predict what a tracer saves; None where nothing is known of one that is set as it is, and beyond what is.

    A ring between those measured is drained as the nearest of them is. The rates are of one source: those of `bench
    drain` hold for a tracer with a CPU to itself, those of a run for one that shares the CPUs as it did there.
    """
    known = [rate for rate in rates if rate.tracer.kind == wanted.kind]
    rings = {rate.tracer.ringbuf_bytes for rate in known}
    if not rings or not min(rings) <= wanted.ringbuf_bytes <= max(rings):
        return None
    ring = min(rings, key=lambda size: (abs(math.log2(size / wanted.ringbuf_bytes)), size))
    sized = sorted((r for r in known if r.tracer.ringbuf_bytes == ring), key=lambda rate: rate.tracer.event_bytes)
    below = [rate for rate in sized if rate.tracer.event_bytes <= wanted.event_bytes]
    above = [rate for rate in sized if rate.tracer.event_bytes >= wanted.event_bytes]
    if not below or not above:
        return None
    low, high = below[-1], above[0]
    drains = low.observed if low is high else _interpolated(low, high, wanted.event_bytes)
    percents = [fidelity_percent(drain, stream, wanted.slots) for drain in drains]
    return Prediction(
        statistics.fmean(percents),
        min(percents),
        max(percents),
        at_least=not (low.exact and high.exact),
        basis=tuple(dict.fromkeys((low, high))),
    )


def _interpolated(low: DrainRate, high: DrainRate, event_bytes: int) -> Sequence[float]:
    """Return drain rates at an event size by the time per event, of each combination of what was observed."""
    share = (event_bytes - low.tracer.event_bytes) / (high.tracer.event_bytes - low.tracer.event_bytes)
    return [1 / ((1 - share) / below + share / above) for below in low.observed for above in high.observed]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A prediction of what was not looked at, beside what was measured: medians over trials, in per cent."""

    tracer: Tracer
    target: Target
    rate_per_s: float
    """Of the events: the mean."""
    peak_per_s: float
    """The same within bursts; of what is steady, the mean."""
    predicted: float
    """From the event rates alone: as if the tracer had what it had of the CPUs where the drain rate was learnt."""
    measured: float
    n: int
    at_least: bool
    predicted_from_to: tuple[float, float]
    """By the least and the greatest drain rate that was observed."""
    measured_from_to: tuple[float, float]
    """In single trials."""

    @property
    def error(self) -> float:
        """In percentage points. Where the drain rate is known from below only, too low a prediction is none."""
        error = self.predicted - self.measured
        return max(0.0, error) if self.at_least else error


def held_out(rates: Sequence[DrainRate], held: Iterable[RingTrial]) -> tuple[HeldOut, ...]:
    """Predict trials by their event rates alone, from drain rates learnt without them.

    Those of event sizes and rings that were not learnt from are left out.
    """
    groups: defaultdict[tuple[Tracer, Target], list[RingTrial]] = defaultdict(list)
    for trial in held:
        groups[trial.tracer, trial.target].append(trial)
    return tuple(filter(None, (_held_out(rates, *key, group) for key, group in groups.items())))


def _held_out(rates: Sequence[DrainRate], tracer: Tracer, target: Target, group: Sequence[RingTrial]) -> HeldOut | None:
    tried = (predict(rates, tracer, trial.stream) for trial in group)
    found = [prediction for prediction in tried if prediction is not None]
    if not found:
        return None
    saved = [100 * trial.saved / trial.events for trial in group]
    return HeldOut(
        tracer,
        target,
        statistics.median(trial.rate_per_s for trial in group),
        statistics.median(trial.peak_per_s for trial in group),
        statistics.median(prediction.percent for prediction in found),
        statistics.median(saved),
        len(group),
        at_least=any(prediction.at_least for prediction in found),
        predicted_from_to=(min(own.low for own in found), max(own.high for own in found)),
        measured_from_to=(min(saved), max(saved)),
    )


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a run, or `bench drain`, predicts of fidelity, and how far that was off where it could be checked."""

    rates: tuple[DrainRate, ...]
    checked: tuple[HeldOut, ...]
    """What targets with a rate of their own saved, each predicted without it."""
    documented: bool = True
    """Whether all was learnt beside fio, which is what the errors in docs/capacity.md are of."""
    cpus: int = 1
    """Those of the target."""

    @classmethod
    def of(cls, results: Results, bench: Sequence[Observation] = ()) -> Capacity:
        """Learn from `bench drain` where it is given, which the run checks; else each target from all others."""
        found = trials(results)
        limited = [trial for trial in found if trial.target.limited]
        if bench:
            return cls(rates := drain_rates(bench), held_out(rates, limited))
        checked: list[HeldOut] = []
        for target in dict.fromkeys(trial.target for trial in limited):
            others = learnt(trial for trial in found if trial.target != target)
            checked += held_out(others, (trial for trial in limited if trial.target == target))
        documented = all(trial.target.work.is_fio for trial in found)
        return cls(learnt(found), tuple(checked), documented, max(map(target_cpus, results.records), default=1))

    def predict(self, tracer: Tracer, rate_per_s: float) -> tuple[Prediction, float, str] | None:
        """Predict what is saved of a target's own rate, with the error of such predictions and where it was found.

        None beyond what was measured, and where nothing validates the prediction: docs/capacity.md that of tracers
        with the default's wake-ups, rings and buffers.
        """
        found = predict(self.rates, tracer, Stream(rate_per_s))
        if found is None:
            return None
        own = [
            self._bracketing(replace(tracer, event_bytes=rate.tracer.event_bytes), rate_per_s) for rate in found.basis
        ]
        # Where nothing was lost, nothing was there to be wrong about.
        if all(own) and any(held.measured < 100 for members in own for held in members):
            return found, max(abs(held.error) for members in own for held in members), THIS_RUN
        if not self.documented or tracer.knobs or any(rate.source is Source.BENCH for rate in found.basis):
            return None
        documented = next(error for size, error in DOCUMENTED_ERROR.items() if tracer.event_bytes <= size)
        return found, documented, DOCUMENTED

    def _bracketing(self, tracer: Tracer, rate_per_s: float) -> list[HeldOut]:
        """Return what was checked of a tracer, if that was at rates on both sides."""
        held = [found for found in self.checked if found.tracer == tracer and found.target.steady]
        rates = [found.rate_per_s for found in held]
        return held if held and min(rates) * KEPT <= rate_per_s <= max(rates) / KEPT else []
