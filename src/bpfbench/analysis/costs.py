# SPDX-License-Identifier: Apache-2.0
"""Where a tracer's cost is: hook and ring, consuming, output, each the difference of two variants of one block.

Per I/O, in ns, in two currencies: what an I/O of a process takes longer, queues for a CPU included; and what fio and
tracer together take of CPU time for it. Steps add up to the whole, where every variant was run.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bpfbench.analysis.compare import Pairing, pairing
from bpfbench.analysis.estimate import Estimate, estimate
from bpfbench.analysis.metrics import BPF_TIME
from bpfbench.model import Record, Status, Tool, TracerConfig, Variant, Workload

STEPS: Mapping[str, tuple[Variant, Variant | None]] = {
    "kernel": (Variant.NO_CONSUMER, None),
    "consuming": (Variant.NO_OUTPUT, Variant.NO_CONSUMER),
    "output": (Variant.FULL, Variant.NO_OUTPUT),
    "whole": (Variant.FULL, None),
}
"""Step -> the variant that has it, and the one that has all but it; None: vanilla."""

Quantity = Callable[[Record], float | None]


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
    time_ns: Mapping[str, Estimate | None]
    """By step: what an I/O takes longer."""
    cpu_ns: Mapping[str, Estimate | None]
    """By step: CPU time of fio and tracer per I/O; None where fio has no control group."""
    bpf_ns: Estimate | None
    """Run time of the BPF programs per event intercepted, of trials of their own."""


def costs(records: Iterable[Record]) -> tuple[Cost, ...]:
    """Work out what each setup of a run costs; those run in the variant full alone are left out."""
    counted = [record for record in records if record.status is Status.OK and not record.emulated]
    vanilla: defaultdict[Pairing, list[Record]] = defaultdict(list)
    cells: defaultdict[tuple[str | None, Workload, Tool, str, TracerConfig], list[Record]] = defaultdict(list)
    for record in counted:
        trial = record.trial
        if trial.config is None:
            vanilla[pairing(record)].append(record)
        else:
            config = replace(trial.config, variant=Variant.FULL)
            cells[trial.kernel, trial.workload, trial.tool, trial.setup, config].append(record)
    found = (_cost(*key, members, vanilla) for key, members in cells.items())
    known = [cost for cost in found if _says_more_than_the_whole(cost)]
    return tuple(sorted(known, key=lambda cost: (str(cost.kernel), cost.workload.name, cost.tool, cost.setup)))


def _says_more_than_the_whole(cost: Cost) -> bool:
    return cost.bpf_ns is not None or any(cost.time_ns[step] for step in STEPS if step != "whole")


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


def _cost(
    kernel: str | None,
    workload: Workload,
    tool: Tool,
    setup: str,
    config: TracerConfig,
    members: Sequence[Record],
    vanilla: Mapping[Pairing, Sequence[Record]],
) -> Cost:
    variants: defaultdict[Variant | None, defaultdict[Pairing, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in members:
        if record.trial.config is not None:
            variants[record.trial.config.variant][pairing(record)].append(record)
    for place in {pairing(record) for record in members}:
        variants[None][place] += vanilla.get(place, ())

    def steps(quantity: Quantity) -> dict[str, Estimate | None]:
        return {
            step: estimate(_differences(variants[more], variants[less], quantity))
            for step, (more, less) in STEPS.items()
        }

    timed = (record for record in members if record.trial.config and record.trial.config.variant is Variant.RUN_TIME)
    bpf_ns = estimate(BPF_TIME.read(record) for record in timed)
    return Cost(kernel, workload, tool, setup, config, steps(time_ns), steps(cpu_ns), bpf_ns)


def _differences(
    more: Mapping[Pairing, Sequence[Record]], less: Mapping[Pairing, Sequence[Record]], quantity: Quantity
) -> list[float]:
    """Return the differences of the means within each block that has both."""
    found = []
    for place in more.keys() & less.keys():
        sides = [[value for record in side[place] if (value := quantity(record)) is not None] for side in (more, less)]
        if all(sides):
            found.append(statistics.fmean(sides[0]) - statistics.fmean(sides[1]))
    return found
