# SPDX-License-Identifier: Apache-2.0
"""A run -> its report: the page, and every figure and table as files. Pure, but for the samples it asks for.

index.html          the page; needs no other file
study.toml          repeats the run
figures/KEY.{svg,pdf,png}, figures/captions.md
tables/KEY.{csv,md,tex}, tables/statistics.csv
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bpfbench.analysis.claims.judge import by_run
from bpfbench.analysis.order import Examined, examine
from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.needs import Contest
from bpfbench.analysis.questions.tradeoffs import FIDELITY, OVERHEAD, TradeOffs, front, trade_offs
from bpfbench.analysis.results import Results
from bpfbench.analysis.statistics import Analysis, analyse, control
from bpfbench.analysis.summary import summarise
from bpfbench.declare.study import to_toml
from bpfbench.model import EMULATED
from bpfbench.report import latex, order, remarks, tables, wording
from bpfbench.report import run_info as described
from bpfbench.report.figures import costs, drawn, fidelity, latency, quantities, timeline, tradeoff
from bpfbench.report.figures.chart import Chart
from bpfbench.report.figures.drawn import Drawing
from bpfbench.report.figures.palette import Look, looks
from bpfbench.report.figures.paper import Printed
from bpfbench.report.figures.sections import Condition, Section, sections
from bpfbench.report.figures.timeline import Sampled
from bpfbench.report.figures.tradeoff import Points
from bpfbench.report.page import answer, chapters
from bpfbench.report.page.page import Answer, Conditions, Page, Part, Shown, Workload, render
from bpfbench.report.tables import Table
from bpfbench.report.write import markdown
from bpfbench.store import RunInfo

Files = Iterator[tuple[str, bytes]]
"""Path below the report's directory, and content."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made of."""

    info: RunInfo
    about: described.RunInfo
    results: Results
    sampled: Sampled
    printed: Printed | None = None
    """The paper's numbers, to be drawn beside."""


def assemble(material: Material, progress: Callable[[str], None] = lambda _: None) -> Files:
    """Make a report file by file, the page last.

    Args:
        material: of one run.
        progress: told of what is being made.
    """
    progress("statistics")
    results = material.results
    analysis, examined = analyse(results), examine(results)
    study = material.info.study
    machine = material.about.host or "unknown machine"
    found = sections(results, analysis, machine, material.about.kernel or "unknown")
    exchanged = trade_offs(analysis)
    points = {point.cell: point for own in exchanged.each for point in own.points}
    style = looks({cell.setup for cell in results.cells})
    shown: dict[int, tuple[Shown, ...]] = {}
    captions: list[str] = []
    for number, section in enumerate(found):
        progress(f"figures: {section.title}")
        charts = (chart for part in section.parts() for chart in _charts(part, material, points))
        shown[number] = tuple(_drawn(charts, style, _prefix(section, found)))
        for figure in shown[number]:
            captions.append(_caption(figure.chart))
            yield from _figure_files(figure.chart, figure.drawing)
    progress("tables and page")
    views = {number: _tables(section, _prefix(section, found)) for number, section in enumerate(found)}
    yield "figures/captions.md", ("\n".join(captions or ["No figures."]) + "\n").encode()
    for view in (view for views_ in views.values() for view in views_):
        yield from _table_files(view)
    yield "tables/statistics.csv", tables.statistics_csv(analysis).encode()
    yield "study.toml", to_toml(study).encode()
    contests = needs.contests(results, analysis)
    emulated = bool(found) and all(section.condition.emulated for section in found)
    page = Page(
        title=f"bpfbench report: {study.name}",
        heading=f"{study.name}, {EMULATED}" if emulated else f"{study.name}: which eBPF library for which need",
        lead=_lead(material),
        version=material.info.bpfbench_version,
        facts=tuple(_facts(material)),
        warnings=(*order.warnings(examined.order), *wording.warnings(material.about)),
        answers=tuple(
            _answer(condition, contests, exchanged, several=len(_by(found)) > 1) for condition, _ in _by(found)
        ),
        legend=wording.ACCOUNT if emulated else tables.LEGEND,
        conditions=tuple(
            Conditions(
                condition.title, tuple(_workload(found[n], shown[n], views[n], _prefix(found[n], found)) for n in own)
            )
            for condition, own in _by(found)
        ),
        parts=tuple(_parts(material, analysis, exchanged, analyse(control(results)), examined)),
        footer=f"bpfbench {material.info.bpfbench_version}, run {material.info.id}. This page needs no network.",
    )
    yield "index.html", render(page, style).encode()


def _by(found: Sequence[Section]) -> list[tuple[Condition, list[int]]]:
    """The sections' numbers by condition."""
    numbered = groupby(range(len(found)), key=lambda number: found[number].condition)
    return [(condition, list(own)) for condition, own in numbered]


def _prefix(section: Section, found: Sequence[Section]) -> str:
    """What tells a section's files from those of other conditions."""
    return f"{section.condition.key}-" if len({other.condition for other in found}) > 1 else ""


