# SPDX-License-Identifier: Apache-2.0
"""How well the capacity model predicts what it has not seen: trials of a run held out, and the paper's own results."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from bpfbench import catalogue
from bpfbench.analysis.capacity import (
    DrainRate,
    Observation,
    Tracer,
    alone,
    drain_of,
    drain_rates,
    fidelity_percent,
    is_steady,
    observe,
    predict,
    tracer_of,
    trials,
)
from bpfbench.model import BLOCK_BYTES

LIMITED_BELOW_PERCENT = 95.0
"""A setup of the paper that saved less was limited by its drain rate; of the others it is known from below only."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A prediction of what was not looked at, beside what was measured: medians over trials, in per cent."""

    tracer: Tracer
    workload: str
    processes: int
    rate_iops: int | None
    """What each process of fio was limited to."""
    rate_per_s: float
    """Of the events."""
    predicted: float
    """From the event rates alone: as if the tracer had what it had of the CPUs where the drain rate was learnt."""
    predicted_by_cpu: float | None
    """From the event rates and the CPU time the tracer had: what is left of the error if that is known."""
    measured: float
    n: int
    at_least: bool

    @property
    def error(self) -> float:
        """In percentage points. Where the drain rate is known from below only, too low a prediction is none."""
        error = self.predicted - self.measured
        return max(0.0, error) if self.at_least else error


def hold_out(table: pl.DataFrame, known: Callable[[Mapping[str, Any]], bool]) -> tuple[HeldOut, ...]:
    """Predict the trials for which `known` is false from those for which it is true, given their event rates alone.

    Trials of event sizes and rings that were not learnt from are left out.
    """
    return _hold_out(trials(table), known)


def validate(table: pl.DataFrame, bench: Sequence[Observation] = ()) -> tuple[HeldOut, ...]:
    """Predict what targets with a rate of their own saved, each from what is known without it.

    Args:
        table: of a run. Each target (workload, processes and rate) is predicted from all others in it.
        bench: of `bench drain`: where given, what all are predicted from instead.
    """
    found = trials(table)
    limited = [trial for trial in found if is_steady(trial)]
    if bench:
        return _predicted(drain_rates(bench), (), limited)
    targets = dict.fromkeys(map(_target, limited))
    held = [_hold_out(found, partial(_is_other, target)) for target in targets]
    return tuple(itertools.chain.from_iterable(held))


_Target = tuple[str, int, int | None]
"""Workload, processes, and what the rate of each is limited to."""


def _target(trial: Mapping[str, Any]) -> _Target:
    return trial["workload"], trial["processes"], trial["rate_iops"]


def _is_other(target: _Target, trial: Mapping[str, Any]) -> bool:
    return _target(trial) != target


def _hold_out(found: Iterable[dict[str, Any]], known: Callable[[Mapping[str, Any]], bool]) -> tuple[HeldOut, ...]:
    held: list[dict[str, Any]] = []
    learnt: list[Observation] = []
    for trial in found:
        if not known(trial):
            held.append(trial)
        elif (observation := observe(trial)) is not None:
            learnt.append(observation)
    by_cpu = [unhindered for observation in learnt if (unhindered := alone(observation)) is not None]
    return _predicted(drain_rates(learnt), drain_rates(by_cpu), held)


def _predicted(
    rates: Sequence[DrainRate], rates_by_cpu: Sequence[DrainRate], held: Iterable[Mapping[str, Any]]
) -> tuple[HeldOut, ...]:
    groups: defaultdict[tuple[Tracer, _Target], list[Mapping[str, Any]]] = defaultdict(list)
    for trial in held:
        groups[tracer_of(trial), _target(trial)].append(trial)
    predictions = (_held_out(rates, rates_by_cpu, tracer, *of, group) for (tracer, of), group in groups.items())
    return tuple(prediction for prediction in predictions if prediction is not None)


def _held_out(
    rates: Sequence[DrainRate],
    rates_by_cpu: Sequence[DrainRate],
    tracer: Tracer,
    workload: str,
    processes: int,
    rate_iops: int | None,
    group: Sequence[Mapping[str, Any]],
) -> HeldOut | None:
    predictions, by_cpu = [], []
    for trial in group:
        rate, events, steady = trial["offered_events_per_s"], trial["intercepted_events"], is_steady(trial)
        prediction = predict(rates, tracer, rate, events, steady=steady)
        if prediction is None or prediction.beyond:
            continue
        predictions.append(prediction)
        share = (trial.get("tracer_cpu_percent") or 0.0) / 100
        if share and (prediction := predict(rates_by_cpu, tracer, rate / share, events, steady=steady)) is not None:
            by_cpu.append(prediction.percent)
    if not predictions:
        return None
    return HeldOut(
        tracer,
        workload,
        processes,
        rate_iops,
        statistics.median(trial["offered_events_per_s"] for trial in group),
        statistics.median(prediction.percent for prediction in predictions),
        statistics.median(by_cpu) if by_cpu else None,
        statistics.median(trial["saved_percent"] for trial in group),
        len(group),
        at_least=any(prediction.at_least for prediction in predictions),
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
                predicted=fidelity_percent(drain, events / duration_s, steady=False),
                measured=printed.get(setup, printed.get("others_at_most", math.nan)),
                is_bound=setup not in printed,
            )


def _write_factor(paper: Mapping[str, Any], tool: str, setup: str) -> float:
    """Return what the paper prints of a setup's runtime over vanilla's in writes; of a bound, the lower end."""
    printed = paper["write"]["factor_over_vanilla"][tool]["runtime_s"]
    found = printed.get(setup, printed.get("others_at_least", 1.0))
    return max(1.0, float(found[0] if isinstance(found, list) else found))
