# SPDX-License-Identifier: Apache-2.0
"""Overhead: what each tracer costs a target, by rounds in which the bare target ran twice and each tracer once.

Of each metric of the target, a tracer's value is compared with the mean of the bare ones of the same round, on the
logarithm. The interval is that of the rule of decisions: it holds at every look, for all tracers and metrics at once.
No difference is taken to vary less than two bare runs of one round do.

Of several tracers at once it is asked besides whether what they cost adds up. On the logarithm costs are ratios to
bare; that they add up means that the ratio of all at once is the product of the ratios of each alone. By how much it is
not, is again a difference of each round, with an interval of the same kind.
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
from bpfbench.model.command import BpfObject, BpfUse
from bpfbench.model.target import OverheadRecord, OverheadResult, OverheadStudy, Subject, TargetRun, TracerRun

ALPHA_ASIDE = 0.2 * ALPHA
"""What is spent on metrics that are not asked for; the rest, on those that are."""
SHARE_OF_SUMS = 0.5
"""Of what is spent on a metric, on whether costs add up, where that is asked."""


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
    rounds_at_least: int | None = None
    """The same, were there no change at all."""


@dataclass(frozen=True, slots=True)
class Addition:
    """Whether what several tracers cost adds up, in the rounds in which each ran alone, and all at once."""

    sum_percent: float
    """What they would change together if it did."""
    together_percent: float
    """What they change."""
    beyond: Judged
    """By how much the one ratio exceeds the other; None of it is known in fewer than three rounds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A difference in per cent, and how sure it is."""

    change_percent: float | None
    apart: Apart
    amount: Amount
    rounds_needed: int | None = None
    rounds_at_least: int | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """A trial in which the kernel counted the run time of BPF programs, which takes time itself."""

    time_s: float
    """Of the target, in all its runs."""
    programs: tuple[BpfObject, ...]

    @property
    def cpu_percent(self) -> float:
        """What the programs took, in whatever process, of one CPU."""
        return sum(own.run_ns or 0 for own in self.programs) / 1e7 / self.time_s


@dataclass(frozen=True, slots=True)
class Costing:
    """What is known of tracers at once, mostly of one, or of the bare target."""

    subject: Subject
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
    """CPU time of the target, in seconds per run."""
    system: Description | None
    each: Mapping[int, Mapping[str, Description]]
    """Of each tracer itself, by its position and the names of OWN."""
    ready_by: tuple[str, ...]
    bpf: BpfUse | None
    """What the last trial that tells has loaded."""
    seconds: float
    """What a trial takes, in the mean."""
    sums: Mapping[str, Addition]
    """By metric, of several at once."""
    counted: Counted | None

    @property
    def own(self) -> Mapping[str, Description]:
        """Of the only tracer itself."""
        return self.each.get(self.subject[0], {}) if len(self.subject) == 1 else {}


@dataclass(frozen=True, slots=True)
class Overhead:
    """What rounds say so far."""

    study: OverheadStudy
    rounds: int
    runs: int
    """Of the target, in a trial."""
    round_s: float
    """What a round takes, in the mean."""
    rows: tuple[Costing, ...]
    """The bare target first."""
    noise: Mapping[str, Noise]
    """By metric: by how much two bare runs of one round differ. Of metrics of which it is known."""
    absent: Mapping[str, str]
    """Why something could not be measured."""

    def open(self, row: Costing) -> bool:
        """Tell whether it is not decided what it was measured for."""
        return any(own is None or own.amount in (None, Amount.OPEN) for own in self.asked(row))

    def asked(self, row: Costing) -> tuple[Comparison | Judged | None, ...]:
        """Return how each thing that was asked for stands; None: nothing is known of it."""
        names = [metric.name for metric in self.study.target.decisive]
        costs: list[Comparison | Judged | None] = [row.compared.get(name) for name in names]
        sums = [own.beyond if own else None for own in map(row.sums.get, names)] if len(row.subject) > 1 else []
        return (*costs, *sums)

    def still_open(self, row: Costing | None = None) -> tuple[Comparison | Judged, ...]:
        """Return what was asked for of a row, or of any, and is not decided yet."""
        rows = self.rows[1:] if row is None else (row,)
        return tuple(own for row in rows for own in self.asked(row) if own and own.amount is Amount.OPEN)

    def rounds_for(self, needed: Iterable[int | None]) -> int | None:
        """Return after how many rounds all of these are decided; None where that cannot be told of one."""
        known = list(needed)
        return None if None in known else max((rounds for rounds in known if rounds is not None), default=self.rounds)


OWN: Mapping[str, Callable[[TracerRun, TargetRun], float | None]] = {
    "cpu_percent": lambda run, target: (
        None if run.user_s is None else 100 * (run.user_s + (run.system_s or 0)) / target.seconds
    ),
    "cpu_s": lambda run, target: None if run.user_s is None else (run.user_s + (run.system_s or 0)) / target.runs,
    "pss_peak_bytes": lambda run, _: run.pss_peak_bytes,
    "memory_peak_bytes": lambda run, _: run.memory_peak_bytes,
    "startup_s": lambda run, _: run.startup_s,
    "startup_cpu_s": lambda run, _: run.startup_cpu_s,
    "stop_s": lambda run, _: run.stop_s,
    "received": lambda run, _: run.received,
    "lost": lambda run, _: run.lost,
}
"""What is measured of a tracer. CPU: while the target ran, in per cent of one CPU, and in seconds per run of it."""


def overhead(study: OverheadStudy, records: Sequence[OverheadRecord]) -> Overhead:
    """Say what the rounds so far come to."""
    measured = [record for record in records if record.round > 0]
    compared = {metric.name: _compare(study, measured, metric) for metric in study.target.compared}
    rows = tuple(_row(study, subject, records, compared) for subject in ((), *study.subjects))
    rounds = max((record.round for record in measured), default=0)
    absent = {what: why for record in records for what, why in record.result.absent.items()}
    runs = max((record.result.target.runs for record in measured if record.result.target), default=1)
    round_s = sum(record.seconds for record in measured) / rounds if rounds else 0.0
    noise = {name: own.noise for name, own in compared.items() if own.noise is not None}
    return Overhead(study, rounds, runs, round_s, rows, noise, absent)


@dataclass(frozen=True, slots=True)
class _Compared:
    """One metric of all."""

    costs: Mapping[Subject, Comparison]
    sums: Mapping[Subject, Addition]
    noise: Noise | None


def _compare(study: OverheadStudy, records: Iterable[OverheadRecord], metric: TargetMetric) -> _Compared:
    logs: defaultdict[Subject, defaultdict[BlockId, list[float]]] = defaultdict(lambda: defaultdict(list))
    values: defaultdict[Subject, list[float]] = defaultdict(list)
    for record in records:
        value = _value(record, metric)
        if value is not None:
            values[record.subject].append(value)
        if value is not None and (log := logarithm(value)) is not None:
            logs[record.subject][record.round, record.round].append(log)
    twins = inference.noise(logs[()].values())
    means = {own: {block: statistics.fmean(both) for block, both in by_block.items()} for own, by_block in logs.items()}
    decisive, several = study.target.decisive, [own for own in study.subjects if len(own) > 1]
    aside = len(study.target.compared) - len(decisive)
    alpha = (ALPHA - ALPHA_ASIDE) / len(decisive) if metric in decisive else ALPHA_ASIDE / aside
    of_sums = SHARE_OF_SUMS * alpha if several else 0.0
    named = {str(own): {None: by_block} for own, by_block in means.items()}
    noise = {None: twins.sd} if twins else None
    gaps = against(named, str(()), alpha - of_sums, noise) if len(means) > 1 else {}
    margin = math.log1p(study.margin_percent / 100)
    costs = {}
    for own, known in values.items():
        if spread := describe(known):
            told = _judged(gaps.get(str(own)), margin)
            costs[own] = (
                Comparison(
                    spread, told.change_percent, told.apart, told.amount, told.rounds_needed, told.rounds_at_least
                )
                if own
                else Comparison(spread)
            )
    sums = {own: _addition(own, means, of_sums / len(several), twins, margin) for own in several}
    return _Compared(costs, {own: found for own, found in sums.items() if found is not None}, twins)


def _addition(
    subject: Subject,
    means: Mapping[Subject, Mapping[BlockId, float]],
    alpha: float,
    twins: Noise | None,
    margin: float,
) -> Addition | None:
    """Hold several at once against each alone, in the rounds in which there are all; None where there are none."""
    parts = [means.get((member,), {}) for member in subject]
    bare, together = means.get((), {}), means.get(subject, {})
    rounds = [block for block in together if block in bare and all(block in part for part in parts)]
    if not rounds:
        return None
    summed = {block: sum(part[block] - bare[block] for part in parts) for block in rounds}
    jointly = {block: together[block] - bare[block] for block in rounds}
    least = None
    if (
        twins
    ):  # of k tracers, the bare runs' mean is taken k - 1 times; two runs that are the same differ by the twins' SD
        least = {None: twins.sd * math.sqrt((1 + len(subject) + (len(subject) - 1) ** 2 / 2) / 2)}
    gap = against({"sum": {None: summed}, "together": {None: jointly}}, "sum", alpha, least).get("together")
    summed_percent, joint_percent = (percent(statistics.fmean(own.values())) for own in (summed, jointly))
    return Addition(summed_percent, joint_percent, _judged(gap, margin))


def _value(record: OverheadRecord, metric: TargetMetric) -> float | None:
    result = record.result
    return result.target.values.get(metric.name) if result.status is Status.OK and result.target else None


def _judged(gap: Gap | None, margin: float) -> Judged:
    told = judged(gap, by_difference=False)
    if gap is None:
        return Judged(None, told, Amount.OPEN)
    standings = {standing(own, margin) for own in (gap, gap.reversed())}
    said = {Standing.WORSE: Amount.BEYOND, Standing.EQUAL: Amount.WITHIN}
    amount = next((meant for found, meant in said.items() if found in standings), Amount.OPEN)
    needed = (gap.rounds_needed(margin), gap.rounds_needed(margin, 0.0)) if amount is Amount.OPEN else ()
    return Judged(percent(gap.mean), told, amount, *needed)


def _row(
    study: OverheadStudy, subject: Subject, records: Sequence[OverheadRecord], compared: Mapping[str, _Compared]
) -> Costing:
    of_it = [record for record in records if record.subject == subject and record.round > 0]
    good = [record for record in of_it if record.result.status is Status.OK]
    bad = [record.result for record in of_it if record.result.status is not Status.OK]
    targets = [own.result.target for own in good if own.result.target]
    runs: defaultdict[int, list[tuple[TracerRun, TargetRun]]] = defaultdict(list)
    for own in good:
        for tracer, run in zip(own.tracers, own.result.tracers, strict=False):  # none of one that is none
            if own.result.target:
                runs[tracer].append((run, own.result.target))
    alone = runs[subject[0]] if len(subject) == 1 else []
    return Costing(
        subject=subject,
        called=study.called(subject),
        n=len(good),
        failed=len(bad),
        reason=bad[0].reason if bad else None,
        printed=_printed(bad[0], subject) if bad else (),
        compared={name: own.costs[subject] for name, own in compared.items() if subject in own.costs},
        user=describe(own.user_s for own in targets),
        system=describe(own.system_s for own in targets),
        each={tracer: _own(runs[tracer]) for tracer in subject},
        ready_by=tuple(dict.fromkeys(run.ready_by for run, _ in alone)),
        bpf=next((run.bpf for run, _ in reversed(alone) if run.bpf is not None), None),
        seconds=statistics.fmean(own.seconds for own in of_it) if of_it else 0.0,
        sums={name: own.sums[subject] for name, own in compared.items() if subject in own.sums},
        counted=next((_counted(own) for own in records if own.counted and own.subject == subject), None),
    )


def _own(runs: Sequence[tuple[TracerRun, TargetRun]]) -> dict[str, Description]:
    described = {name: describe(read(run, target) for run, target in runs) for name, read in OWN.items()}
    return {name: own for name, own in described.items() if own is not None}


def _printed(failed: OverheadResult, subject: Subject) -> tuple[str, ...]:
    """Return the last lines of the tracers of a trial that failed; else of the others."""
    wanted = [name for name in failed.printed if name.startswith("tracer") == bool(subject)]
    return tuple(line for name in wanted or failed.printed for line in failed.printed[name])


def _counted(record: OverheadRecord) -> Counted | None:
    found = record.result
    if found.status is not Status.OK or found.target is None or not found.tracers or found.tracers[0].bpf is None:
        return None
    return Counted(found.target.seconds, found.tracers[0].bpf.programs)
