# SPDX-License-Identifier: Apache-2.0
"""summary: what a run found, in numbers."""

from __future__ import annotations

import sys

from bpfbench.analysis.summary import summarise
from bpfbench.cli import runs
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir
from bpfbench.cli.show import TableForm, show
from bpfbench.report.documents import order
from bpfbench.report.documents import summary as report
from bpfbench.report.write import csv


def summary(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: TableForm = TableForm(),
) -> int:
    """Print what a run found: a table per workload and tool."""
    print_summary(runs.opened(runs_dir, name), form)
    return 0


def print_summary(run: runs.Opened, form: TableForm = TableForm()) -> None:
    """Print a run's summary as tables, or as what was asked for."""
    found, about = summarise(run.results), run.about
    if form.csv:
        sys.stdout.write(csv.data(*report.flat(found)))
        return
    said = order.said(run.results)
    data = report.data(found, said) if form.json else None  # takes as long as all else
    show(form, "summary", report.document(found, about, said), data, about, schema=report.SCHEMA)
