# SPDX-License-Identifier: Apache-2.0
"""summary: what a run found, in numbers, and the answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench.analysis.questions.needs import answers
from bpfbench.analysis.summary import summarise
from bpfbench.cli import runs
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir
from bpfbench.cli.options import CriteriaOptions
from bpfbench.cli.show import TableForm, show
from bpfbench.report.documents import order
from bpfbench.report.documents import summary as report
from bpfbench.report.write import csv


def summary(
    name: RunName = "latest",
    /,
    *,
    paper_rule: Annotated[
        bool, Parameter(negative="", help="Mark differences by the paper's rule: beyond vanilla's SD.")
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    criteria: CriteriaOptions = CriteriaOptions(),
    form: TableForm = TableForm(),
) -> int:
    """Print what a run found: a table per workload and tool, and the answer."""
    print_summary(runs.opened(runs_dir, name, criteria.over), runs_dir, form, paper_rule=paper_rule)
    return 0


def print_summary(run: runs.Opened, runs_dir: Path, form: TableForm = TableForm(), *, paper_rule: bool = False) -> None:
    """Print a run's summary as tables, or as what was asked for."""
    found, about = summarise(run.results), run.about
    if form.csv:
        sys.stdout.writelines(csv.data(*report.flat(found)))
        return
    said, answer, called = order.said(run.results), answers(run.results, run.criteria), runs.called(run.run, runs_dir)
    data = report.data(found, said, answer) if form.json else None  # takes as long as all else
    document = report.document(found, about, said, answer, run=called, paper_rule=paper_rule)
    show(form, "summary", document, data, about, schema=report.SCHEMA)