def _charts(section: Section, material: Material, points: Points) -> Iterator[Chart]:
    if section.condition.emulated:
        return iter(())
    made = (
        quantities.performance(section, material.printed),
        fidelity.fidelity(section, material.printed),
        quantities.resources(section, material.printed),
        tradeoff.tradeoff(section, points),
        latency.latency(section),
        timeline.timeline(section, material.sampled),
        costs.split(section),
        costs.layers(section),
    )
    return (chart for chart in made if chart is not None)


def _drawn(charts: Iterable[Chart], style: dict[str, Look], prefix: str) -> Iterator[Shown]:
    for chart in charts:
        named = chart.named(f"{prefix}{chart.key}")
        if named.is_empty:
            reasons = dict.fromkeys(row.absent for row in named.rows if row.absent)
            yield Shown(named, None, "; ".join(reasons) or "nothing to draw")
        else:
            yield Shown(named, drawn.draw(named, style))


def _caption(chart: Chart) -> str:
    return f"- `{chart.key}`: **{markdown.escaped(chart.title)}.** {markdown.escaped(chart.caption)}"


def _figure_files(chart: Chart, drawing: Drawing | None) -> Files:
    if drawing is not None:
        for form, content in drawing.files.items():
            yield f"figures/{chart.key}.{form}", content


def _tables(section: Section, prefix: str) -> tuple[Table, ...]:
    found = (view for group in section.groups for view in tables.results(section, group))
    return tuple(view.named(f"{prefix}{view.key}") for view in found)


def _table_files(view: Table) -> Files:
    rows = ([" ".join(filter(None, (cell.text, cell.detail))) for cell in row] for row in view.rows)
    label = f"tab:{view.key}"
    written = latex.table(view.header, rows, texts=1, caption=f"{view.title}. {view.caption}", label=label, star=True)
    yield f"tables/{view.key}.csv", tables.to_csv(view).encode()
    yield f"tables/{view.key}.md", tables.to_markdown(view).encode()
    yield f"tables/{view.key}.tex", (written + "\n").encode()


def _workload(section: Section, shown: tuple[Shown, ...], views: tuple[Table, ...], prefix: str) -> Workload:
    said = [f"{group.tool}: {remark}" for group in section.groups for remark in remarks.remarks(group)]
    return Workload(
        anchor=f"workload-{prefix}{section.key}",
        title=section.title,
        figures=shown,
        tables=views,
        remarks=tuple(said),
    )


def _answer(condition: Condition, contests: Sequence[Contest], exchanged: TradeOffs, *, several: bool) -> Answer:
    choices = needs.choices([contest for contest in contests if condition.has(contest.leader.cell)])
    places = [[point for point in own.points if condition.has(point.cell)] for own in exchanged.each]
    fronts = [front(points, (OVERHEAD, FIDELITY)) for points in places]
    title = condition.title if several else None
    if condition.emulated:
        return Answer(title, None, None, reason="Nothing is chosen by a machine that proves correctness only.")
    if not choices:
        return Answer(title, None, None, reason="No tracer has a trial that counts: there is nothing to choose from.")
    own = [contest for choice in choices for contest in choice.contests]
    notes = [
        *answer.swamped(own),
        "What loses events is cheap to run: read overhead together with fidelity. Where several setups share first"
        " place, the data cannot tell them apart.",
    ]
    return Answer(title, answer.answer(choices, fronts), answer.cases(choices), tuple(notes))


def _parts(
    material: Material, analysis: Analysis, exchanged: TradeOffs, aa: Analysis, examined: Examined
) -> Iterator[Part]:
    info = material.info
    excluded = summarise(material.results).excluded
    found = (
        chapters.servers(analysis),
        chapters.control(aa, order.noise_sentence(examined.itself), emulated=material.about.emulated),
        chapters.findings(by_run(info, material.results.records)),
        chapters.exchanged(exchanged),
        chapters.not_counted(excluded),
        chapters.method(info.study, order.order_sentence(examined.order), analysis.warnings),
        chapters.environment(info.machine, info.image),
        chapters.again(info.study, info.bpfbench_version),
    )
    return (part for part in found if part is not None)


def _lead(material: Material) -> str:
    about, excluded = material.about, summarise(material.results).excluded
    ok = about.trials_done - len(excluded)
    text = f"{ok} of {about.trials_planned} planned trials count"
    if excluded:
        text += f"; {', '.join(f'{count} {status}' for status, count in chapters.grouped(excluded).items())}"
    description = material.info.study.description
    return f"{description[:1].upper()}{description[1:]}. {text}." if description else f"{text}."


def _facts(material: Material) -> Iterator[tuple[str, str]]:
    about, study = material.about, material.info.study
    known = {
        "Machine": about.host,
        "Kernel": about.kernel,
        "Testbed": f"{study.testbed}, image {about.image}",
        "Repetitions": str(study.repetitions),
        "Run": about.run_id,
        "Started": (about.started_at or "")[:16].replace("T", " ") + " UTC" if about.started_at else None,
    }
    return ((name, value) for name, value in known.items() if value)
