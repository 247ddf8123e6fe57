# SPDX-License-Identifier: Apache-2.0
"""The tidy table -> what can be said of each setup: spread, paired ratio to vanilla, and how sure that is.

Everything about a ratio is done on its logarithm, over pairs of one block (compare.py). docs/statistics.md has every
formula with its source, why each was chosen, and what benchmarks/validate_statistics.py found of them in simulation.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from bpfbench import catalogue
from bpfbench.analysis import inference
from bpfbench.analysis.compare import Pairing, PaperRule, differences, judge, log_ratios
from bpfbench.analysis.estimate import Estimate
from bpfbench.analysis.inference import Difference, Paired, alike_p, holm, outliers, student
from bpfbench.analysis.metrics import BY_KEY
from bpfbench.analysis.table import CELL, GROUP, Cell, measured
from bpfbench.model import VANILLA, Tool


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of a cell's ok trials, in the metric's unit."""

    n: int
    mean: float
    sd: float | None
    """Sample standard deviation; None for a single value."""
    median: float
    min: float
    max: float

    @property
    def estimate(self) -> Estimate:
        """Mean and SD alone."""
        return Estimate(self.mean, self.sd, self.n)


@dataclass(frozen=True, slots=True)
class Statistic:
    """One metric of one cell."""

    cell: Cell
    metric: str
    unit: str
    spread: Spread
    paired: Paired | None
    """None for vanilla, for metrics vanilla does not have or that are compared by difference, and without a pair."""
    rule: PaperRule | None
    """The paper's: within vanilla's SD or not. None where vanilla does not have the metric."""
    difference: Difference | None = None
    """In place of `paired`, of a metric that is compared by difference."""


@dataclass(frozen=True, slots=True)
class HostDifference:
    """Vanilla on several hosts: what the servers differ by before any tracer runs."""

    group: tuple[Any, ...]
    """The values of GROUP."""
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
    """By cell (vanilla first), each with its metrics in the order of the table."""
    warnings: tuple[str, ...]

    def find(self, metric: str | None = None, **cell: Any) -> tuple[Statistic, ...]:
        """Return what fits: `find("runtime_s", setup="libbpf", tool="rw-tracer")`."""
        return tuple(
            found
            for found in self.statistics
            if metric in (None, found.metric) and all(getattr(found.cell, key) == value for key, value in cell.items())
        )


def analyse(table: pl.DataFrame) -> Analysis:
    """Analyse a tidy table of one run. Only ok trials count, and none of an emulated machine."""
    rows = measured(table)
    found = observed(rows)
    tested = _with_tests([_statistic(own) for own in found], [own.log_ratios for own in found])
    statistics = tuple(sorted(_corrected(tested), key=lambda statistic: position(statistic.cell)))
    return Analysis(_host_differences(rows), statistics, tuple(_warnings(statistics)))


def control(table: pl.DataFrame) -> pl.DataFrame:
    """Return the A/A experiment within a run: vanilla against vanilla, which must come out without a difference.

    The two vanilla trials of a block make a pair, of which one is given the setup `control`: the earlier and the later
    by turns. Runs whose blocks have one vanilla each (formats 1 to 3, and few tracers) have it in the block of each
    tool; there each two of the same host, session and workload make a pair, in the order they were run, which lies a
    block apart and so scatters more than a tracer and its vanilla do.
    """
    workload = [key for key in (*GROUP, "host", "session") if key != "tool"]
    vanilla = measured(table).filter(pl.col("setup") == VANILLA).unique("trial").sort("index")
    twins = vanilla.filter(pl.len().over("host", "session", "block") == 2)
    trials = (
        (vanilla if twins.is_empty() else twins)
        .select("trial", pl.int_range(pl.len()).over(workload).alias("number"), pl.len().over(workload).alias("of"))
        .filter(pl.col("number") < pl.col("of") - pl.col("of") % 2)
    )
    pair = pl.col("number") // 2
    return (
        table.join(trials, on="trial", maintain_order="left")
        .with_columns(
            block=pair.cast(pl.Int64),
            repetition=(pair + 1).cast(pl.Int64),
            tool=pl.lit("any"),
            setup=pl.when((pl.col("number") + pair) % 2 == 0).then(pl.lit(VANILLA)).otherwise(pl.lit("control")),
        )
        .select(table.columns)
    )


