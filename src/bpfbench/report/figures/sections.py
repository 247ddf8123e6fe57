# SPDX-License-Identifier: Apache-2.0
"""What may stand in one figure: trials of one workload under the same conditions, tool by tool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bpfbench import factors
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import Cell, Results, in_order, of
from bpfbench.analysis.statistics import Analysis, Statistic
from bpfbench.analysis.summary import Group, Row, summarise
from bpfbench.model import EMULATED, Accelerator, Attach, Environment, Record, Status, Tool, Trial, Variant, Workload
from bpfbench.report import wording
from bpfbench.report.chart import Chart, PanelRow
from bpfbench.units import size

MOST_ROWS = 14
"""More do not fit beside each other; a crossed study has dozens."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What numbers must share to be drawn side by side."""

    kernel: str
    attach: Attach | None
    """None where no tracer ran."""
    accelerator: Accelerator | None
    machine: str
    """What it ran on, for people; of virtual machines, the host."""
    known_kernel: str | None
    """The kernel as the tidy table has it: None where the records do not name it."""

    @property
    def emulated(self) -> bool:
        """True where correctness only is shown: no figure, no answer."""
        return self.accelerator is Accelerator.TCG

    def has(self, cell: Cell) -> bool:
        """Whether a tracer's cell was measured under it."""
        return (cell.kernel, cell.emulated, cell.attach) == (self.known_kernel, self.emulated, self.attach)

    @property
    def key(self) -> str:
        """Names files and anchors."""
        return "-".join(filter(None, (self.kernel, self.attach, self.accelerator)))

    @property
    def title(self) -> str:
        """Short, for a heading."""
        hook = f"{self.attach} hooks" if self.attach else "no tracer"
        machine = {None: "", Accelerator.TCG: ", emulated", Accelerator.KVM: ", virtual machine"}
        return f"Linux {self.kernel}, {hook}{machine.get(self.accelerator, '')}"


@dataclass(frozen=True, slots=True)
class Section:
    """One workload under one condition."""

    condition: Condition
    workload: Workload
    groups: tuple[Group, ...]
    """By tool, in the order of the paper; of full trials only."""
    trials: Mapping[Cell, tuple[Record, ...]]
    """The ok trials behind each row."""
    variants: tuple[Record, ...]
    """Where other variants were run: their ok trials, with the full ones and vanilla for comparison; else empty."""
    statistics: Mapping[tuple[Cell, str], Statistic]
    """Of the whole run, by cell and metric."""
    prefix: str = ""
    """Tells its files from those of other conditions."""
    part: tuple[int, int] = (1, 1)
    """Which part of how many, where its rows are too many for one figure."""

    @property
    def key(self) -> str:
        """Names files and anchors."""
        work = self.workload
        number, of = self.part
        unusual = "".join(f"-{factor.slug.format(value)}" for factor, value in factors.unusual(work))
        part = f"-part{number}" if of > 1 else ""
        each = size(work.bytes_per_process).replace(" ", "")
        return f"{self.prefix}{work.name}-{work.processes}x{each}{unusual}{part}"

    @property
    def title(self) -> str:
        """The workload and its size."""
        return f"{self.workload.name}, {wording.extent(self.workload)}".replace(" x ", " × ")

    @property
    def with_rings(self) -> tuple[Group, ...]:
        """The tools that have a ring, which could lose events."""
        return tuple(group for group in self.groups if group.tool is not Tool.SYSCOUNT)

    def of(self, row: Row) -> tuple[Record, ...]:
        """The ok trials behind a row."""
        return self.trials.get(row.cell, ())

    def statistic(self, row: Row, metric: Metric) -> Statistic | None:
        """What can be said of one metric of a row; None where it has no value."""
        return self.statistics.get((row.cell, metric.key))

    def caption(self, what: str) -> str:
        """Complete a caption: workload, machine, kernel, hook, n, emulated."""
        condition = self.condition
        hook = f"{condition.attach} hooks" if condition.attach else ""
        kernel = f"Linux {condition.kernel}"
        where = ", ".join(filter(None, (condition.machine, kernel, hook, *self._common(), self.n)))
        parts = [f"Workload {self.title}.", what, f"{where}."]
        if self.part[1] > 1:
            parts.append(f"Part {self.part[0]} of {self.part[1]}.")
        if condition.emulated:
            parts.append(f"{EMULATED.capitalize()}.")
        return " ".join(parts)

    def chart(self, key: str, title: str, what: str, *rows: PanelRow, groups: Sequence[Group] | None = None) -> Chart:
        """Make a figure of it, a column per tool; `what` is for the caption."""
        tools = (group.tool.value for group in (self.groups if groups is None else groups))
        return Chart(f"{key}-{self.key}", title, self.caption(what), tuple(tools), rows)

    def _common(self) -> list[str]:
        """What all tracers are configured with, beside the hook."""
        found = [{k: v for k, v in group.common.items() if k not in ("attach", "variant")} for group in self.groups]
        return [wording.factor(name, value) for name, value in max(found, key=len, default={}).items()]

    def parts(self) -> tuple[Section, ...]:
        """Split it by rows into what fits beside each other, with vanilla in each part."""
        chunks = [_chunks(group) for group in self.groups]
        of = max(map(len, chunks), default=1)
        if of <= 1:
            return (self,)
        return tuple(
            replace(self, groups=tuple(own[number] for own in chunks if number < len(own)), part=(number + 1, of))
            for number in range(of)
        )

    @property
    def n(self) -> str:
        """Trials that count per row."""
        counts = [row.n for group in self.groups for row in group.rows if row.n]
        low, high = min(counts, default=0), max(counts, default=0)
        return f"n = {low}" if low == high else f"n = {low} to {high}"


