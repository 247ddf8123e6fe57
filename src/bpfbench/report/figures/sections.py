# SPDX-License-Identifier: Apache-2.0
"""What may stand in one figure: trials of one workload under the same conditions, tool by tool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bpfbench import factors
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import Cell, Results, in_order
from bpfbench.analysis.statistics import Analysis, Statistic
from bpfbench.analysis.summary import Group, Row, groups
from bpfbench.model import COUNTING_TOOLS, EMULATED, Accelerator, Attach, Record, Workload
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
        hook = f", {self.attach} hooks" if self.attach else ""
        machine = {None: "", Accelerator.TCG: ", emulated", Accelerator.KVM: ", virtual machine"}
        return f"Linux {self.kernel}{hook}{machine.get(self.accelerator, '')}"


@dataclass(frozen=True, slots=True)
class Section:
    """One workload under one condition."""

    condition: Condition
    workload: Workload
    groups: tuple[Group, ...]
    """By tool, in the order of the paper; of full trials only."""
    results: Results
    """Of the whole run."""
    cells: tuple[Cell, ...]
    """Its own: of all variants, and of vanilla."""
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
        return f"{self.prefix}{work.name}{f'-{work.processes}x{each}' if work.is_fio else ''}{unusual}{part}"

    @property
    def title(self) -> str:
        """The workload and its size."""
        return wording.whole(self.workload).replace(" x ", " × ")

    @property
    def with_rings(self) -> tuple[Group, ...]:
        """The tools whose events all go through a ring, which could lose them."""
        return tuple(group for group in self.groups if group.tool not in COUNTING_TOOLS and not group.of_commands)

    def of(self, row: Row) -> tuple[Record, ...]:
        """The ok trials behind a row."""
        return self.results.counted(row.cell)

    def statistic(self, row: Row, metric: Metric) -> Statistic | None:
        """What can be said of one metric of a row; None where it has no value."""
        return self.statistics.get((row.cell, metric.key))

    @property
    def is_open(self) -> bool:
        """Whether operations come at a rate of their own, however long each takes."""
        return not self.workload.is_fio and self.workload.rate_iops is not None

    @property
    def behind(self) -> str:
        """Say how many operations a percentile of a trial is of; empty where nobody counted them."""
        outcomes = (record.outcome for group in self.groups for row in group.rows for record in self.of(row))
        found = [own.operations for own in outcomes if own and own.operations]
        if not found:
            return ""
        ends = dict.fromkeys(f"{round(end(found)):,}" for end in (min, max))
        return f" Behind each percentile: {' to '.join(ends)} operations a trial."

    def caption(self, what: str) -> str:
        """Complete a caption by what the figure has of its own: workload, n, part, emulated."""
        parts = [f"Workload {self.title}.", what, f"{self.n}."]
        if self.part[1] > 1:
            parts.append(f"Part {self.part[0]} of {self.part[1]}.")
        if self.condition.emulated:
            parts.append(f"{EMULATED.capitalize()}.")
        return " ".join(parts)

    def chart(self, key: str, title: str, what: str, *rows: PanelRow, groups: Sequence[Group] | None = None) -> Chart:
        """Make a figure of it, a column per tool; `what` is for the caption."""
        tools = (str(group.tool) for group in (self.groups if groups is None else groups))
        return Chart(f"{key}-{self.key}", title, self.caption(what), tuple(tools), rows)

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


def circumstances(found: Sequence[Section]) -> str:
    """Say once where sections of one condition were measured, and what each tool is configured with in all of them."""
    condition = found[0].condition
    hook = f"{condition.attach} hooks" if condition.attach else ""
    where = ", ".join(filter(None, (condition.machine, f"Linux {condition.kernel}", hook)))
    by_tool: dict[str, list[str]] = {}
    for group in (group for section in found for group in section.groups):
        own = {name: value for name, value in group.common.items() if name not in ("attach", "variant")}
        said = [wording.factor(name, value) for name, value in own.items()]
        by_tool[group.tool] = [text for text in by_tool.get(group.tool, said) if text in said]
    configured = (f"{tool}: {', '.join(texts)}" for tool, texts in by_tool.items() if texts)
    return f"{'; '.join((f'Measured on {where}', *configured))}."


def sections(results: Results, analysis: Analysis, machine: str, kernel: str) -> tuple[Section, ...]:
    """Partition a run into what may be drawn side by side.

    Args:
        results: of the run.
        analysis: of the same.
        machine: what it ran on, in words.
        kernel: the run's, for records that do not name theirs.
    """
    virtual = any(own.environment and own.environment.accelerator is Accelerator.KVM for own in results.records)
    alike: defaultdict[tuple[Condition, Workload], list[Cell]] = defaultdict(list)
    for cell in results.cells:
        accelerator = Accelerator.TCG if cell.emulated else Accelerator.KVM if virtual else None
        condition = Condition(cell.kernel or kernel, cell.attach, accelerator, machine, cell.kernel)
        alike[condition, cell.workload].append(cell)
    for bare, workload in [key for key in alike if key[0].attach is None]:
        hooks = [key for key in alike if key[0].attach and (replace(key[0], attach=None), key[1]) == (bare, workload)]
        vanilla = alike.pop((bare, workload)) if hooks else []
        for key in hooks:
            alike[key] += vanilla
    several = len({condition for condition, _ in alike}) > 1
    statistics = {(found.cell, found.metric): found for found in analysis.statistics}
    position = {cell: at for at, cell in enumerate(results.cells)}
    ordered = {key: tuple(sorted(own, key=position.__getitem__)) for key, own in alike.items()}
    return tuple(
        Section(
            condition=condition,
            workload=workload,
            groups=groups(results, [cell for cell in own if cell.is_full]),
            results=results,
            cells=own,
            statistics=statistics,
            prefix=f"{condition.key}-" if several else "",
        )
        for (condition, workload), own in sorted(ordered.items(), key=_position)
    )


def _position(item: tuple[tuple[Condition, Workload], object]) -> tuple[object, ...]:
    condition, workload = item[0]
    return condition.emulated, condition.key, in_order(workload)


def _chunks(group: Group) -> list[Group]:
    vanilla = tuple(row for row in group.rows if row.cell.is_vanilla)
    tracers = tuple(row for row in group.rows if not row.cell.is_vanilla)
    step = MOST_ROWS - len(vanilla)
    starts = range(0, max(1, len(tracers)), step)
    return [replace(group, rows=(*vanilla, *tracers[start : start + step])) for start in starts]
