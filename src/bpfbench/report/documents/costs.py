# SPDX-License-Identifier: Apache-2.0
"""What hook and ring, consuming, and output cost, apart: a table a workload and tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from bpfbench.analysis.questions.costs import STEPS, Cost
from bpfbench.analysis.results import Description
from bpfbench.report import wording
from bpfbench.report.document import ABSENT, Block, Bullets, Document, section, table

LEGEND = (
    "ns per I/O: mean and SD of the differences between two variants of one block.",
    "time: what an I/O of fio takes longer; at a limited rate it follows that. CPU: what target, its driver and tracer "
    "take of it. BPF: run time of the programs, per event; below it, of each.",
    "kernel: no-consumer against vanilla. The ring is soon full: hook and refused slot, unless the ring holds "
    "everything.",
    "consuming: no-output against no-consumer. output: full against no-output. whole: full against vanilla.",
)


def data(found: Sequence[Cost]) -> Sequence[Mapping[str, Any]]:
    """Return costs for programs: cells with their estimates {mean, sd, n} in ns, null where a variant is missing."""
    return [
        {name: getattr(cost.cell, name) for name in ("kernel", "workload", "tool", "setup", "config")}
        | {
            "time_ns": {step: value and value.brief for step, value in cost.time_ns.items()},
            "cpu_ns": {step: value and value.brief for step, value in cost.cpu_ns.items()},
            "bpf_ns": cost.bpf_ns and cost.bpf_ns.brief,
            "programs_ns": {name: value.brief for name, value in cost.programs_ns.items()},
        }
        for cost in found
    ]


def document(found: Sequence[Cost]) -> Document:
    """Describe costs."""
    return tuple(_blocks(found))


def _blocks(found: Sequence[Cost]) -> Iterator[Block]:
    for case, members in groupby(found, lambda cost: cost.cell.vanilla):
        rows = [row for cost in members for row in _rows(cost)]
        steps = table(("setup", "configuration", "", *STEPS, "n"), rows, texts=3)
        yield from section(wording.case_title(case.workload, case.tool, case.kernel), (), steps)
    yield from section("How to read this", (), Bullets(LEGEND))


def _rows(cost: Cost) -> Iterator[Sequence[str]]:
    names = (cost.cell.setup, wording.settings(cost.cell.config))
    values = {
        "time": [cost.time_ns[step] for step in STEPS],
        "CPU": [cost.cpu_ns[step] for step in STEPS],
        **{what: [own, *[None] * (len(STEPS) - 1)] for what, own in (("BPF", cost.bpf_ns), *cost.programs_ns.items())},
    }
    for what, own in values.items():
        if known := [value.n for value in own if value is not None]:
            yield *names, what, *map(_number, own), str(max(known))
            names = ("", "")


def _number(value: Description | None) -> str:
    if value is None:
        return ABSENT
    return f"{value.mean:.0f}" + (f" ± {value.sd:.0f}" if value.sd is not None else "")
