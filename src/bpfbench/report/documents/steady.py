# SPDX-License-Identifier: Apache-2.0
"""What hardly varies, setup by setup: start-up, memory, size, what an event costs, and what each keeps up with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bpfbench.analysis import metrics
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import Cell, Results, Sample
from bpfbench.model import COUNTING_TOOLS, IoPace
from bpfbench.report import wording
from bpfbench.report.document import ABSENT, Column, Field, Table
from bpfbench.report.quantities import BY_METRIC
from bpfbench.units import count

LOSSLESS_PERCENT = 95.0
"""Who saves more than this as fast as the target goes may drain more than it did."""

LEGEND = (
    "Mean ± SD over trials; of several workloads or configurations, the least and the largest mean. Size: executables"
    " and shared libraries. CPU an event: of the tracer's processes, per event saved. Drained: events saved in a"
    " second. Both as fast as {target} goes, beside it on the same CPUs."
)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A column: a metric, of trials at one pace or of all."""

    title: str
    metric: Metric
    pace: IoPace | None = None
    """None: whatever it is."""

    @property
    def column(self) -> Column:
        return Column(self.title, BY_METRIC[self.metric].unit)

    def of(self, samples: Sequence[Sample]) -> list[Sample]:
        """What a setup has of it."""
        return [own for own in samples if own.metric is self.metric and self.pace in (None, own.cell.workload.pace)]


def tables(results: Results) -> Iterator[Table]:
    """Yield a table of each tool on each kernel, a row per setup."""
    found: defaultdict[tuple[str | None, str], list[Sample]] = defaultdict(list)
    for own in results.measured:
        if not own.cell.is_vanilla and own.cell.is_full:
            found[own.cell.kernel, own.cell.tool].append(own)
    kernels = {kernel for kernel, _ in found}
    for (kernel, tool), samples in found.items():
        where = f", Linux {kernel}" if len(kernels) > 1 else ""
        yield _table(f"{tool}{where}", samples)


def _table(title: str, samples: Sequence[Sample]) -> Table:
    by_setup: defaultdict[str, list[Sample]] = defaultdict(list)
    for own in samples:
        by_setup[own.cell.setup].append(own)
    columns = [shown for shown in _columns(samples) if shown.of(samples)]
    rows = tuple(
        (Field(setup), *(_field(shown, shown.of(own), own) for shown in columns)) for setup, own in by_setup.items()
    )
    return Table((Column("setup", is_text=True), *(shown.column for shown in columns)), rows, title=title)


def _columns(samples: Sequence[Sample]) -> Iterator[_Shown]:
    full = IoPace(rate_iops=None, burst_ios=1, duty_percent=100.0)
    yield _Shown("start", metrics.STARTUP)
    yield _Shown("PSS", metrics.PSS_PEAK)
    yield _Shown("size", metrics.CODE)
    if any(own.cell.tool in COUNTING_TOOLS for own in samples):
        return  # it counts in the kernel: nothing is drained, nor lost
    yield _Shown("CPU", metrics.TRACER_TIME, full)
    yield _Shown("drained", metrics.SAVED_RATE, full)
    offered: defaultdict[IoPace, list[float]] = defaultdict(list)
    for own in samples:
        if own.metric is metrics.OFFERED:
            offered[own.cell.workload.pace].append(own.spread.mean)
    for pace, each in sorted(offered.items(), key=lambda item: item[0].order):
        at = "as fast as it goes" if pace.rate_iops is None else f"at {count(max(each))}/s{wording.bursts(pace)}"
        yield _Shown(f"saved {at}", metrics.SAVED_PERCENT, pace)


def _field(shown: _Shown, found: Sequence[Sample], all_: Sequence[Sample]) -> Field:
    if not found:
        return Field(ABSENT)
    quantity, means = BY_METRIC[shown.metric], [own.spread.mean for own in found]
    digits = quantity.digits(means)
    least, largest = (quantity.number(mean, digits) for mean in (min(means), max(means)))
    more = "≥ " if shown.metric is metrics.SAVED_RATE and _loses_little({own.cell for own in found}, all_) else ""
    if len(found) == 1:
        return Field(f"{more}{least}", spread=quantity.spread(found[0].spread.sd, digits))
    return Field(f"{more}{least}" if least == largest else f"{more}{least} to {largest}")


def _loses_little(cells: set[Cell], samples: Sequence[Sample]) -> bool:
    """Tell whether it saved nearly all, so that it was not held up by what it can drain."""
    saved = [own.spread.mean for own in samples if own.metric is metrics.SAVED_PERCENT and own.cell in cells]
    return bool(saved) and max(saved) > LOSSLESS_PERCENT
