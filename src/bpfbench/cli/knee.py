# SPDX-License-Identifier: Apache-2.0
"""knee: where a knob stops paying."""

from __future__ import annotations

from bpfbench.analysis.questions.knee import ORDERED, knees
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir
from bpfbench.cli.options import CriteriaOptions
from bpfbench.cli.runs import opened
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, EMULATED_BECAUSE
from bpfbench.report.documents import knee as report


def knee(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    criteria: CriteriaOptions = CriteriaOptions(),
    form: Form = Form(),
) -> int:
    """Find where a knob stops paying: its smallest value whose cost is within the margin of the best."""
    run, results, about, counted = opened(runs_dir, name, criteria.over)
    found = knees(results, counted)
    if not found and any(cell.emulated for cell in results.cells):
        raise UsageError(f"{run.path} has no knees: {EMULATED}", EMULATED_BECAUSE)
    if not found:
        raise UsageError(
            f"{run.path} has no knob that was turned, with all else alike",
            f"run a study with several values of one of: {', '.join(ORDERED)}",
        )
    show(form, "knee", report.document(found), report.data(found), about)
    return 0
