# SPDX-License-Identifier: Apache-2.0
"""tradeoffs: what a run's setups trade for what."""

from __future__ import annotations

from bpfbench.analysis.questions.needs import answers
from bpfbench.analysis.questions.tradeoffs import trade_offs
from bpfbench.analysis.statistics import analyse
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir
from bpfbench.cli.options import CriteriaOptions
from bpfbench.cli.runs import called, opened
from bpfbench.cli.show import Form, show
from bpfbench.report.documents import tradeoffs as report


def tradeoffs(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    criteria: CriteriaOptions = CriteriaOptions(),
    form: Form = Form(),
) -> int:
    """Show what each setup trades for what: Pareto fronts and correlations."""
    run, results, info, counted = opened(runs_dir, name, criteria.over)
    found, answer = trade_offs(results, analyse(results), counted), answers(results, counted)
    document = report.document(found, info, answer, called(run, runs_dir))
    show(form, "tradeoffs", document, report.data(found, answer), info, schema=report.SCHEMA)
    return 0
