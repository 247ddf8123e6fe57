# SPDX-License-Identifier: Apache-2.0
"""status: how far a run is."""

from __future__ import annotations

from bpfbench.cli import runs
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir
from bpfbench.cli.show import Form, show
from bpfbench.model import EMULATED_REMARK, Status
from bpfbench.report.document import Block, Bullets, Code, Heading, Paragraph


def status(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Say how far a run is."""
    run, results, about, _ = runs.opened(runs_dir, name)
    records = results.records
    counts = {status.value: sum(record.status is status for record in records) for status in Status}
    running = run.is_locked()
    data = {"path": run.path, "testbed": run.info.study.testbed, **counts, "running": running}
    state = "running" if running else "complete" if about.trials_done == about.trials_planned else "interrupted"
    detail = ", ".join(f"{count} {what}" for what, count in counts.items())
    blocks: list[Block] = [
        Heading(f"{run.path}: study {about.study}, {state}"),
        *([Paragraph(EMULATED_REMARK)] if about.emulated else []),
        Paragraph(f"{about.trials_done} of {about.trials_planned} trials done: {detail}"),
        Bullets(tuple(f"{r.trial.id}: {r.status}: {r.reason}" for r in records if r.status is not Status.OK)),
    ]
    if state == "interrupted":
        blocks += [Paragraph("Finish it with:"), Code((f"bpfbench run --resume {run.path}",))]
    show(form, "status", tuple(blocks), data, about)
    return 0
