# SPDX-License-Identifier: Apache-2.0
"""costs: what hook and ring, consuming, and output cost, apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import groupby

from bpfbench import store
from bpfbench.analysis import costs as analysis
from bpfbench.analysis.costs import STEPS, Cost
from bpfbench.analysis.estimate import Estimate
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir, app
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, EMULATED_BECAUSE
from bpfbench.report import wording
from bpfbench.report.document import Block, Bullets, Heading, Table, table
from bpfbench.report.run_info import describe

LEGEND = (
    "ns per I/O: mean and SD of the differences between two variants of one block.",
    "time: what an I/O takes longer. CPU: what fio and tracer take of it. BPF: run time of the programs, per event.",
    "kernel: no-consumer against vanilla. The ring is soon full: hook and refused slot, unless the ring holds"
    " everything.",
    "consuming: no-output against no-consumer. output: full against no-output. whole: full against vanilla.",
)


@app.command
def costs(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Say what hook and ring, consuming and output cost, of a run with variants."""
    opened = store.find(runs_dir, name)
    records = opened.records()
    found = analysis.costs(records)
    if not found and any(record.emulated for record in records):
        raise UsageError(f"{opened.path} has no costs: {EMULATED}", EMULATED_BECAUSE)
    if not found:
        raise UsageError(
            f"{opened.path} has no two variants to compare",
            "run a study with --variants full,no-output,no-consumer,run-time",
        )
    blocks: list[Block] = []
    for (kernel, workload, tool), members in groupby(found, lambda cost: (cost.kernel, cost.workload, cost.tool)):
        title = f"{workload.name}, {wording.extent(workload)}: {tool}{f', kernel {kernel}' if kernel else ''}"
        blocks += [Heading(title), _table(tuple(members))]
    show(form, "costs", (*blocks, Heading("How to read this"), Bullets(LEGEND)), found, describe(opened, records))
    return 0


def _table(members: Sequence[Cost]) -> Table:
    lines = []
    for cost in members:
        rows: dict[str, Sequence[Estimate | None]] = {
            "time": [cost.time_ns[step] for step in STEPS],
            "CPU": [cost.cpu_ns[step] for step in STEPS],
            "BPF": [cost.bpf_ns, *(None for _ in range(len(STEPS) - 1))],
        }
        names = [cost.setup, _configuration(cost)]
        for what, values in rows.items():
            n = max((value.n for value in values if value is not None), default=0)
            lines.append([*names, what, *map(_cell, values), str(n)])
            names = ["", ""]
    return table(("setup", "configuration", "", *STEPS, "n"), lines, texts=3)


def _configuration(cost: Cost) -> str:
    factors = {field.name: getattr(cost.config, field.name) for field in fields(cost.config) if field.name != "variant"}
    return ", ".join(wording.factor(name, value) for name, value in factors.items() if value is not None)


def _cell(value: Estimate | None) -> str:
    if value is None:
        return wording.ABSENT
    return f"{value.mean:.0f}" + (f" ± {value.sd:.0f}" if value.sd is not None else "")
