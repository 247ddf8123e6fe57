# SPDX-License-Identifier: Apache-2.0
"""claims: which of the paper's findings hold here."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from bpfbench import catalogue, store
from bpfbench.analysis.claims.evidence import Evidence
from bpfbench.analysis.claims.judge import judge_all
from bpfbench.analysis.claims.paper import paper_evidence
from bpfbench.analysis.claims.run import evidence_of
from bpfbench.cli.app import DEFAULT_RUNS, Json, RunsDir, stdout
from bpfbench.errors import UsageError
from bpfbench.report import claims as report
from bpfbench.report.run_info import RunInfo, describe


def claims(
    name: Annotated[str | None, Parameter(name="run")] = None,
    /,
    *,
    paper: Annotated[bool, Parameter(negative="", help="Judge by the paper's own numbers instead of a run.")] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    as_json: Json = False,
    markdown: Annotated[bool, Parameter(negative="", help="Print Markdown.")] = False,
) -> int:
    """Judge the paper's findings by a run: reproduced, refuted, inconclusive, or not testable here.

    Parameters
    ----------
    name
        A run directory, the id of a run, or `latest` (default).
    """
    if as_json and markdown:
        raise UsageError("choose one of --json, --markdown")
    if paper and name is not None:
        raise UsageError("choose either a run or --paper")
    evidence: Evidence
    info: RunInfo | None = None
    if paper:
        evidence = paper_evidence(catalogue.paper())
    else:
        opened = store.find(runs_dir, name or "latest")
        records = opened.records()
        evidence, info = evidence_of(records), describe(opened, records)
    judgements = judge_all(evidence)
    if as_json:
        sys.stdout.write(report.to_json(judgements, evidence, info))
    elif markdown:
        sys.stdout.write(report.to_markdown(judgements, evidence, info))
    else:
        report.render(judgements, evidence, info, stdout)
    return 0
