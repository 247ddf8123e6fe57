# SPDX-License-Identifier: Apache-2.0
"""A run for services that watch benchmarks over time: Bencher, and github-action-benchmark.

Machines drift, so what is worth watching is the ratio to vanilla of the same block (`..._over_vanilla`), not the value
alone. A benchmark is named by all that it was run with, so that its history goes on when a study gains a factor.
Emulated machines are not in the analysis, and so not in here.

Bencher Metric Format, https://bencher.dev/docs/reference/bencher-metric-format: benchmark -> measure -> {value,
lower_value, upper_value}. The bounds are the 95 % interval of a ratio, and mean - SD and mean + SD of a value.

github-action-benchmark, https://github.com/benchmark-action/github-action-benchmark: a list of {name, unit, value,
range, extra} in which either the smaller or the bigger is better. Ours is for `tool: customSmallerIsBetter`: of what
could be said both ways, the cost is exported (runtime and not throughput, lost and not saved).
"""

from __future__ import annotations

from typing import Any

from bpfbench.analysis import metrics
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import Cell, said
from bpfbench.analysis.statistics import Analysis, Statistic
from bpfbench.factors import unusual
from bpfbench.report.about import About
from bpfbench.report.wording import factor, whole
from bpfbench.report.write.json import written
from bpfbench.units import size

COSTS: tuple[Metric, ...] = (
    metrics.RUNTIME,
    metrics.LATENCY_P99,
    metrics.CPU,
    metrics.ENERGY,
    metrics.LOST_PERCENT,
    metrics.TRACER_CPU,
    metrics.PSS_PEAK,
    metrics.STARTUP,
    metrics.BPF_TIME,
)
"""What github-action-benchmark gets: each is better the smaller it is."""


def to_bencher(analysis: Analysis) -> str:
    """Write every metric of every cell in Bencher Metric Format."""
    document: dict[str, dict[str, Any]] = {}
    for statistic in analysis.statistics:
        measures = document.setdefault(name(statistic.cell), {})
        spread, paired = statistic.spread, statistic.paired
        measures[statistic.metric] = _metric(
            spread.mean, None if spread.sd is None else (spread.mean - spread.sd, spread.mean + spread.sd)
        )
        if paired is not None:
            ends = paired.interval
            measures[f"{statistic.metric}_over_vanilla"] = _metric(
                paired.ratio, None if ends is None else (ends.low, ends.high)
            )
    return written(document)


def to_github(analysis: Analysis, info: About) -> str:
    """Write the costs of every tracer for `tool: customSmallerIsBetter`: over vanilla where vanilla has them."""
    costs = {metric.key for metric in COSTS}
    found = (s for s in analysis.statistics if s.metric in costs and not s.cell.is_vanilla)
    entries = [entry for statistic in found if (entry := _entry(statistic, info))]
    return written(entries)


def name(cell: Cell) -> str:
    """Name what was measured by all it was run with."""
    work = cell.workload
    limit = "".join(f" at {own.called(value)}" for own, value in unusual(work))
    workload = f"{work.name} {work.processes}x{size(work.bytes_per_process)}{limit}" if work.is_fio else whole(work)
    configured = (factor(key, value) for key, value in said(cell.config).items())
    return ", ".join([f"{workload} {cell.tool} {cell.setup}", *configured])


def _metric(value: float, bounds: tuple[float, float] | None) -> dict[str, float]:
    return {"value": value} if bounds is None else {"value": value, "lower_value": bounds[0], "upper_value": bounds[1]}


def _entry(statistic: Statistic, info: About) -> dict[str, Any] | None:
    metric, paired = metrics.BY_KEY[statistic.metric], statistic.paired
    if metric.versus_vanilla and paired is None:
        return None
    if paired is not None:
        half = None if paired.interval is None else (paired.interval.high - paired.interval.low) / 2
        what, unit, value, n = f"{metric.key} over vanilla", "x", paired.ratio, paired.n
    else:
        spread = statistic.spread
        what, unit, value, n, half = metric.key, statistic.unit, spread.mean, spread.n, spread.sd
    entry = {"name": f"{name(statistic.cell)}: {what}", "unit": unit, "value": value}
    if half is not None:
        entry["range"] = f"± {half:.4g}"
    return {**entry, "extra": f"n {n}; run {info.run_id}; {info.host}; kernel {statistic.cell.kernel or info.kernel}"}
