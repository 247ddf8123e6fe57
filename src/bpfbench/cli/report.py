# SPDX-License-Identifier: Apache-2.0
"""report: a run as a page to read, with its figures and tables."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import catalogue, store
from bpfbench.analysis.results import Results
from bpfbench.cli import extras, place
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir, stderr, stdout
from bpfbench.cli.options import CriteriaOptions
from bpfbench.cli.runs import going_on, opened, roofed
from bpfbench.errors import StoreError, UsageError
from bpfbench.report import samples
from bpfbench.report.assemble import Material, Pack, assemble
from bpfbench.report.chart import Chart
from bpfbench.report.figures.palette import Look


def report(
    name: RunName = "latest",
    /,
    *,
    output: Annotated[Path | None, Parameter(help="Where to write it (default: RUN/report).")] = None,
    figures: Annotated[bool, Parameter(negative="", help="Also write figures for print: SVG, PDF, PNG.")] = False,
    paper: Annotated[bool, Parameter(negative="", help="Also draw the paper's published numbers.")] = False,
    roofline: Annotated[
        Path | None,
        Parameter(help="JSON from `bench roofline`, of the run's machine (default: RUN/roofline.json)."),
    ] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
    criteria: CriteriaOptions = CriteriaOptions(),
) -> int:
    """Write a run's report: an HTML page that works offline, tables, and optional figures for print."""
    folder = output or store.find(runs_dir, name).path / "report"
    if figures:
        extras.require("report", "option --figures")
    _refuse(folder)
    run, results, about, counted = opened(runs_dir, name, criteria.over)
    if not results.records:
        raise UsageError(f"{run.path} has no trial yet", f"finish it with: {going_on(run)}")
    material = Material(
        info=replace(run.info, study=replace(run.info.study, criteria=counted)),
        about=about,
        results=results,
        sampled=lambda record: _sampled(run.path / "trials" / record.trial.id / "samples.csv"),
        paper=catalogue.paper() if paper else {},
        roofline=roofed(run, roofline),
    )
    _write(folder, assemble(material, _drawn if figures else None, _pack(), _say))
    for what, made in {"page": "index.html", "figures": "figures", "tables": "tables"}.items():
        if (folder / made).exists():
            stdout.print(f"{what:<8} {folder / made}", highlight=False, soft_wrap=True)
    return 0


def _pack() -> Pack | None:
    """Return what makes trials.parquet; without the packages for that, say that there is none."""
    if module := extras.lacking("report"):
        stderr.print(
            f"bpfbench: left out: trials.parquet: {module} is not installed: {extras.hint('report')}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return None
    from bpfbench.analysis.table import wide

    def pack(results: Results) -> bytes:
        packed = io.BytesIO()
        wide(results).write_parquet(packed)
        return packed.getvalue()

    return pack


def _sampled(path: Path) -> samples.Samples:
    """Read what was sampled beside a trial; what cannot be read is said, and is in no figure."""
    try:
        return samples.read(path)
    except StoreError as error:
        stderr.print(f"bpfbench: left out: {error.message}", highlight=False, markup=False, soft_wrap=True)
        return {}


def _say(what: str) -> None:
    stderr.print(f"{what} …", highlight=False)


def _drawn(charts: Sequence[Chart], looks: dict[str, Look]) -> Iterator[dict[str, bytes]]:
    """Draw charts for print side by side, in processes of their own."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from bpfbench.report.figures import drawn

    # Started anew: a fork would inherit the locks of threads that it has not.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=min(len(charts), os.cpu_count() or 1) or 1, mp_context=context) as pool:
        yield from pool.map(drawn.draw, charts, itertools.repeat(looks))


def _refuse(folder: Path) -> None:
    """Refuse a place that a report cannot be written to, before anything is worked out.

    Raises:
        StoreError: it cannot be written, or others could have a link followed.
        UsageError: something else is there.
    """
    place.require_unlinked(folder, folder)
    if folder.exists() and not (folder.is_dir() and (_is_report(folder) or not any(folder.iterdir()))):
        raise UsageError(f"{folder} exists and is no report of bpfbench's", "choose another --output")
    above = next(own for own in folder.absolute().parents if own.exists())
    try:
        tempfile.TemporaryDirectory(prefix=".bpfbench-", dir=above).cleanup()
    except OSError as error:
        by_root = "use sudo, or " if isinstance(error, PermissionError) else ""
        reason = f"{folder}: cannot be written: {above}: {error.strerror}"
        raise StoreError(reason, f"{by_root}choose another --output") from error


def _is_report(folder: Path) -> bool:
    return place.is_ours(folder / "index.html", "report")


def _write(folder: Path, files: Iterable[tuple[str, Iterable[bytes]]]) -> None:
    """Write a report whole, or not at all: one that is there is replaced.

    Raises:
        StoreError: it cannot be written.
    """
    partial = folder.parent / f".{folder.name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of one that was killed
        partial.mkdir(parents=True)
        for name, content in files:
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.writelines(content)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror}", "choose another --output") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
