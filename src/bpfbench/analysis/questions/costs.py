# SPDX-License-Identifier: Apache-2.0
"""Where a tracer's cost is: hook and ring, consuming, output, each the difference of two variants of one block.

Per I/O, in ns, in two currencies: what an I/O of a process takes longer, queues for a CPU included; and what fio and
tracer together take of CPU time for it. Steps add up to the whole, where every variant was run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bpfbench.analysis.metrics import BPF_TIME
from bpfbench.analysis.results import Cell, Description, Pairing, Results, describe, pairing
from bpfbench.model import Record, Tool, TracerConfig, Variant, Workload

STEPS: Mapping[str, tuple[Variant, Variant | None]] = {
    "kernel": (Variant.NO_CONSUMER, None),
    "consuming": (Variant.NO_OUTPUT, Variant.NO_CONSUMER),
    "output": (Variant.FULL, Variant.NO_OUTPUT),
    "whole": (Variant.FULL, None),
}
"""Step -> the variant that has it, and the one that has all but it; None: vanilla."""

_Blocks = Mapping[Pairing, Sequence[Record]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one setup in one configuration costs, step by step; None where a variant is missing."""

    kernel: str | None
    """Of the image's, as the plan has it."""
    workload: Workload
    tool: Tool
    setup: str
    config: TracerConfig
    """Of the variant full."""
    time_ns: Mapping[str, Description | None]
    """By step: what an I/O takes longer."""
    cpu_ns: Mapping[str, Description | None]
    """By step: CPU time of fio and tracer per I/O; None where fio has no control group."""
    bpf_ns: Description | None
    """Run time of the BPF programs per event intercepted, of trials of their own."""


def costs(results: Results) -> tuple[Cost, ...]:
    """Work out what each setup of a run costs; those run in the variant full alone are left out."""
    variants: defaultdict[tuple[Cell, TracerConfig], dict[Variant, Sequence[Record]]] = defaultdict(dict)
    for cell in results.cells:
        counted = results.counted(cell)
        if cell.config is not None and counted and not cell.emulated:
            full = replace(cell.config, variant=Variant.FULL)
            variants[replace(cell, config=full), full][cell.config.variant] = counted
    found = []
    for (cell, config), own in variants.items():
        blocks: dict[Variant | None, _Blocks] = {name: _by_block(members) for name, members in own.items()}
        blocks[None] = _by_block(results.counted(cell.vanilla))
        bpf_ns = describe(map(BPF_TIME.read, own.get(Variant.RUN_TIME, ())))
        planned = next(iter(own.values()))[0].trial.kernel
        steps = _steps(time_ns, blocks), _steps(cpu_ns, blocks)
        cost = Cost(planned, cell.workload, cell.tool, cell.setup, config, *steps, bpf_ns)
        if bpf_ns is not None or any(cost.time_ns[step] for step in STEPS if step != "whole"):
            found.append(cost)
    return tuple(found)


def time_ns(record: Record) -> float | None:
    """Return how long a process takes for an I/O, in ns."""
    if record.fio is None or not record.fio.ios:
        return None
    return 1e9 * record.fio.runtime_s * record.trial.workload.processes / record.fio.ios


def cpu_ns(record: Record) -> float | None:
    """Return the CPU time of fio and tracer per I/O, in ns; None where fio has no control group."""
    group = record.groups.get("workload")
    if record.fio is None or not record.fio.ios or group is None:
        return None
    spent = [group.user_s, group.system_s]
    if not record.trial.is_vanilla:
        spent += [record.usage.workload_user_s, record.usage.workload_system_s] if record.usage else [None]
    known = [seconds for seconds in spent if seconds is not None]
    return 1e9 * sum(known) / record.fio.ios if len(known) == len(spent) else None


def _by_block(records: Iterable[Record]) -> _Blocks:
    blocks: defaultdict[Pairing, list[Record]] = defaultdict(list)
    for record in records:
        blocks[pairing(record)].append(record)
    return blocks


def _steps(
    quantity: Callable[[Record], float | None], blocks: Mapping[Variant | None, _Blocks]
) -> dict[str, Description | None]:
    """Estimate each step from the differences of the means within each block that has both variants."""

    def mean(records: Sequence[Record]) -> float | None:
        found = describe(map(quantity, records))
        return None if found is None else found.mean

    found = {}
    for step, (more, less) in STEPS.items():
        own, other = blocks.get(more, {}), blocks.get(less, {})
        pairs = [(mean(own[block]), mean(other[block])) for block in own.keys() & other.keys()]
        found[step] = describe(one - two for one, two in pairs if one is not None and two is not None)
    return found
