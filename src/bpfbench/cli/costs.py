# SPDX-License-Identifier: Apache-2.0
"""costs: what hook and ring, consuming, and output cost, apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import groupby

from rich.table import Table

from bpfbench import store
from bpfbench.analysis import costs as analysis
from bpfbench.analysis.costs import STEPS, Cost
from bpfbench.analysis.estimate import Estimate
from bpfbench.cli.app import DEFAULT_RUNS, Json, RunName, RunsDir, app, print_json, stdout
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, EMULATED_BECAUSE
from bpfbench.report import wording

LEGEND = """\
ns per I/O: mean and SD of the differences between two variants of one block.
time: what an I/O takes longer. CPU: what fio and tracer take of it. BPF: run time of the programs, per event.
kernel: no-consumer against vanilla. The ring is soon full: hook and refused slot, unless the ring holds everything.
consuming: no-output against no-consumer. output: full against no-output. whole: full against vanilla."""


@app.command
def costs(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    as_json: Json = False,
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
    if as_json:
        print_json([asdict(cost) for cost in found])
        return 0
    for (kernel, workload, tool), members in groupby(found, lambda cost: (cost.kernel, cost.workload, cost.tool)):
        title = f"{workload.name}, {wording.extent(workload)}: {tool}{f', kernel {kernel}' if kernel else ''}"
        stdout.print(f"[bold]{title}[/bold]", highlight=False)
        stdout.print(_table(tuple(members)))
        stdout.print()
    stdout.print(LEGEND, highlight=False)
    return 0


def _table(members: Sequence[Cost]) -> Table:
    table = Table("setup", "configuration", "", box=None, pad_edge=False)
    for column in STEPS:
        table.add_column(column, justify="right")
    table.add_column("n", justify="right")
    for cost in members:
        rows: dict[str, Sequence[Estimate | None]] = {
            "time": [cost.time_ns[step] for step in STEPS],
            "CPU": [cost.cpu_ns[step] for step in STEPS],
            "BPF": [cost.bpf_ns, *(None for _ in range(len(STEPS) - 1))],
        }
        names = [cost.setup, _configuration(cost)]
        for what, values in rows.items():
            n = max((value.n for value in values if value is not None), default=0)
            table.add_row(*names, what, *map(_cell, values), str(n))
            names = ["", ""]
    return table


def _configuration(cost: Cost) -> str:
    factors = {field.name: getattr(cost.config, field.name) for field in fields(cost.config) if field.name != "variant"}
    return ", ".join(wording.factor(name, value) for name, value in factors.items() if value is not None)


def _cell(value: Estimate | None) -> str:
    if value is None:
        return wording.ABSENT
    return f"{value.mean:.0f}" + (f" ± {value.sd:.0f}" if value.sd is not None else "")
