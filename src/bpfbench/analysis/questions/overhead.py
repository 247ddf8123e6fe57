# SPDX-License-Identifier: Apache-2.0
"""Overhead: what each tracer costs a target, by rounds in which the bare target ran twice and each tracer once.

Of each metric of the target, a tracer's value is compared with the mean of the bare ones of the same round, on the
logarithm. The interval is that of the rule of decisions: it holds at every look, for all tracers and metrics at once.
No difference is taken to vary less than two bare runs of one round do.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bpfbench.analysis import inference
from bpfbench.analysis.apart import Apart, judged
from bpfbench.analysis.decision import Standing, against, standing
from bpfbench.analysis.gaps import BlockId, Gap
from bpfbench.analysis.inference import ALPHA, Noise, percent
from bpfbench.analysis.results import Description, describe, logarithm
from bpfbench.model import Status, TargetMetric
from bpfbench.model.command import BpfUse
from bpfbench.model.target import OverheadRecord, OverheadStudy, TracerRun

BARE = "bare"

ALPHA_ASIDE = 0.2 * ALPHA
"""What is spent on metrics that are not asked for; the rest, on those that are."""


class Amount(StrEnum):
    """Whether a change is known to exceed the margin."""

    BEYOND = "beyond-margin"
    WITHIN = "within-margin"
    OPEN = "undecided"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a tracer changes of one metric of the target."""

    spread: Description
    """Of the values, in the metric's unit."""
    change_percent: float | None = None
    """100 * (geometric mean of the ratios to bare - 1); None for the bare target, and without a round to compare in."""
    apart: Apart | None = None
    """Whether that is told apart from nothing; None for the bare target."""
    amount: Amount | None = None
    rounds_needed: int | None = None
    """How many it takes in all until the amount is decided, as far as that is open and can be told."""


@dataclass(frozen=True, slots=True)
class Costing:
    """What is known of one tracer, or of the bare target."""

    tracer: int | None
    """Its position; None: the bare target."""
    called: str
    n: int
    """Trials that count."""
    failed: int
    reason: str | None
    """Why the first of those failed."""
    printed: tuple[str, ...]
    """The last lines that the tracer of that one printed, or the bare target."""
    compared: Mapping[str, Comparison]
    """By metric; of those that there is a value of."""
    user: Description | None
    """CPU time of the target, in seconds."""
    system: Description | None
    own: Mapping[str, Description]
    """Of the tracer itself, by the names of OWN."""
    ready_by: tuple[str, ...]
    bpf: BpfUse | None
    """What the last trial that tells has loaded."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What rounds say so far."""

    study: OverheadStudy
    rounds: int
    round_s: float
    """What a round takes, in the mean."""
    rows: tuple[Costing, ...]
    """The bare target first."""
    noise: Mapping[str, Noise]
    """By metric: by how much two bare runs of one round differ. Of metrics of which it is known."""
    absent: Mapping[str, str]
    """Why something could not be measured."""

    def open(self, row: Costing) -> bool:
        """Tell whether of a tracer it is not decided what it was measured for."""
        names = [metric.name for metric in self.study.target.decisive]
        return any(name not in row.compared or row.compared[name].amount is Amount.OPEN for name in names)


OWN: Mapping[str, Callable[[TracerRun, float], float | None]] = {
    "cpu_percent": lambda run, time_s: (
        None if run.user_s is None else 100 * (run.user_s + (run.system_s or 0)) / time_s
    ),
    "cpu_s": lambda run, _: None if run.user_s is None else run.user_s + (run.system_s or 0),
    "pss_peak_bytes": lambda run, _: run.pss_peak_bytes,
    "memory_peak_bytes": lambda run, _: run.memory_peak_bytes,
    "startup_s": lambda run, _: run.startup_s,
    "startup_cpu_s": lambda run, _: run.startup_cpu_s,
    "stop_s": lambda run, _: run.stop_s,
}
"""What is measured of a tracer, by its run and the target's time; CPU: while the target ran, per cent of one CPU."""


