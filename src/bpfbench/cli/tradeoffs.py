# SPDX-License-Identifier: Apache-2.0
"""tradeoffs: what a run's setups trade for what."""

from __future__ import annotations

from bpfbench.analysis.questions.tradeoffs import trade_offs
from bpfbench.analysis.statistics import analyse
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir
from bpfbench.cli.runs import opened
from bpfbench.cli.show import Form, show
from bpfbench.report.documents import tradeoffs as report


def tradeoffs(
    name: RunName = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Say what setups trade for what: Pareto fronts, correlations of what they cost and save."""
    _, results, info = opened(runs_dir, name)
    found = trade_offs(analyse(results))
    show(form, "tradeoffs", report.document(found, info), report.data(found), info, schema=report.SCHEMA)
    return 0
