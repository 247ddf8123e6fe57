# SPDX-License-Identifier: Apache-2.0
"""claims: which of the paper's findings hold here."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from bpfbench import store
from bpfbench.analysis.claims.judge import by_paper, by_run
from bpfbench.cli.app import DEFAULT_RUNS, Json, RunsDir, stdout
from bpfbench.errors import UsageError
from bpfbench.report import claims as report
from bpfbench.report.run_info import RunInfo, describe


def claims(
    name: Annotated[str | None, Parameter(name="run")] = None,
    /,
    *,
    paper: Annotated[
        bool, Parameter(negative="", help="Check our transcription against the paper's own numbers.")
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    as_json: Json = False,
    markdown: Annotated[bool, Parameter(negative="", help="Print Markdown.")] = False,
) -> int:
    """Judge the paper's findings by a run: reproduced, not reproduced here, inconclusive, or not testable.

    Parameters
    ----------
    name
        A run directory, the id of a run, or `latest` (default).
    """
    if as_json and markdown:
        raise UsageError("choose one of --json, --markdown")
    if paper and name is not None:
        raise UsageError("choose either a run or --paper")
    info: RunInfo | None = None
    if paper:
        found = by_paper()
    else:
        opened = store.find(runs_dir, name or "latest")
        records = opened.records()
        found, info = by_run(opened.info, records), describe(opened, records)
    if as_json:
        sys.stdout.write(report.to_json(found, info))
    elif markdown:
        sys.stdout.write(report.to_markdown(found, info))
    else:
        report.render(found, info, stdout)
    return 0
