# SPDX-License-Identifier: Apache-2.0
"""costs: what hook and ring, consuming, and output cost, apart."""

from __future__ import annotations

from bpfbench.analysis.questions.costs import costs as work_out
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir
from bpfbench.cli.runs import opened
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, EMULATED_BECAUSE
from bpfbench.report.documents import costs as report


def costs(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Break down the cost of a run with variants: hook and ring, consumer, output."""
    run, results, about, _ = opened(runs_dir, name)
    found = work_out(results)
    if not found and any(cell.emulated for cell in results.cells):
        raise UsageError(f"{run.path} has no costs: {EMULATED}", EMULATED_BECAUSE)
    if not found:
        raise UsageError(
            f"{run.path} has no two variants to compare",
            "run a study with --variants full,no-output,no-consumer,run-time",
        )
    show(form, "costs", report.document(found), report.data(found), about)
    return 0