@dataclass(frozen=True, slots=True)
class Observed:
    """One metric of one cell: the values of its ok trials, and their log ratios to vanilla where they have a pair."""

    cell: Cell
    metric: str
    unit: str
    values: tuple[float, ...]
    pairings: tuple[Pairing, ...]
    """Of the values: two of a block share what the machine was worth then, and are no two repetitions."""
    log_ratios: Mapping[str, float]
    """By trial. Empty for vanilla, and for metrics vanilla does not have or that are compared by difference."""
    vanilla: tuple[float, ...]
    """The values of the vanilla it is compared with."""
    differences: Mapping[str, float]
    """In place of `log_ratios`, of a metric that is compared by difference."""


def observed(rows: pl.DataFrame) -> tuple[Observed, ...]:
    """Return what a table's counted rows hold, cell by cell."""
    grouped = rows.group_by(*CELL, "metric", maintain_order=True).agg(
        pl.col("unit").first(), "trial", pl.struct("host", "block", "session").alias("pairing"), "value"
    )
    found: dict[tuple[Cell, str], tuple[str, list[str], list[Pairing], list[float]]] = {}
    for row in grouped.iter_rows():
        unit, trials, pairings, values = row[len(CELL) + 1 :]
        pairs = [(pair["host"], pair["block"], pair["session"]) for pair in pairings]
        found[Cell(*row[: len(CELL)]), row[len(CELL)]] = unit, trials, pairs, values
    none: tuple[str, list[str], list[Pairing], list[float]] = ("", [], [], [])
    result = []
    for (cell, metric), (unit, trials, pairs, values) in found.items():
        _, _, base_pairs, base = none if cell.is_vanilla else found.get((cell.vanilla, metric), none)
        by_difference = BY_KEY[metric].by_difference
        compare = differences if by_difference else log_ratios
        compared = zip(trials, compare(pairs, values, base_pairs, base), strict=True)
        known = {trial: change for trial, change in compared if change is not None}
        ratios, changes = ({}, known) if by_difference else (known, {})
        result.append(Observed(cell, metric, unit, tuple(values), tuple(pairs), ratios, tuple(base), changes))
    return tuple(result)


def _statistic(own: Observed) -> Statistic:
    """Return what needs no test."""
    spread, logs = describe(own.values), own.log_ratios
    return Statistic(
        own.cell,
        own.metric,
        own.unit,
        spread,
        paired=Paired(len(logs), math.exp(sum(logs.values()) / len(logs))) if logs else None,
        rule=judge(spread.estimate, describe(own.vanilla).estimate) if own.vanilla else None,
        difference=student(list(own.differences.values())) if own.differences else None,
    )


def describe(values: Sequence[float]) -> Spread:
    """Describe values; there is at least one."""
    array = np.asarray(values)
    sd = float(array.std(ddof=1)) if len(array) > 1 else None
    return Spread(len(array), float(array.mean()), sd, float(np.median(array)), float(array.min()), float(array.max()))


def _with_tests(statistics: Sequence[Statistic], ratios: Sequence[Mapping[str, float]]) -> list[Statistic]:
    """Test everything that has pairs: those with equally many at once, which takes seconds off a large run."""
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for place, own in enumerate(ratios):
        by_size[len(own)].append(place)
    tested = list(statistics)
    for n, places in by_size.items():
        if n < 2:
            continue
        for place, paired in zip(places, inference.ratios([list(ratios[p].values()) for p in places]), strict=True):
            outlying = outliers(ratios[place])
            tested[place] = replace(statistics[place], paired=replace(paired, outliers=outlying))
    return tested


