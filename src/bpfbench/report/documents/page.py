# SPDX-License-Identifier: Apache-2.0
"""The report of a run as one document: the answer, the evidence, and the chapters behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bpfbench.analysis import metrics
from bpfbench.analysis.inference import Finding
from bpfbench.analysis.order import examine
from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.capacity import Capacity
from bpfbench.analysis.questions.claims.judge import Findings, by_run
from bpfbench.analysis.questions.tradeoffs import Correlation
from bpfbench.analysis.results import Results
from bpfbench.analysis.statistics import Analysis, Statistic, analyse, control
from bpfbench.declare.study import to_toml
from bpfbench.model import EMULATED, EMULATED_REMARK, Record, Status, Study
from bpfbench.model.roofline import Roofline
from bpfbench.report import wording
from bpfbench.report.about import About
from bpfbench.report.chart import Chart
from bpfbench.report.document import (
    ABSENT,
    Block,
    Bullets,
    Chapter,
    Code,
    Document,
    Field,
    Figure,
    Heading,
    Paragraph,
    Table,
    Terms,
    table,
    texts,
)
from bpfbench.report.documents import (
    capacity,
    ceiling,
    claims,
    delivered,
    loaded,
    order,
    statistics,
    steady,
    summary,
    tradeoffs,
)
from bpfbench.report.documents import needs as answers
from bpfbench.report.figures.sections import Condition, Section, circumstances
from bpfbench.report.numbers import p_value, percent
from bpfbench.report.quantities import BY_METRIC, FIGURES
from bpfbench.store import RunInfo

MOST_ROWS = 300
"""Of a table; a longer one is left to its file."""
OPEN_FIGURES = 2
"""Of a workload, that are there to be seen; the others are to be asked for."""
OPEN_WORKLOADS = 3
"""That begin with figures; of a study that has more, the others are to be asked for."""


@dataclass(frozen=True, slots=True)
class WorkloadEvidence:
    """What a workload came to."""

    section: Section
    charts: Sequence[Chart]
    """The most important first."""
    tables: Sequence[Table]
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Reported:
    """All that is known of a run."""

    info: RunInfo
    about: About
    evidence: Mapping[Condition, Sequence[WorkloadEvidence]]
    """By condition: of each workload."""
    results: Results
    analysis: Analysis
    exchanged: tuple[Correlation, ...]
    """Between what setups cost and what they yield, over all cases; empty without a tracer that could lose events."""
    answered: tuple[needs.Answers, ...]
    roofline: Roofline | str
    """What the machine allows at all; or why that is not known."""


def document(run: Reported) -> Document:
    """Write the report."""
    return tuple(_blocks(run))


def _blocks(run: Reported) -> Iterator[Block]:
    study, version, examined = run.info.study, run.info.bpfbench_version, examine(run.results)
    emulated = bool(run.evidence) and all(condition.emulated for condition in run.evidence)
    yield Heading(f"{study.name}{_title(run.results, emulated=emulated)}", 1)
    yield Paragraph(_lead(run), "lead")
    warnings = (*order.warnings(examined.order), *wording.warnings(run.about))
    yield from (Paragraph(text, "warning") for text in warnings)
    if (servers := _servers(run.analysis) or _emulated_servers(run)) is not None:
        yield servers
    yield Chapter("The answer", tuple(_answers(run)), "answer")
    yield Chapter("Evidence", tuple(_evidence(run)), "evidence")
    behind = (
        loaded.chapter(run.results),
        delivered.chapter(run.results),
        capacity.chapter(Capacity.of(run.results)),
        ceiling.chapter(run.results, run.roofline),
        _control(analyse(control(run.results)), order.noise_sentence(examined.itself), emulated=run.about.emulated),
        _findings(by_run(run.results)) if study.factors.workloads and not _commands_alone(run.results) else None,
        _exchanged(run.exchanged) if len(_setups(run.results)) > 1 else None,
        _not_counted(run.results.excluded),
        _method(
            study,
            order.order_sentence(examined.order),
            run.analysis.warnings,
            commands_alone=_commands_alone(run.results),
        ),
        _environment(run),
        _again(study, version),
    )
    yield from (chapter for chapter in behind if chapter is not None)
    yield Paragraph(f"bpfbench {version}, run {run.info.id}. This page needs no network.")


def _title(results: Results, *, emulated: bool) -> str:
    """What a run is about: the libraries it compares, or the only one it has."""
    setups = _setups(results)
    if emulated:
        return f", {EMULATED}"
    if _commands_alone(results):
        return ": what they cost"
    return f": what {', '.join(setups)} costs and saves" if len(setups) == 1 else ": which eBPF library for which need"


def _commands_alone(results: Results) -> bool:
    """Whether all tracers of a run are commands, which keep no contract."""
    tracers = [cell for cell in results.cells if not cell.is_vanilla]
    return bool(tracers) and all(cell.is_command for cell in tracers)


def _setups(results: Results) -> frozenset[str]:
    return frozenset(cell.setup for cell in results.cells if not cell.is_vanilla)


def _lead(run: Reported) -> str:
    about, ended = run.about, Counter(found.status for found in run.results.excluded)
    text = f"{about.trials_done - len(run.results.excluded)} of {about.trials_planned} planned trials count"
    if ended:
        text += f"; {', '.join(f'{count} {status}' for status, count in ended.items())}"
    description = run.info.study.description
    return f"{description[:1].upper()}{description[1:]}. {text}." if description else f"{text}."


def _facts(about: About, study: Study) -> Iterator[tuple[str, str]]:
    known = {
        "Machine": about.host,
        "Kernel": about.kernel,
        "Testbed": f"{study.testbed}, image {about.image}",
        "Repetitions": str(study.repetitions),
        "Run": about.run_id,
        "Started": f"{about.started_at[:16].replace('T', ' ')} UTC" if about.started_at else None,
    }
    return ((name, value) for name, value in known.items() if value)


def _answers(run: Reported) -> Iterator[Block]:
    found = run.answered
    if any(condition.emulated for condition in run.evidence):
        yield Paragraph("Nothing is chosen by a machine that proves correctness only.")
    elif not found:
        yield Paragraph("No tracer has a trial that counts: there is nothing to choose from.")
    yield from answers.document(found, run.info.id, tuple(_steady(run.results)))


def _steady(results: Results) -> Iterator[Block]:
    """What hardly varies, for who asks; nothing of a run that has nothing of it."""
    if each := tuple(steady.tables(results)):
        title = "Setup by setup: start-up, memory, size, and what is drained"
        yield Chapter(
            title, (Paragraph(steady.LEGEND.format(target=results.target_called), "fine"), *each), folded=True
        )


def _evidence(run: Reported) -> Iterator[Block]:
    before = 0
    for condition, workloads in run.evidence.items():
        where = Paragraph(circumstances([own.section for own in workloads]))
        chapters = tuple(_workload(own, folded=before + at >= OPEN_WORKLOADS) for at, own in enumerate(workloads))
        before += len(workloads)
        blocks: Document = (where, *chapters)
        yield from (Chapter(condition.title, blocks),) if len(run.evidence) > 1 else blocks


def _workload(own: WorkloadEvidence, *, folded: bool) -> Chapter:
    """The first figures of a workload, and what is to be asked for: its other figures, and its tables.

    Tables are open where there is no figure: of an emulated machine they are all there is.
    """
    section = own.section
    figures = [Figure(chart, section.title) for chart in own.charts]
    first, others = tuple(figures[:OPEN_FIGURES]), tuple(figures[OPEN_FIGURES:])
    said = Bullets(tuple(own.remarks), "fine")
    short = tuple(view if len(view.rows) <= MOST_ROWS else _elsewhere(view) for view in own.tables)
    titles = "; ".join(dict.fromkeys(figure.chart.title for figure in others))
    legend = Paragraph(statistics.LEGEND, "fine")
    behind = (
        Chapter(f"More figures: {titles}", others, folded=True),
        Chapter(f"Tables of {section.title}, and what they say", (legend, *short, said), folded=True),
    )
    shown: Document = (*first, *(part for part in behind if part.blocks)) if figures else (*short, said)
    return Chapter(section.title, shown, f"workload-{section.key}", folded=folded)


def _elsewhere(view: Table) -> Paragraph:
    """Where a table is that nobody reads in a page."""
    return Paragraph(f"{view.title}: {len(view.rows)} rows, in tables/{view.key}.csv beside this page.")


def _servers(analysis: Analysis) -> Chapter | None:
    """What the hosts differ by before any tracer runs; None for a single one."""
    shown = {quantity.metric.key for quantity in FIGURES}
    rows = tuple(
        (
            Field(f"{found.cell.workload.name}, {found.cell.tool}"),
            Field(found.metric),
            Field(", ".join(f"{host} {percent(ratio)} %" for host, ratio in found.ratios.items())),
            Field(ABSENT if found.p is None else f"p {p_value(found.p)}"),
        )
        for found in analysis.hosts
        if found.metric in shown
    )
    if not rows:
        return None
    columns = texts("case", "metric", "hosts", "equal?")
    table = Table(columns, rows, "hosts", "Vanilla by host", "Against the mean of all hosts.")
    text = (
        "Read this first: by how much the servers differ without any tracer. Setups are compared with the vanilla of"
        " their own server, so that such differences cancel."
    )
    return Chapter("Between servers", (Paragraph(text), table), "servers")


def _emulated_servers(run: Reported) -> Chapter | None:
    """What each host ran, where there is nothing to compare them by; None for a single one, or for real ones."""
    records = run.results.records
    hosts = tuple(dict.fromkeys((*run.info.study.hosts, *(record.trial.host for record in records))))
    if len(hosts) < 2 or not records or not run.results.emulated:
        return None
    text = (
        "Read this first: these servers are emulated, so that there are no times of theirs, and no shares, to compare."
        " What each ran is known, and how that ended: a trial is ok where every call that the kernel accounted was"
        " intercepted, and every record saved is whole."
    )
    rows = tuple(_ran(host, [record for record in records if record.trial.host == host]) for host in hosts)
    columns = texts("server", "kernel", "setups", "trials")
    table = Table(columns, rows, "hosts", "What each server ran")
    return Chapter("Between servers", (Paragraph(text), table), "servers")


def _ran(host: str, records: Sequence[Record]) -> tuple[Field, ...]:
    kernels = dict.fromkeys(record.environment.kernel for record in records if record.environment)
    setups = dict.fromkeys(record.trial.setup for record in sorted(records, key=lambda own: not own.trial.is_vanilla))
    ended = Counter(record.status for record in records)
    counts = ", ".join(f"{ended[status]} {status}" for status in Status if ended[status])
    return tuple(Field(text or ABSENT) for text in (host, ", ".join(kernels), ", ".join(setups), counts))


def _control(analysis: Analysis, noise: str, *, emulated: bool) -> Chapter:
    """Vanilla against vanilla: how much this machine makes of nothing; `noise` says it in a sentence."""
    title = "Noise"
    shown = {quantity.metric.key for quantity in FIGURES}
    found = [s for s in analysis.statistics if (s.paired or s.difference) and s.metric in shown]
    tested = (s.paired or s.difference for s in found)
    false = [own for own in tested if own and own.finding in (Finding.HIGHER, Finding.LOWER)]
    if not found:
        why = EMULATED if emulated else "too few vanilla trials to compare with each other"
        return Chapter(title, (Paragraph(noise), Paragraph(f"{why.capitalize()}.")), "control")
    text = (
        "Two vanilla trials (of a block, or where blocks have one, of neighbouring blocks) are compared as a tracer and"
        " its vanilla are. Nothing"
        f" differs, so nothing should be found: {len(false)} of {len(found)} comparisons came out as a difference."
        " The intervals show what noise alone amounts to on this machine."
    )
    table = Table(
        texts("workload", "metric", "pairs", "difference"),
        tuple(_control_row(statistic) for statistic in found),
        "control",
        "Vanilla against vanilla",
        "Ratio as a change, 95 % interval by Student's t, p after Holm's correction.",
    )
    behind = Chapter("Vanilla against vanilla, metric by metric", (table,), folded=True)
    return Chapter(title, (Paragraph(noise), Paragraph(text), behind), "control")


def _control_row(statistic: Statistic) -> tuple[Field, ...]:
    compared, quantity = statistic.paired or statistic.difference, BY_METRIC[metrics.BY_KEY[statistic.metric]]
    workload = wording.whole(statistic.cell.workload)
    cells = (Field(ABSENT), Field(ABSENT))
    if compared is not None:
        unit = f" ({quantity.unit})" if statistic.paired is None else ""
        cells = Field(str(compared.n)), Field(statistics.against(compared, quantity).replace("\n", " ") + unit)
    return (Field(workload), Field(statistic.metric), *cells)


def _findings(found: Findings) -> Chapter:
    """The paper's claims with their verdicts, its circumstances beside the run's, and remarks on the paper."""
    text = f"Of the {len(found.judgements)} findings of the paper, on this run: {claims.totals(found)}."
    said = [remark for remark in found.remarks if remark != EMULATED_REMARK]  # the page begins with it
    judged, *others = claims.tables(found)
    behind = (Chapter(own.title, (own,), folded=True) for own in others)
    return Chapter("The paper's claims", (*map(Paragraph, (text, *said)), judged, *behind), "claims")


def _exchanged(found: Sequence[Correlation]) -> Chapter | None:
    """Correlations between what setups cost and what they yield; None without any tracer to compare."""
    if not found:
        return None
    table = replace(
        tradeoffs.correlations(found), title="Spearman's rank correlations", caption="Over the cells of all cases."
    )
    behind = Chapter(table.title, (*map(Paragraph, tradeoffs.legend(found)), table), folded=True)
    return Chapter(
        "Trade-offs", (Paragraph("Whether what costs more also yields more, over all cases."), behind), "tradeoffs"
    )


def _not_counted(excluded: Sequence[Record]) -> Chapter:
    """Every failed and invalid trial with its reason."""
    if not excluded:
        said = Paragraph("Every trial ended well and passed all of its checks.")
        return Chapter("Not counted", (said,), "not-counted")
    text = "These trials are in no number. Failed: a step could not be done. Invalid: all was done, and a check failed."
    table = replace(summary.not_counted(excluded), title="Trials that do not count")
    return Chapter(f"Not counted ({len(excluded)})", (Paragraph(text), table), "not-counted")


def _driven(study: Study) -> str:
    """Say what trials run."""
    fio = ("fio (4 KiB, sequential, synchronous, one file per process)",) if study.factors.workloads else ()
    return " or ".join((*fio, *study.factors.targets))


def _checked(study: Study, *, commands_alone: bool) -> str:
    """Say what is checked."""
    if commands_alone:
        return "the target did its work, its tracer kept running and ended well, and nothing was left behind"
    fio = "fio did all of its I/O, every I/O was intercepted"
    others = "every read and write that the kernel accounts was intercepted, but for the share a target declares"
    known = "; ".join((*((fio,) if study.factors.workloads else ()), *((others,) if study.factors.targets else ())))
    return f"{known}, intercepted = saved + lost, the output holds exactly what was saved, and nothing was left behind"


def _method(study: Study, order: str, warnings: Sequence[str], *, commands_alone: bool) -> Chapter:
    """What was done, in brief; `order` says whether the order of trials mattered."""
    said = (
        f"Each trial runs {_driven(study)} once, beside one tracer or none"
        " (vanilla), in an image of pinned versions. Trials are run in blocks, one of every setup and one or two of"
        f" vanilla in random order; this study has {study.repetitions} of each kind. What is compared ran in one"
        " block, with the mean of vanilla where it is there twice.",
        order,
        f"Every trial is checked: {_checked(study, commands_alone=commands_alone)}. A trial that fails a check is"
        " invalid.",
        "Ratios are geometric means over blocks. Their 95 % intervals hold at every look and for all setups of a table"
        " at once, so that a run may be stopped by what it says. Those of vanilla against vanilla, and in"
        " statistics.csv, are of Student's t with Holm's correction: of a number of repetitions that was fixed before.",
        *warnings,
    )
    return Chapter(
        "Method", (Chapter("How it was measured, in brief", tuple(map(Paragraph, said)), folded=True),), "method"
    )


def _environment(run: Reported) -> Chapter:
    """On what it ran, with which versions."""
    versions = [(str(name), str(value)) for name, value in dict(run.info.image.get("versions", {})).items()]
    tables = (
        table(("what", "value"), list(_flat(run.info.machine)), texts=2, title="Machine"),
        table(("what", "version"), versions, texts=2, title="Versions in the image"),
    )
    behind = (Chapter(own.title, (own,), folded=True) for own in tables if own.rows)
    text = "environment.json beside each record has all that is known of the machine at that moment."
    return Chapter(
        "Environment", (Terms(tuple(_facts(run.about, run.info.study))), Paragraph(text), *behind), "environment"
    )


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        path = f"{above}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}: ")
        elif value is not None:
            yield path, wording.printable(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))


def _again(study: Study, version: str) -> Chapter:
    """How to repeat the run by one command."""
    text = (
        f"Save the study below as study.toml (it is beside this page, too) and run it with bpfbench {version}:"
        " bpfbench run study.toml. The seed in it makes the order of trials the same."
    )
    code = Code(tuple(to_toml(study).splitlines()), "study.toml")
    return Chapter("Reproduce", (Paragraph(text), Chapter("The study", (code,), folded=True)), "reproduce")
