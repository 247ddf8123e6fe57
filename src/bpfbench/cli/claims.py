# SPDX-License-Identifier: Apache-2.0
"""claims: which of the paper's findings hold here."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bpfbench.analysis.questions.claims.judge import by_paper, by_run
from bpfbench.cli.app import DEFAULT_RUNS, RunsDir
from bpfbench.cli.runs import opened
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.report.documents import claims as report


def claims(
    name: Annotated[str | None, Parameter(name="run")] = None,
    /,
    *,
    paper: Annotated[
        bool, Parameter(negative="", help="Check our transcription against the paper's own numbers.")
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Judge the paper's findings by a run: reproduced, not reproduced here, inconclusive, or not testable.

    Parameters
    ----------
    name
        A run directory, the id of a run, or `latest` (default).
    """
    if paper and name is not None:
        raise UsageError("choose either a run or --paper")
    if paper:
        found, info = by_paper(), None
    else:
        run = opened(runs_dir, name or "latest")
        found, info = by_run(run.results), run.about
    show(form, "claims", report.document(found, info), report.data(found), info, schema=report.SCHEMA)
    return 0
