# SPDX-License-Identifier: Apache-2.0
"""What is exported as LaTeX compiles with base LaTeX alone."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bpfbench.analysis.results import of
from bpfbench.analysis.summary import summarise
from bpfbench.report.about import describe
from bpfbench.report.document import Column, Field, Table
from bpfbench.report.documents import artifact, summary
from bpfbench.report.write import latex
from bpfbench.store import Run

pytestmark = pytest.mark.beside

RUN = Path(__file__).parent.parent / "data" / "runs" / "format-1"
HOSTILE = "".join(map(chr, [*range(32, 0x250), 0x2192, 0x1F600])) + " -- ''"


def _compiled(body: str, place: Path) -> str:
    if shutil.which("pdflatex") is None:
        if "CI" in os.environ:
            pytest.fail("pdflatex is not installed; scripts/setup installs texlive-latex-base")
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-base)")
    source = f"\\documentclass[twocolumn]{{article}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (place / "paper.tex").write_text(source)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, errors="replace", timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (place / "paper.pdf").stat().st_size > 1000
    return done.stdout


def test_tables(tmp_path: Path) -> None:
    run = Run(RUN)
    records = run.records()
    log = _compiled(latex.text(summary.printed(summarise(of(records)), describe(run, records))), tmp_path)
    assert "Overfull" not in log


def test_any_text(tmp_path: Path) -> None:
    columns = Column("a", "b", is_text=True), Column(HOSTILE[:90])
    _compiled(latex.text((Table(columns, ((Field("x"), Field(HOSTILE)),), "x", caption=HOSTILE),)), tmp_path)


def test_artifact_appendix(tmp_path: Path) -> None:
    run = Run(RUN)
    records = run.records()
    info = describe(run, records)
    chosen = dataclasses.replace(run.info.study, description=HOSTILE)
    stored = dataclasses.replace(run.info, study=chosen)
    _compiled(latex.text(artifact.document(stored, info, of(records, stored))), tmp_path)