def sections(results: Results, analysis: Analysis, machine: str, kernel: str) -> tuple[Section, ...]:
    """Partition a run into what may be drawn side by side.

    Args:
        results: of the run.
        analysis: of the same.
        machine: what it ran on, in words.
        kernel: the run's, for records that do not name theirs.
    """
    trials: defaultdict[tuple[Condition, Workload], list[Record]] = defaultdict(list)
    shared: defaultdict[tuple[Condition, Workload], list[Record]] = defaultdict(list)
    records = results.records
    seen = {(record.trial.host, record.trial.kernel): record.environment for record in records if record.environment}
    for record in records:
        # A trial that failed before it could look gets what others saw on its host and kernel.
        environment = record.environment or seen.get((record.trial.host, record.trial.kernel))
        condition = _condition(record, environment, machine, kernel)
        place = shared if record.trial.is_vanilla else trials
        place[condition, record.trial.workload].append(record)
    statistics = {(found.cell, found.metric): found for found in analysis.statistics}
    for (condition, workload), vanilla in shared.items():
        same = [key for key in trials if key[1] == workload and replace(key[0], attach=None) == condition]
        for key in same or [(condition, workload)]:
            trials[key] += vanilla

    def position(item: tuple[Condition, Workload]) -> tuple[object, ...]:
        condition, workload = item
        return (condition.emulated, condition.key, in_order(workload))

    several = len({condition for condition, _ in trials}) > 1
    found = (
        (condition, _section(condition, workload, of(trials[condition, workload], results.info), statistics))
        for condition, workload in sorted(trials, key=position)
    )
    return tuple(replace(own, prefix=f"{condition.key}-") if several else own for condition, own in found)


def _chunks(group: Group) -> list[Group]:
    vanilla = tuple(row for row in group.rows if row.is_vanilla)
    tracers = tuple(row for row in group.rows if not row.is_vanilla)
    step = MOST_ROWS - len(vanilla)
    starts = range(0, max(1, len(tracers)), step)
    return [replace(group, rows=(*vanilla, *tracers[start : start + step])) for start in starts]


def _condition(record: Record, environment: Environment | None, machine: str, kernel: str) -> Condition:
    config = record.trial.config
    known = environment.kernel if environment else record.trial.kernel
    return Condition(
        kernel=known or kernel,
        attach=config.attach if config else None,
        accelerator=environment.accelerator if environment else None,
        machine=machine,
        known_kernel=known,
    )


def _section(
    condition: Condition, workload: Workload, own: Results, statistics: Mapping[tuple[Cell, str], Statistic]
) -> Section:
    full = of((record for record in own.records if is_full(record.trial)), own.info)
    return Section(
        condition=condition,
        workload=workload,
        groups=summarise(full).groups,
        trials={cell: full.counted(cell) for cell in full.cells},
        variants=tuple(_ok(own.records)) if len(full.records) < len(own.records) else (),
        statistics=statistics,
    )


def is_full(trial: Trial) -> bool:
    """Whether a trial measures its setup as such."""
    return trial.config is None or trial.config.variant is Variant.FULL


def _ok(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record.status is Status.OK]
