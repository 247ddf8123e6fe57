# SPDX-License-Identifier: Apache-2.0
"""The report of a run: the page, every table, the data, and figures for print where they are asked for.

index.html          the page; needs no other file, but large data are beside it
study.toml          repeats the run
figures/KEY.{svg,pdf,png}, figures/captions.md
tables/KEY.{csv,md,tex}, tables/statistics.{csv,json}, tables/trials.parquet

Pure, but for the samples it asks for, and for what it is given to draw by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.tradeoffs import correlations, placed
from bpfbench.analysis.results import Results
from bpfbench.analysis.statistics import Analysis, analyse
from bpfbench.declare.study import to_toml
from bpfbench.model.roofline import Roofline
from bpfbench.report import about as described
from bpfbench.report.chart import Chart
from bpfbench.report.document import Figure, Heading, Paragraph, Table
from bpfbench.report.documents import page, statistics
from bpfbench.report.documents.marks import Marks
from bpfbench.report.documents.remarks import remarks
from bpfbench.report.figures import answer, costs, dots, fidelity, latency, timeline, tradeoff
from bpfbench.report.figures.palette import Look, looks
from bpfbench.report.figures.paper import Paper
from bpfbench.report.figures.sections import Section, circumstances, sections
from bpfbench.report.figures.timeline import Sampled
from bpfbench.report.figures.tradeoff import Points
from bpfbench.report.write import csv, html, json, latex, markdown
from bpfbench.report.write.html import Download
from bpfbench.store import RunInfo

Files = Iterator[tuple[str, Iterable[bytes]]]
"""Path below the report's directory, and content, in one piece or many."""
STATISTICS_HELD = 2_000
"""As many are in memory as text; more are of a size that no page has room for."""
MOST_PARTS = 12
"""Of a workload, each of a few rows, of which figures are made for the page alone: it has no room for those of more."""

Draw = Callable[[Sequence[Chart], dict[str, Look]], Iterable[dict[str, bytes]]]
"""Draws charts for print, each in several formats."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made of."""

    info: RunInfo
    about: described.About
    results: Results
    sampled: Sampled
    paper: Paper
    """To be drawn beside."""
    roofline: Roofline | str = "no roofline was given"
    """What the machine allows at all; or why that is not known."""


Pack = Callable[[Results], bytes]
"""Makes the table of all trials for other programs, as Parquet."""


def assemble(
    material: Material,
    draw: Draw | None = None,
    pack: Pack | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Files:
    """Make a report file by file, the page last.

    Args:
        material: of one run.
        draw: makes figures for print; None: there are to be none.
        pack: makes trials.parquet; None: there is to be none.
        progress: told of what is being made.
    """
    info, about, run = material.info, material.about, material.results
    progress("statistics")
    analysis = analyse(run)
    found = sections(run, analysis, about.host or "unknown machine", about.kernel or "unknown")
    points = {point.cell: point for point in placed(run, analysis)}
    style = looks({cell.setup for cell in run.cells})
    answered = needs.answers(run, info.study.criteria)
    evidence = []
    for section in found:
        parts = section.parts() if draw is not None else section.parts()[:MOST_PARTS]
        charts = tuple(chart for part in parts for chart in _charts(part, material, points, answered))
        marked = [(group, Marks.of(group)) for group in section.groups]
        tables = tuple(view for group, marks in marked for view in statistics.tables(section, group, marks))
        said = tuple(f"{group.tool}: {remark}" for group, marks in marked for remark in remarks(group, marks))
        evidence.append(page.WorkloadEvidence(section, charts, tables, said))
    if draw is not None:
        heroes = [(chart, "over all cases") for own in answered if (chart := answer.printed(own, len(answered) > 1))]
        each = [(chart, own.section.title) for own in evidence for chart in own.charts if not chart.absent]
        shown = [*heroes, *each]
        progress(f"{len(shown)} figures for print")
        for (chart, _), files in zip(shown, draw([chart for chart, _ in shown], style), strict=True):
            yield from ((f"figures/{chart.key}.{form}", (made,)) for form, made in files.items())
        where = (Paragraph(circumstances(list(own))) for _, own in groupby(found, lambda section: section.condition))
        captions = (Figure(*own) for own in shown) if shown else (Paragraph("No figures."),)
        yield "figures/captions.md", (markdown.text((*where, *captions)).encode(),)
    progress("tables and page")
    for view in (view for own in evidence for view in own.tables):
        for form, written in _written(view):
            yield f"tables/{view.key}.{form}", (written.encode(),)
    downloads = []
    for download, content in _data(run, analysis, pack):
        yield download.place, content
        downloads.append(download)
    yield "study.toml", (to_toml(info.study).encode(),)
    reported = page.Reported(
        info=info,
        about=about,
        evidence={condition: list(own) for condition, own in groupby(evidence, lambda each: each.section.condition)},
        results=run,
        analysis=analysis,
        exchanged=correlations(tuple(points.values())) if points else (),
        answered=answered,
        roofline=material.roofline,
    )
    title, generator = f"bpfbench report: {info.study.name}", f"bpfbench {info.bpfbench_version}"
    yield "index.html", (html.text(page.document(reported), title, generator, style, downloads).encode(),)


def _data(run: Results, analysis: Analysis, pack: Pack | None) -> Iterator[tuple[Download, Iterable[bytes]]]:
    """Data for programs; what is too large for a page is made as it is written."""
    for called, form, kind, pieces in (
        ("statistics as CSV", "csv", "text/csv", csv.data(statistics.FLAT, statistics.flat(analysis))),
        ("as JSON", "json", "application/json", json.rows(statistics.flat(analysis))),
    ):
        content = "".join(pieces).encode() if len(analysis.statistics) <= STATISTICS_HELD else None
        download = Download(called, f"tables/statistics.{form}", kind, content)
        yield download, map(str.encode, pieces) if content is None else (content,)
    if pack is not None:
        packed = pack(run)
        place, kind = "tables/trials.parquet", "application/octet-stream"
        yield Download("all trials as Parquet", place, kind, packed), (packed,)


def _written(view: Table) -> Iterator[tuple[str, str]]:
    """A table in the forms of its files."""
    yield "csv", csv.text(view)
    yield "md", markdown.text((Heading(view.title), Paragraph(view.caption), view))
    yield "tex", latex.text((view,))


def _charts(section: Section, material: Material, points: Points, answered: Sequence[needs.Answers]) -> Iterator[Chart]:
    if section.condition.emulated:
        return iter(())
    made = (
        dots.dots(section, "performance", material.paper),
        fidelity.fidelity(section, material.paper),
        dots.dots(section, "resources", material.paper),
        tradeoff.tradeoff(section, points, answered),
        latency.latency(section),
        *timeline.timelines(section, material.sampled),
        costs.split(section),
        costs.layers(section),
    )
    return (chart for chart in made if chart is not None)
