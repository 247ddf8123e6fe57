# SPDX-License-Identifier: Apache-2.0
"""compare: what changed between two runs, by how much, and how sure that is."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bpfbench.analysis.questions.compare import compare_runs
from bpfbench.cli.app import DEFAULT_RUNS, RunsDir
from bpfbench.cli.runs import opened
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, EMULATED_BECAUSE
from bpfbench.report.documents import compare as comparison
from bpfbench.report.documents import order


def compare(
    before: Annotated[str, Parameter(name="run-a")],
    after: Annotated[str, Parameter(name="run-b")],
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Compare two runs: two machines, kernels, library versions.

    Says in what the runs differ, then what changed in each cell both have: the
    ratio to vanilla where vanilla has the metric, else the value.

    Parameters
    ----------
    before
        A run directory, the id of a run, or `latest`.
    after
        The same, of the run that is compared with it.
    """
    first, second = opened(runs_dir, before), opened(runs_dir, after)
    names = first.about.run_id, second.about.run_id
    found = compare_runs(first.results, second.results)
    if emulated := [own.about.run_id for own in (first, second) if own.results.emulated]:
        raise UsageError(f"{' and '.join(emulated)} cannot be compared: {EMULATED}", EMULATED_BECAUSE)
    if not found.shifts:
        raise UsageError(
            f"{names[0]} and {names[1]} have nothing in common that could be compared: no setup, configuration, tool "
            "and workload of the same size has an ok trial in both",
            "`bpfbench summary` shows what a run has",
        )
    said = order.said(first.results), order.said(second.results)
    answer = comparison.document(found, *names, said), comparison.data(found, *names, said)
    show(form, "compare", *answer, schema=comparison.SCHEMA)
    return 0