def overhead(study: OverheadStudy, records: Sequence[OverheadRecord]) -> Overhead:
    """Say what the rounds so far come to."""
    measured = [record for record in records if record.round > 0]
    compared: dict[str, dict[int | None, Comparison]] = {}
    noise: dict[str, Noise] = {}
    for metric in study.target.compared:
        compared[metric.name], twins = _compare(study, measured, metric)
        if twins is not None:
            noise[metric.name] = twins
    rows = tuple(
        _row(study, number, [record for record in measured if record.tracer == number], compared)
        for number in (None, *range(len(study.tracers)))
    )
    rounds = max((record.round for record in measured), default=0)
    absent = {what: why for record in measured for what, why in record.result.absent.items()}
    round_s = sum(record.seconds for record in measured) / rounds if rounds else 0.0
    return Overhead(study, rounds, round_s, rows, noise, absent)


def _compare(
    study: OverheadStudy, records: Iterable[OverheadRecord], metric: TargetMetric
) -> tuple[dict[int | None, Comparison], Noise | None]:
    logs: defaultdict[int | None, defaultdict[BlockId, list[float]]] = defaultdict(lambda: defaultdict(list))
    values: defaultdict[int | None, list[float]] = defaultdict(list)
    for record in records:
        value = _value(record, metric)
        if value is not None:
            values[record.tracer].append(value)
        if value is not None and (log := logarithm(value)) is not None:
            logs[record.tracer][record.round, record.round].append(log)
    twins = inference.noise(logs[None].values())
    means = {
        BARE if own is None else str(own): {None: {block: statistics.fmean(both) for block, both in by_block.items()}}
        for own, by_block in logs.items()
    }
    decisive = study.target.decisive
    aside = len(study.target.compared) - len(decisive)
    alpha = (ALPHA - ALPHA_ASIDE) / len(decisive) if metric in decisive else ALPHA_ASIDE / aside
    gaps = against(means, BARE, alpha, {None: twins.sd} if twins else None) if len(means) > 1 else {}
    margin = math.log1p(study.margin_percent / 100)
    found = {}
    for own, known in values.items():
        if spread := describe(known):
            found[own] = Comparison(spread) if own is None else _comparison(spread, gaps.get(str(own)), margin)
    return found, twins


def _value(record: OverheadRecord, metric: TargetMetric) -> float | None:
    result = record.result
    return result.target.values.get(metric.name) if result.status is Status.OK and result.target else None


def _comparison(spread: Description, gap: Gap | None, margin: float) -> Comparison:
    told = judged(gap, by_difference=False)
    if gap is None:
        return Comparison(spread, apart=told, amount=Amount.OPEN)
    standings = {standing(own, margin) for own in (gap, gap.reversed())}
    said = {Standing.WORSE: Amount.BEYOND, Standing.EQUAL: Amount.WITHIN}
    amount = next((meant for found, meant in said.items() if found in standings), Amount.OPEN)
    needed = gap.rounds_needed(margin) if amount is Amount.OPEN else None
    return Comparison(spread, percent(gap.mean), told, amount, needed)


def _row(
    study: OverheadStudy,
    number: int | None,
    records: Sequence[OverheadRecord],
    compared: Mapping[str, Mapping[int | None, Comparison]],
) -> Costing:
    good = [record.result for record in records if record.result.status is Status.OK]
    bad = [record.result for record in records if record.result.status is not Status.OK]
    runs = [(own.tracer, own.target.values["time"]) for own in good if own.tracer and own.target]
    described = {name: describe(read(run, time_s) for run, time_s in runs) for name, read in OWN.items()}
    targets = [own.target for own in good if own.target]
    return Costing(
        tracer=number,
        called=BARE if number is None else study.tracers[number].called,
        n=len(good),
        failed=len(bad),
        reason=bad[0].reason if bad else None,
        printed=next((own.printed.get("tracer", own.printed.get("target", ())) for own in bad), ()),
        compared={name: own[number] for name, own in compared.items() if number in own},
        user=describe(own.user_s for own in targets),
        system=describe(own.system_s for own in targets),
        own={name: own for name, own in described.items() if own is not None},
        ready_by=tuple(dict.fromkeys(run.ready_by for run, _ in runs)),
        bpf=next((run.bpf for run, _ in reversed(runs) if run.bpf is not None), None),
    )
