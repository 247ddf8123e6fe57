# SPDX-License-Identifier: Apache-2.0
"""report: a run as a page to read, with its figures and tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import catalogue
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir, stderr, stdout
from bpfbench.cli.runs import opened
from bpfbench.errors import StoreError, UsageError
from bpfbench.report import samples
from bpfbench.report.assemble import Material, assemble


def report(
    name: RunName = "latest",
    /,
    *,
    output: Annotated[Path | None, Parameter(help="Where to put it (default: RUN/report).")] = None,
    paper: Annotated[bool, Parameter(negative="", help="Draw the paper's printed numbers beside.")] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
) -> int:
    """Write a run's report: an HTML page that works offline, figures (SVG, PDF, PNG), tables."""
    run, results, about = opened(runs_dir, name)
    if not results.records:
        raise UsageError(f"{run.path} has no trial yet", f"finish it with: bpfbench run --resume {run.path}")
    material = Material(
        info=run.info,
        about=about,
        results=results,
        sampled=lambda record: samples.read(run.path / "trials" / record.trial.id / "samples.csv"),
        paper=catalogue.paper() if paper else {},
    )
    place = output or run.path / "report"
    _write(place, assemble(material, lambda what: stderr.print(f"{what} …", highlight=False)))
    stdout.print(f"page     {place / 'index.html'}", highlight=False, soft_wrap=True)
    stdout.print(f"figures  {place / 'figures'}", highlight=False, soft_wrap=True)
    stdout.print(f"tables   {place / 'tables'}", highlight=False, soft_wrap=True)
    return 0


def _write(place: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a report whole, or not at all: one of ours that is there is replaced, anything else is refused.

    Raises:
        StoreError: it cannot be written.
    """
    if place.exists() and not (place / "index.html").is_file() and (not place.is_dir() or any(place.iterdir())):
        raise StoreError(f"{place} exists and is no report of bpfbench's", "choose another --output")
    partial = place.parent / f".{place.name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of one that was killed
        for name, content in files:
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
    except OSError as error:
        raise StoreError(f"{place}: cannot be written: {error.strerror}", "choose another --output") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
