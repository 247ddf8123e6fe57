# SPDX-License-Identifier: Apache-2.0
"""The chapters behind the evidence: servers, noise, the paper's claims, trade-offs, what does not count, method."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bpfbench.analysis import metrics
from bpfbench.analysis.claims.judge import Findings
from bpfbench.analysis.inference import Finding
from bpfbench.analysis.questions.tradeoffs import TradeOffs
from bpfbench.analysis.statistics import Analysis, Statistic
from bpfbench.analysis.summary import Excluded
from bpfbench.declare.study import to_toml
from bpfbench.model import EMULATED, EMULATED_REMARK, Study
from bpfbench.report import claims, wording
from bpfbench.report.columns import MIB
from bpfbench.report.documents import tradeoffs
from bpfbench.report.page.page import Part
from bpfbench.report.tables import DASH, NO_BREAK, Cell, Table, change, difference, p_value, percent

_SHOWN = (metrics.RUNTIME, metrics.THROUGHPUT, metrics.LATENCY, metrics.CPU, metrics.MEMORY_GROWTH, metrics.POWER)
"""The metrics of the figures."""


def servers(analysis: Analysis) -> Part | None:
    """What the hosts differ by before any tracer runs; None for a single one."""
    shown = {metric.key for metric in _SHOWN}
    rows = tuple(
        (
            Cell(f"{found.cell.workload.name}, {found.cell.tool}"),
            Cell(found.metric),
            Cell(", ".join(f"{host} {percent(ratio)} %" for host, ratio in found.ratios.items())),
            Cell(DASH if found.p is None else f"p {p_value(found.p)}"),
        )
        for found in analysis.hosts
        if found.metric in shown
    )
    if not rows:
        return None
    table = Table(
        "hosts", "Vanilla by host", "Against the mean of all hosts.", ("case", "metric", "hosts", "equal?"), rows
    )
    text = (
        "Read this first: by how much the servers differ without any tracer. Setups are compared with the vanilla of"
        " their own server, so that such differences cancel."
    )
    return Part("servers", "Between servers", (text,), (table,))


def control(analysis: Analysis, noise: str, *, emulated: bool) -> Part:
    """Vanilla against vanilla: how much this machine makes of nothing; `noise` says it in a sentence."""
    shown = {metric.key for metric in _SHOWN}
    found = [s for s in analysis.statistics if (s.paired or s.difference) and s.metric in shown]
    tested = (s.paired or s.difference for s in found)
    false = [own for own in tested if own and own.finding in (Finding.HIGHER, Finding.LOWER)]
    if not found:
        why = EMULATED if emulated else "too few vanilla trials to compare with each other"
        return Part("control", "Noise: vanilla against vanilla", (noise, f"{why.capitalize()}."))
    text = (
        "Two vanilla trials (of a block, or where blocks have one, of neighbouring blocks) are compared as a tracer and"
        " its vanilla are. Nothing"
        f" differs, so nothing should be found: {len(false)} of {len(found)} comparisons came out as a difference."
        " The intervals show what noise alone amounts to on this machine."
    )
    table = Table(
        "control",
        "Vanilla against vanilla",
        "Ratio as a change, 95 % interval, p after Holm's correction.",
        ("workload", "metric", "pairs", "difference"),
        tuple(_control_row(statistic) for statistic in found),
    )
    return Part("control", "Noise: vanilla against vanilla", (noise, text), (table,))


def _control_row(statistic: Statistic) -> tuple[Cell, ...]:
    paired, other = statistic.paired, statistic.difference
    workload = f"{statistic.cell.workload.name}, {wording.extent(statistic.cell.workload)}"
    cells = (Cell(DASH), Cell(DASH))
    if paired is not None:
        cells = Cell(str(paired.n)), Cell(change(paired))
    elif other is not None:
        cells = Cell(str(other.n)), Cell(f"{difference(other, MIB)}{NO_BREAK}(MiB)")
    return (Cell(workload), Cell(statistic.metric), *cells)


def findings(found: Findings) -> Part:
    """The paper's claims with their verdicts, its circumstances beside the run's, and remarks on the paper."""
    text = f"Of the {len(found.judgements)} findings of the paper, on this run: {claims.totals(found)}."
    said = [remark for remark in found.remarks if remark != EMULATED_REMARK]  # the page begins with it
    return Part("claims", "What of the paper holds here", (text, *said), claims.tables(found))


def exchanged(found: TradeOffs) -> Part | None:
    """Correlations between what setups cost and what they yield; None without any tracer to compare."""
    if not found.each:
        return None
    rows = tuple(
        (
            Cell(f"{one.title} and {other.title}"),
            Cell(DASH if own.rho is None else f"{own.rho:+.2f}".replace("-", "\N{MINUS SIGN}")),
            Cell(DASH if own.interval is None else f"[{own.interval.low:+.2f}, {own.interval.high:+.2f}]"),
            Cell(DASH if own.p is None else p_value(own.p)),
            Cell(str(own.n), own.reason or ""),
        )
        for own in found.correlations
        for one, other in (own.axes,)
    )
    table = Table(
        "correlations", "Spearman's rank correlations", "Over all cells.", ("axes", "rho", "95 %", "p", "cells"), rows
    )
    return Part("tradeoffs", "Trade-offs", tuple(tradeoffs.legend(found)), (table,))


def not_counted(excluded: Sequence[Excluded]) -> Part:
    """Every failed and invalid trial with its reason."""
    if not excluded:
        return Part("not-counted", "Not counted", ("Every trial ended well and passed all of its checks.",))
    rows = tuple(
        (Cell(found.trial.id), Cell(found.status.value), Cell(wording.reason(found) or DASH)) for found in excluded
    )
    text = "These trials are in no number. Failed: a step could not be done. Invalid: all was done, and a check failed."
    table = Table("not-counted", "Trials that do not count", "", ("trial", "status", "reason"), rows)
    return Part("not-counted", f"Not counted ({len(excluded)})", (text,), (table,))


def method(study: Study, order: str, warnings: Sequence[str]) -> Part:
    """What was done, in brief; `order` says whether the order of trials mattered."""
    return Part(
        "method",
        "Method in brief",
        (
            "Each trial runs fio (4 KiB, sequential, synchronous, one file per process) once, beside one tracer or none"
            " (vanilla), in an image of pinned versions. Trials are run in blocks, one of every setup and one or two of"
            f" vanilla in random order; this study has {study.repetitions} of each kind. What is compared ran in one"
            " block, with the mean of vanilla where it is there twice.",
            order,
            "Every trial is checked: fio did all of its I/O, every I/O was intercepted, intercepted = saved + lost, the"
            " output holds exactly what was saved, and nothing was left behind. A trial that fails a check is invalid.",
            "Ratios are geometric means over blocks, with a 95 % interval of Student's t on their logarithms; p is of"
            " the paired t test, corrected by Holm's method for the number of setups. Means within vanilla's SD are"
            " marked, which is the paper's rule.",
            *warnings,
        ),
    )


def environment(machine: Mapping[str, Any], image: Mapping[str, Any]) -> Part:
    """On what it ran, with which versions."""
    versions = tuple((Cell(str(name)), Cell(str(value))) for name, value in dict(image.get("versions", {})).items())
    tables = [_pairs("machine", "Machine", _flat(machine))]
    if versions:
        tables.append(Table("versions", "Versions in the image", "", ("what", "version"), versions))
    text = "environment.json beside each record has all that is known of the machine at that moment."
    return Part("environment", "Environment", (text,), tuple(tables))


def _pairs(key: str, title: str, found: Iterator[tuple[str, str]]) -> Table:
    return Table(key, title, "", ("what", "value"), tuple((Cell(name), Cell(value)) for name, value in found))


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        path = f"{above}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}: ")
        elif value is not None:
            yield path, wording.printable(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))


def again(study: Study, version: str) -> Part:
    """How to repeat the run by one command."""
    text = (
        f"Save the study below as study.toml (it is beside this page, too) and run it with bpfbench {version}:"
        " bpfbench run study.toml. The seed in it makes the order of trials the same."
    )
    return Part("reproduce", "Reproduce this run", (text,), (), to_toml(study), "study.toml")


def grouped(excluded: Sequence[Excluded]) -> dict[str, int]:
    """How many trials ended in which way."""
    counts: defaultdict[str, int] = defaultdict(int)
    for found in excluded:
        counts[found.status.value] += 1
    return dict(counts)
