# SPDX-License-Identifier: Apache-2.0
"""Where a tracer's cost is: hook and ring, consuming, output, each the difference of two variants of one block.

Per I/O, in ns, in two currencies: what an I/O of a process of fio takes longer, queues for a CPU included; and what
target, its driver and tracer together take of CPU time for it. Of a declared target, an I/O is a read or write that the
kernel accounted. Steps add up to the whole, where every variant was run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bpfbench.analysis.metrics import BPF_TIME, Metric
from bpfbench.analysis.results import Cell, Description, Results, describe, sample
from bpfbench.model import Record, Variant

STEPS: Mapping[str, tuple[Variant, Variant | None]] = {
    "kernel": (Variant.NO_CONSUMER, None),
    "consuming": (Variant.NO_OUTPUT, Variant.NO_CONSUMER),
    "output": (Variant.FULL, Variant.NO_OUTPUT),
    "whole": (Variant.FULL, None),
}
"""Step -> the variant that has it, and the one that has all but it; None: vanilla."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one setup in one configuration costs, step by step; None where a variant is missing."""

    cell: Cell
    """Of the variant full."""
    time_ns: Mapping[str, Description | None]
    """By step: what an I/O takes longer."""
    cpu_ns: Mapping[str, Description | None]
    """By step: CPU time of target, driver and tracer per I/O; None where fio has no control group."""
    bpf_ns: Description | None
    """Run time of the BPF programs per event intercepted, of trials of their own."""
    programs_ns: Mapping[str, Description]
    """The same program by program; those whose names the kernel cuts alike (BCC's) are one."""


def costs(results: Results, among: Iterable[Cell] | None = None) -> tuple[Cost, ...]:
    """Work out what each setup costs; those run in the variant full alone are left out.

    Args:
        results: of a run.
        among: the cells that are asked about; None: all.
    """
    variants: defaultdict[Cell, dict[Variant | None, Cell]] = defaultdict(dict)
    for cell in results.cells if among is None else among:
        if cell.config is not None and not cell.is_command and not cell.emulated and results.counted(cell):
            full = replace(cell, config=replace(cell.config, variant=Variant.FULL))
            variants[full] |= {None: cell.vanilla, cell.config.variant: cell}
    found = []
    for full, cells in variants.items():
        counted = cells.get(Variant.RUN_TIME)
        bpf = results.samples.get((counted, BPF_TIME)) if counted else None
        cost = Cost(
            full,
            _steps(results, TIME, cells),
            _steps(results, CPU, cells),
            bpf.spread if bpf else None,
            _programs(results.counted(counted) if counted else ()),
        )
        if bpf is not None or any(cost.time_ns[step] or cost.cpu_ns[step] for step in STEPS if step != "whole"):
            found.append(cost)
    return tuple(found)


def time_ns(record: Record) -> float | None:
    """Return how long a process takes for an I/O, in ns; None at a limited rate, which it follows."""
    if record.fio is None or not record.fio.ios or record.trial.workload.rate_iops is not None:
        return None
    return 1e9 * record.fio.runtime_s * record.trial.workload.processes / record.fio.ios


def cpu_ns(record: Record) -> float | None:
    """Return the CPU time of target, driver and tracer per I/O, in ns; None where fio has no control group."""
    spent: list[float | None] = []
    if record.driven:
        ios = record.calls.total if record.calls else 0
        spent += [used.total_s for used in record.driven.cpu.values()]
    else:
        ios = record.fio.ios if record.fio else 0
        if group := record.groups.get("workload"):
            spent += [group.user_s, group.system_s]
    if not ios or not spent:
        return None
    if not record.trial.is_vanilla:
        spent += [record.usage.workload_user_s, record.usage.workload_system_s] if record.usage else [None]
    known = [seconds for seconds in spent if seconds is not None]
    return 1e9 * sum(known) / ios if len(known) == len(spent) else None


TIME = Metric("time_ns", "how long a process takes for an I/O", time_ns, by_difference=True)
CPU = Metric("cpu_ns", "CPU time of target, driver and tracer per I/O", cpu_ns, by_difference=True)


def _programs(records: Iterable[Record]) -> dict[str, Description]:
    """Describe the run time per event intercepted of the programs of each name."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for record in records:
        events = record.summary.intercepted_total if record.summary else 0
        run_ns: Counter[str] = Counter()
        for program in record.programs if events else ():
            run_ns[program.name] += program.run_ns
        for name, own_ns in run_ns.items():
            found[name].append(own_ns / events)
    return {name: own for name, values in sorted(found.items()) if (own := describe(values))}


def _steps(results: Results, metric: Metric, cells: Mapping[Variant | None, Cell]) -> dict[str, Description | None]:
    """Estimate each step from the differences within each block that has both variants."""
    samples = {name: sample(cell, metric, results.counted(cell)) for name, cell in cells.items()}
    pairs = {step: (samples.get(more), samples.get(less)) for step, (more, less) in STEPS.items()}
    return {step: describe(more.over(less).values()) if more and less else None for step, (more, less) in pairs.items()}
