# SPDX-License-Identifier: Apache-2.0
"""The report of a run: the page, and every figure and table as files. Pure, but for the samples it asks for.

index.html          the page; needs no other file
study.toml          repeats the run
figures/KEY.{svg,pdf,png}, figures/captions.md
tables/KEY.{csv,md,tex}, tables/statistics.csv
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from bpfbench.analysis.questions.tradeoffs import trade_offs
from bpfbench.analysis.results import Results
from bpfbench.analysis.statistics import analyse
from bpfbench.declare.study import to_toml
from bpfbench.report import about as described
from bpfbench.report.chart import Chart
from bpfbench.report.document import Figure, Heading, Paragraph, Table
from bpfbench.report.documents import page, statistics
from bpfbench.report.figures import costs, dots, drawn, fidelity, latency, timeline, tradeoff
from bpfbench.report.figures.drawn import Drawing
from bpfbench.report.figures.palette import looks
from bpfbench.report.figures.paper import Paper
from bpfbench.report.figures.sections import Section, circumstances, sections
from bpfbench.report.figures.timeline import Sampled
from bpfbench.report.figures.tradeoff import Points
from bpfbench.report.write import csv, html, latex, markdown
from bpfbench.store import RunInfo

Files = Iterator[tuple[str, bytes]]
"""Path below the report's directory, and content."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made of."""

    info: RunInfo
    about: described.About
    results: Results
    sampled: Sampled
    paper: Paper
    """To be drawn beside."""


def assemble(material: Material, progress: Callable[[str], None] = lambda _: None) -> Files:
    """Make a report file by file, the page last.

    Args:
        material: of one run.
        progress: told of what is being made.
    """
    info, about, run = material.info, material.about, material.results
    progress("statistics")
    analysis = analyse(run)
    found = sections(run, analysis, about.host or "unknown machine", about.kernel or "unknown")
    exchanged = trade_offs(analysis)
    points = {point.cell: point for own in exchanged.each for point in own.points}
    style = looks({cell.setup for cell in run.cells})
    evidence, drawings, captions = [], dict[str, Drawing | None](), list[Figure | Paragraph]()
    for section in found:
        progress(f"figures: {section.title}")
        charts = tuple(chart for part in section.parts() for chart in _charts(part, material, points))
        for chart in charts:
            drawing = None if chart.absent else drawn.draw(chart, style)
            drawings[chart.key] = drawing
            captions.append(Figure(chart, section.title))
            for form, made in (drawing.files if drawing else {}).items():
                yield f"figures/{chart.key}.{form}", made
        tables = tuple(view for group in section.groups for view in statistics.tables(section, group))
        evidence.append((section, charts, tables))
    progress("tables and page")
    said = [Paragraph(circumstances(list(own))) for _, own in groupby(found, lambda section: section.condition)]
    captions = [*said, *captions] if captions else [Paragraph("No figures.")]
    yield "figures/captions.md", markdown.text(tuple(captions)).encode()
    for view in (view for _, _, tables in evidence for view in tables):
        for form, written in _written(view):
            yield f"tables/{view.key}.{form}", written.encode()
    yield "tables/statistics.csv", csv.data(*statistics.flat(analysis)).encode()
    yield "study.toml", to_toml(info.study).encode()
    reported = page.Reported(
        info=info,
        about=about,
        evidence={condition: list(own) for condition, own in groupby(evidence, lambda each: each[0].condition)},
        results=run,
        analysis=analysis,
        exchanged=exchanged,
    )
    title, generator = f"bpfbench report: {info.study.name}", f"bpfbench {info.bpfbench_version}"
    yield "index.html", html.text(page.document(reported), title, generator, drawings, style).encode()


def _written(view: Table) -> Iterator[tuple[str, str]]:
    """A table in the forms of its files."""
    yield "csv", csv.text(view)
    yield "md", markdown.text((Heading(view.title), Paragraph(view.caption), view))
    yield "tex", latex.text((view,))


def _charts(section: Section, material: Material, points: Points) -> Iterator[Chart]:
    if section.condition.emulated:
        return iter(())
    made = (
        dots.dots(section, "performance", material.paper),
        fidelity.fidelity(section, material.paper),
        dots.dots(section, "resources", material.paper),
        tradeoff.tradeoff(section, points),
        latency.latency(section),
        timeline.timeline(section, material.sampled),
        costs.split(section),
        costs.layers(section),
    )
    return (chart for chart in made if chart is not None)
