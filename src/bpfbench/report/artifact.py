# SPDX-License-Identifier: Apache-2.0
"""The artifact appendix of a run, as the ACM's reproducibility reviews ask for it, in Markdown and LaTeX.

Its parts are those of the template in common use at ACM conferences (https://ctuning.org/ae): abstract, check-list,
description, installation, workflow, evaluation and expected results, customisation, notes. Whatever a run does not know
(where it is archived, under which DOI) is for the authors to add, and is not made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader

from bpfbench.analysis.claims.judge import Judgement, Verdict
from bpfbench.analysis.metrics import METRICS
from bpfbench.analysis.summary import Summary
from bpfbench.model import Record, Status
from bpfbench.report import claims, latex, markdown, wording
from bpfbench.report.run_info import RunInfo
from bpfbench.store import RunInfo as StoredInfo

GIB = 2**30

INSTALLATION = ("sudo ./scripts/quickstart",)
KICK_THE_TIRES = ("bpfbench doctor", "bpfbench check", "bpfbench run smoke", "bpfbench summary latest")


@dataclass(frozen=True, slots=True)
class Material:
    """All that the appendix is written from."""

    run: StoredInfo
    info: RunInfo
    records: Sequence[Record]
    summary: Summary
    judgements: Sequence[Judgement]
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, or what stands between paragraphs; one of these is not empty."""

    text: str = ""
    items: tuple[tuple[str, str], ...] = ()
    """Label and text of each."""
    commands: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


def to_markdown(material: Material) -> str:
    """Write the appendix in Markdown."""
    return _render("artifact.md.j2", material, markdown.escaped)


def to_latex(material: Material) -> str:
    """Write the appendix in LaTeX, for \\input below \\appendix; base LaTeX only."""
    return _render("artifact.tex.j2", material, latex.escape)


def sections(material: Material) -> tuple[Section, ...]:
    """Say everything, whatever it is written in."""
    return (
        Section("Abstract", (Block(_abstract(material)),)),
        Section("Artifact check-list", (Block(items=tuple(_checklist(material))),)),
        Section("How to access", (Block(_access(material)),)),
        Section("Hardware dependencies", (Block(_hardware(material)),)),
        Section("Software dependencies", tuple(_software(material))),
        Section("Installation", (Block(_INSTALLATION), Block(commands=INSTALLATION))),
        Section("Kick the tires", (Block(_KICK), Block(commands=KICK_THE_TIRES))),
        Section("Experiment workflow", tuple(_workflow(material))),
        Section("Evaluation and expected results", tuple(_evaluation(material))),
        Section("Experiment customisation", (Block(_CUSTOMISATION),)),
        Section("Notes", (Block(items=tuple(_notes(material))),)),
    )


def _render(template: str, material: Material, escape: Any) -> str:
    environment = Environment(
        loader=PackageLoader("bpfbench.report"),
        autoescape=False,  # noqa: S701 - no HTML; every text goes through the filter
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["e"] = escape
    return environment.get_template(template).render(sections=sections(material))
