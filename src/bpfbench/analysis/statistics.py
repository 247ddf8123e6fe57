# SPDX-License-Identifier: Apache-2.0
"""Statistics: what can be said of each metric of each cell, its spread, its change against vanilla, and how sure it is.

Comparisons are paired within blocks (results.py) and tested by inference.py; docs/statistics.md says how, and why so.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from bpfbench.analysis import inference, results
from bpfbench.analysis.inference import Difference, Paired, alike_p, holm, student
from bpfbench.analysis.results import Cell, Description, PaperRule, Results, Sample, pairing
from bpfbench.model import VANILLA, Record, Status, Tool

CONTROL = "control"
"""The setup of those vanilla trials that are compared with the others, in the A/A experiment."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """One metric of one cell."""

    cell: Cell
    metric: str
    unit: str
    spread: Description
    paired: Paired | None
    """None for vanilla, for metrics vanilla does not have or that are compared by difference, and without a pair."""
    rule: PaperRule | None
    """The paper's: within vanilla's SD or not. None for vanilla, and of a metric that vanilla cannot have."""
    difference: Difference | None = None
    """In place of `paired`, of a metric that is compared by difference."""


@dataclass(frozen=True, slots=True)
class HostDifference:
    """Vanilla on several hosts: what the servers differ by before any tracer runs."""

    cell: Cell
    metric: str
    ratios: Mapping[str, float]
    """By host: geometric mean / the geometric mean of all hosts' geometric means."""
    n: Mapping[str, int]
    """By host: blocks."""
    p: float | None
    """Of Alexander and Govern's test on the logarithms, which lets hosts scatter differently; None with fewer than 2
    values on a host."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A run in statistics."""

    hosts: tuple[HostDifference, ...]
    """Empty for one host. To be read first."""
    statistics: tuple[Statistic, ...]
    """In the order of the results' cells, each with its metrics in the order of METRICS."""
    warnings: tuple[str, ...]

    def find(self, metric: str | None = None, **cell: Any) -> tuple[Statistic, ...]:
        """Return what fits: `find("runtime_s", setup="libbpf", tool="rw-tracer")`."""
        return tuple(
            found
            for found in self.statistics
            if metric in (None, found.metric) and all(getattr(found.cell, key) == value for key, value in cell.items())
        )


def analyse(of_run: Results) -> Analysis:
    """Analyse a run. Only ok trials count, and none of an emulated machine."""
    samples = list(of_run.measured)
    statistics = tuple(
        Statistic(
            own.cell,
            own.metric.key,
            own.metric.unit,
            own.spread,
            paired=tested if isinstance(tested, Paired) else None,
            rule=own.rule,
            difference=tested if isinstance(tested, Difference) else None,
        )
        for own, tested in zip(samples, _tested(samples), strict=True)
    )
    return Analysis(tuple(_host_differences(samples)), statistics, tuple(_warnings(statistics)))


def control(of_run: Results) -> Results:
    """Return the A/A experiment within a run: vanilla against vanilla, which must come out without a difference.

    The two vanilla trials of a block make a pair, of which one is given the setup `control`: the earlier and the later
    by turns. Runs whose blocks have one vanilla each (formats 1 to 3, and few tracers) have it in the block of each
    tool; there each two of the same host, session and workload make a pair, in the order they were run, which lies a
    block apart and so scatters more than a tracer and its vanilla do.
    """
    vanilla = [
        (cell, record)
        for cell, record in of_run.trials
        if cell.is_vanilla and record.status is Status.OK and not cell.emulated
    ]
    blocks: defaultdict[Any, list[tuple[Cell, Record]]] = defaultdict(list)
    for cell, record in vanilla:
        blocks[pairing(record)].append((cell, record))
    twins = [item for own in blocks.values() if len(own) == 2 for item in own]
    alike: defaultdict[Any, list[Record]] = defaultdict(list)
    for cell, record in twins or vanilla:
        # What tool it ran beside does nothing to it.
        alike[replace(cell, tool=Tool.SYSCOUNT), record.trial.host, record.session].append(record)
    return results.of(
        _as_pair(record, number)
        for own in alike.values()
        for number, record in enumerate(own[: len(own) - len(own) % 2])
    )


def _as_pair(record: Record, number: int) -> Record:
    pair = number // 2
    setup = CONTROL if (number + pair) % 2 else VANILLA
    trial = replace(record.trial, block=pair, repetition=pair + 1, tool=Tool.SYSCOUNT, setup=setup)
    return dataclasses.replace(record, trial=trial)


def _tested(samples: Sequence[Sample]) -> Iterator[Paired | Difference | None]:
    """Test each sample against vanilla's, if there are pairs.

    Those are corrected together that are compared with the same vanilla in the same metric and variant.
    """
    changes = [list(own.changes.values()) for own in samples]
    as_ratios = [bool(own) and not sample.metric.by_difference for own, sample in zip(changes, samples, strict=True)]
    ratios = iter(inference.ratios([own for own, is_ratio in zip(changes, as_ratios, strict=True) if is_ratio]))
    tested = [
        next(ratios) if is_ratio else student(own) if own else None
        for own, is_ratio in zip(changes, as_ratios, strict=True)
    ]
    families = [(own.cell.vanilla, own.cell.config and own.cell.config.variant, own.metric) for own in samples]
    by_t = holm([found.p if found else None for found in tested], families)
    by_flip = holm([found.p_sign_flip if isinstance(found, Paired) else None for found in tested], families)
    for found, p, flip in zip(tested, by_t, by_flip, strict=True):
        if isinstance(found, Paired):
            yield replace(found, p_corrected=p, p_sign_flip_corrected=flip)
        else:
            yield found and replace(found, p_corrected=p)


def _host_differences(samples: Iterable[Sample]) -> Iterator[HostDifference]:
    for own in samples:
        if not own.cell.is_vanilla:
            continue
        by_host: defaultdict[str, list[float]] = defaultdict(list)
        for (host, _, _), values in own.by_block(logs=True).items():
            by_host[host].append(fmean(values))  # two trials of a block are no two repetitions
        if len(by_host) < 2:
            continue
        means = {host: fmean(logs) for host, logs in by_host.items()}
        middle = fmean(means.values())
        yield HostDifference(
            own.cell,
            own.metric.key,
            ratios={host: math.exp(mean - middle) for host, mean in means.items()},
            n={host: len(logs) for host, logs in by_host.items()},
            p=alike_p(list(by_host.values())),
        )


def _warnings(statistics: Iterable[Statistic]) -> Iterator[str]:
    """Say what the numbers of pairs do not allow."""
    pairs = {own.paired.n for own in statistics if own.paired is not None and own.cell.is_full}
    for n in sorted(n for n in pairs if n < 6):
        if n < 2:
            yield "With 1 pair nothing can be tested: a ratio without an interval says nothing of its error."
            continue
        yield (
            f"With {n} pairs the permutation test cannot go below p = {2 ** (1 - n):.3g}, so it cannot confirm any "
            "difference (6 pairs can); the interval and its test rest on the logarithms of the ratios being about "
            "normally distributed."
        )
