# SPDX-License-Identifier: Apache-2.0
"""export: a run in the formats of others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import catalogue, store
from bpfbench.analysis.claims.judge import by_run
from bpfbench.analysis.statistics import analyse
from bpfbench.analysis.summary import Summary, summarise
from bpfbench.analysis.table import tidy
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir, stderr
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED_REMARK, Record
from bpfbench.report import artifact, export_bench, latex, markdown, order
from bpfbench.report.run_info import RunInfo, describe
from bpfbench.values import choice_message


class _Exported:
    """A run, and what every format is made from."""

    def __init__(self, run: store.Run) -> None:
        self.run = run
        self.records: tuple[Record, ...] = run.records()
        self.info: RunInfo = describe(run, self.records)

    def summary(self) -> Summary:
        """Return the tables of `bpfbench summary`."""
        return summarise(self.records, tuple(catalogue.setups(self.run.info.study)), tuple(catalogue.WORKLOADS))

    def material(self) -> artifact.Material:
        """Return what the artifact appendix is written from."""
        found = by_run(self.run.info, self.records)
        return artifact.Material(self.run.info, self.info, self.records, self.summary(), found)


FORMATS: dict[str, Callable[[_Exported], str]] = {
    "bencher": lambda run: export_bench.to_bencher(analyse(tidy(run.info.run_id, run.records))),
    "github-benchmark": lambda run: export_bench.to_github(analyse(tidy(run.info.run_id, run.records)), run.info),
    "csv": lambda run: tidy(run.info.run_id, run.records).write_csv(),
    "markdown": lambda run: markdown.to_markdown(run.summary(), run.info, order.said(run.records)),
    "latex": lambda run: latex.to_latex(run.summary(), run.info),
    "artifact": lambda run: artifact.to_markdown(run.material()),
    "artifact-latex": lambda run: artifact.to_latex(run.material()),
}
"""Format -> its text. Parquet, which is no text, goes straight to its file."""
CHOICES = (*FORMATS, "parquet")
STATEMENTS = ("bencher", "github-benchmark")
"""Formats of nothing but what an emulated machine says nothing of."""


def export(
    name: RunName = "latest",
    /,
    *,
    format_: Annotated[str, Parameter(name="--format", help=f"One of: {', '.join(CHOICES)}.")],
    output: Annotated[Path | None, Parameter(help="Write to this file (default: print it).")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
) -> int:
    """Write a run in a format of others; docs/claims.md describes them."""
    if format_ not in CHOICES:
        raise UsageError(f"option --format: {choice_message(format_, CHOICES)}")
    if format_ == "parquet" and output is None:
        raise UsageError("Parquet is no text", "give --output FILE")
    exported = _Exported(store.find(runs_dir, name))
    if format_ in STATEMENTS and any(record.emulated for record in exported.records):
        stderr.print(f"bpfbench: left out: {EMULATED_REMARK}", highlight=False, soft_wrap=True)
    if format_ == "parquet" and output is not None:
        tidy(exported.info.run_id, exported.records).write_parquet(output)
    elif output is not None:
        output.write_text(FORMATS[format_](exported))
    else:
        sys.stdout.write(FORMATS[format_](exported))
    return 0
