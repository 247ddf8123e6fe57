# SPDX-License-Identifier: Apache-2.0
"""costs: what hook and ring, consuming, and output cost, apart."""

from __future__ import annotations

from bpfbench import store
from bpfbench.analysis.questions.costs import costs as work_out
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir, app
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, EMULATED_BECAUSE
from bpfbench.report.documents import costs as report
from bpfbench.report.run_info import describe


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
    found = work_out(records)
    if not found and any(record.emulated for record in records):
        raise UsageError(f"{opened.path} has no costs: {EMULATED}", EMULATED_BECAUSE)
    if not found:
        raise UsageError(
            f"{opened.path} has no two variants to compare",
            "run a study with --variants full,no-output,no-consumer,run-time",
        )
    show(form, "costs", report.document(found), report.data(found), describe(opened, records))
    return 0
