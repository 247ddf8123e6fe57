# SPDX-License-Identifier: Apache-2.0
"""export: a run in the formats of others."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bpfbench.analysis.questions.needs import answers
from bpfbench.analysis.results import Results
from bpfbench.analysis.statistics import analyse
from bpfbench.analysis.summary import summarise
from bpfbench.cli import extras, place
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir, stderr
from bpfbench.cli.options import CriteriaOptions
from bpfbench.cli.runs import Opened, opened
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED_REMARK
from bpfbench.report import export_bench
from bpfbench.report.document import Document
from bpfbench.report.documents import answer, artifact, order, summary
from bpfbench.report.write import json, latex, markdown
from bpfbench.values import choice_message

if TYPE_CHECKING:
    from polars import DataFrame


def _artifact(run: Opened) -> Document:
    return artifact.document(run.run.info, run.about, run.results)


def _answer(run: Opened) -> str:
    return json.text("answer", answer.SCHEMA, run.about, answer.data(answers(run.results, run.criteria)))


def _summary(run: Opened) -> Document:
    said, answer = order.said(run.results), answers(run.results, run.criteria)
    return summary.document(summarise(run.results), run.about, said, answer, run=str(run.run.path))


def _tidy(results: Results) -> DataFrame:
    from bpfbench.analysis.table import tidy  # with polars, which is an extra

    return tidy(results)


CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What a terminal may obey, in a reason that quotes a compiler, say."""

FORMATS: dict[str, Callable[[Opened], str]] = {
    "answer": _answer,
    "bencher": lambda run: export_bench.to_bencher(analyse(run.results)),
    "github-benchmark": lambda run: export_bench.to_github(analyse(run.results), run.about),
    "csv": lambda run: CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _tidy(run.results).write_csv()),
    "markdown": lambda run: markdown.text(_summary(run)),
    "latex": lambda run: latex.text(summary.printed(summarise(run.results), run.about)),
    "artifact": lambda run: markdown.text(_artifact(run)),
    "artifact-latex": lambda run: latex.text(_artifact(run)),
}
"""Format -> its text. Parquet, which is no text, goes straight to its file."""
CHOICES = (*FORMATS, "parquet")
TIDY = ("csv", "parquet")
"""Formats of the tidy table."""
STATEMENTS = ("bencher", "github-benchmark")
"""Formats of nothing but what an emulated machine says nothing of."""


def export(
    name: RunName = "latest",
    /,
    *,
    format_: Annotated[str, Parameter(name="--format", help=f"One of: {', '.join(CHOICES)}.")],
    output: Annotated[Path | None, Parameter(help="Write to this file (default: print it).")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
    criteria: CriteriaOptions = CriteriaOptions(),
) -> int:
    """Export a run to another format (docs/claims.md)."""
    if format_ not in CHOICES:
        raise UsageError(f"option --format: {choice_message(format_, CHOICES)}")
    if format_ == "parquet" and output is None:
        raise UsageError("Parquet is no text", "give --output FILE")
    if format_ in TIDY:
        extras.require("report", f"the format {format_}")
    place.require_file(output)
    exported = opened(runs_dir, name, criteria.over)
    if format_ in STATEMENTS and any(cell.emulated for cell in exported.results.cells):
        stderr.print(f"bpfbench: left out: {EMULATED_REMARK}", highlight=False, soft_wrap=True)
    if output is None:
        sys.stdout.write(FORMATS[format_](exported))
    elif format_ == "parquet":
        packed = io.BytesIO()
        _tidy(exported.results).write_parquet(packed)
        place.write(output, packed.getvalue())
    else:
        place.write(output, FORMATS[format_](exported))
    return 0