def _corrected(statistics: Sequence[Statistic]) -> list[Statistic]:
    families: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for place, statistic in enumerate(statistics):
        tested = statistic.paired or statistic.difference
        if tested is not None and tested.p is not None:
            families[statistic.cell.vanilla, statistic.cell.variant, statistic.metric].append(place)
    corrected = list(statistics)
    for places in families.values():
        for place, found in zip(places, _in_family([statistics[place] for place in places]), strict=True):
            corrected[place] = found
    return corrected


def _in_family(family: Sequence[Statistic]) -> Iterator[Statistic]:
    """Correct those that are compared with the same vanilla in the same metric, by ratio or by difference."""
    tested = [own.paired or own.difference for own in family]
    by_t = holm([found.p or 0.0 for found in tested if found])
    by_flip = holm([own.paired.p_sign_flip or 0.0 if own.paired else 0.0 for own in family])
    for own, p, flip in zip(family, by_t, by_flip, strict=True):
        if own.paired is not None:
            whole = replace(own.paired, p_corrected=p, p_sign_flip_corrected=flip, family=len(family))
            yield replace(own, paired=whole)
        elif own.difference is not None:
            yield replace(own, difference=replace(own.difference, p_corrected=p))


def _host_differences(rows: pl.DataFrame) -> tuple[HostDifference, ...]:
    vanilla = rows.filter(pl.col("setup") == VANILLA, pl.col("value") > 0)
    if vanilla["host"].n_unique() < 2:
        return ()
    # Two trials of a block are no two repetitions: their mean counts once.
    blocks = vanilla.group_by(*GROUP, "metric", "host", "session", "block", maintain_order=True).agg(
        pl.col("value").log().mean()
    )
    grouped = blocks.group_by(*GROUP, "metric", "host", maintain_order=True).agg("value")
    by_metric: defaultdict[tuple[Any, ...], dict[str, list[float]]] = defaultdict(dict)
    for row in grouped.iter_rows():
        by_metric[row[:-2]][row[-2]] = row[-1]
    return tuple(
        HostDifference(
            group=key[:-1],
            metric=key[-1],
            ratios=_relative({host: float(np.mean(logs)) for host, logs in by_host.items()}),
            n={host: len(logs) for host, logs in by_host.items()},
            p=alike_p(list(by_host.values())),
        )
        for key, by_host in by_metric.items()
        if len(by_host) > 1
    )


def _relative(means: Mapping[str, float]) -> dict[str, float]:
    middle = sum(means.values()) / len(means)
    return {host: math.exp(mean - middle) for host, mean in means.items()}


def _warnings(statistics: Iterable[Statistic]) -> Iterator[str]:
    """Say what the numbers of pairs do not allow."""
    sizes = {s.paired.n for s in statistics if s.paired is not None and s.cell.is_full}
    for n in sorted(size for size in sizes if size < 6):
        if n < 2:
            yield "With 1 pair nothing can be tested: a ratio without an interval says nothing of its error."
            continue
        yield (
            f"With {n} pairs the permutation test cannot go below p = {2 / 2**n:.3g}, so it cannot confirm any "
            "difference (6 pairs can); the interval and its test rest on the logarithms of the ratios being about "
            "normally distributed."
        )


def position(cell: Cell) -> tuple[Any, ...]:
    """A sort key: groups, vanilla first in each, setups in the catalogue's order."""
    tools, setups = [tool.value for tool in Tool], [VANILLA, *catalogue.SETUPS]
    group = (cell.kernel or "", cell.emulated, cell.workload, cell.processes, cell.bytes_per_process)
    config = (cell.attach, cell.format, cell.ringbuf_bytes, cell.poll_ms, cell.payload_bytes, cell.variant)
    return (
        *group,
        cell.rate_iops or math.inf,
        _rank(cell.tool, tools),
        _rank(cell.setup, setups),
        tuple((value is not None, 0 if value is None else value) for value in config),
    )


def _rank(name: str, order: Sequence[str]) -> tuple[int, str]:
    return (order.index(name), "") if name in order else (len(order), name)
