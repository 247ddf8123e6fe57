# SPDX-License-Identifier: Apache-2.0
"""What tracers cost a target: a table, what is sure of each, what they hold, and what failed.

Data:

    asked      target {called, command, prepare, metrics[]}, tracers[] {called, command, ready_line, ready_file,
               stop_signal}, seconds, rounds, margin_percent, seed, deadlines
    machine    facts of it
    rounds     how many there were
    metrics[]  name, unit, better (less, more), pattern; all that is compared, those asked for first
    rows[]     the bare target first: tracer (position, null: bare), called, n, failed, reason and printed[] (of the
               first of those), ready_by[],
               compared: metric -> {mean, sd, n, change_percent, interval {low, high} or null, verdict, amount,
               rounds_needed}; for the bare target all but the first three are null
               user, system: CPU seconds of the target {mean, sd, n}
               own: of the tracer, while the target ran: cpu_percent (of one CPU), cpu_s, pss_peak_bytes,
               memory_peak_bytes, startup_s, startup_cpu_s, stop_s -> {mean, sd, n}; what was not measured is not there
               bpf {programs[], maps[]: kind, name, memory_bytes} or null
    verdict    by the interval, which holds at every look and for the whole table: more, less, undecided (it holds 0),
               too-few-rounds; amount: beyond-margin, within-margin, undecided
    noise      metric -> {n, sd}: of the logarithm of the ratio of two bare runs of one round
    absent     what -> why it could not be measured
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.apart import Apart, Verdict
from bpfbench.analysis.inference import Interval, percent
from bpfbench.analysis.questions.overhead import Amount, Comparison, Costing, Overhead
from bpfbench.analysis.results import Description
from bpfbench.model import TargetMetric
from bpfbench.model.command import BpfObject
from bpfbench.model.target import CPU, TIME
from bpfbench.report.document import ABSENT, Block, Bullets, Code, Column, Document, Field, Heading, Paragraph, Table
from bpfbench.report.documents.marks import MARK
from bpfbench.report.numbers import rounded
from bpfbench.report.wording import printable
from bpfbench.units import duration, plural

SCHEMA = 1
"""Version of the data. History: 1 (first)."""

SHORT_S = 0.05
"""A process is started in milliseconds."""
LONG_S = 7200.0
"""Nobody is advised to measure for longer."""

MARKED = {
    Verdict.OPEN: "~ cannot be told from bare: the interval holds 0.",
    Verdict.TOO_FEW: f"? cannot be told: that takes {ROUNDS_LEAST} rounds.",
}


def data(found: Overhead, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return it for programs."""
    return {
        "asked": found.study,
        "machine": machine,
        "rounds": found.rounds,
        "metrics": found.study.target.compared,
        "rows": [_row_data(row) for row in found.rows],
        "noise": found.noise,
        "absent": found.absent,
    }


def _row_data(row: Costing) -> dict[str, Any]:
    names = ("tracer", "called", "n", "failed", "reason", "ready_by", "printed", "bpf")
    return {name: getattr(row, name) for name in names} | {
        "compared": {name: _compared_data(own) for name, own in row.compared.items()},
        "user": row.user and row.user.brief,
        "system": row.system and row.system.brief,
        "own": {name: own.brief for name, own in row.own.items()},
    }


def _compared_data(own: Comparison) -> dict[str, Any]:
    return own.spread.brief | {
        "change_percent": own.change_percent,
        "interval": own.apart and own.apart.interval,
        "verdict": own.apart and own.apart.verdict,
        "amount": own.amount,
        "rounds_needed": own.rounds_needed,
    }


def document(found: Overhead, machine: Mapping[str, Any]) -> Document:
    """Describe it."""
    return tuple(_blocks(found, machine))


def _blocks(found: Overhead, machine: Mapping[str, Any]) -> Iterator[Block]:
    study = found.study
    yield Heading(f"What it costs: {printable(study.target.called)}", 1)
    where = f"{machine['host']} ({machine['cpus']} CPUs, {machine['cpu_model']}), kernel {machine['kernel']}"
    yield Paragraph(
        f"{plural(found.rounds, 'round')} of two bare runs and one of each tracer, in random order; {where}."
    )
    bare_s = found.rows[0].compared.get(TIME.name)
    if bare_s is not None and bare_s.spread.mean < SHORT_S:
        short = f"the target takes {1000 * bare_s.spread.mean:.1f} ms; of so little, starting it is a good part"
        yield Paragraph(f"{short}. Choose one that takes a second or more.", "note")
    yield _table(found)
    for row in found.rows[1:]:
        yield Bullets(tuple(_said(found, row)))
    yield from _fine(found)
    for row in found.rows:
        if row.failed:
            yield Heading(f"{printable(row.called)}: {plural(row.failed, 'failed trial')}")
            yield Paragraph(f"{printable(row.reason or '')}")
            yield Code(tuple(map(printable, row.printed)))


def _table(found: Overhead) -> Table:
    metrics = [
        metric for metric in found.study.target.compared if any(metric.name in row.compared for row in found.rows)
    ]
    columns = (
        Column("tracer", is_text=True),
        Column("n", importance=3),
        *(Column(metric.name, metric.unit) for metric in metrics),
        Column("of that", "user + system", importance=1),
        Column("tracer CPU", "% of one", importance=6),
        Column("PSS", "MiB", importance=5),
        Column("BPF", "programs", importance=3),
        Column("maps", "KiB", importance=2),
        Column("start", "s", importance=4),
        Column("stop", "s", importance=2),
    )
    return Table(columns, tuple(tuple(_row(row, metrics)) for row in found.rows), leads=True)


def _row(row: Costing, metrics: Sequence[TargetMetric]) -> Iterator[Field]:
    yield Field(printable(row.called))
    yield Field(str(row.n), detail=f"{row.failed} failed" if row.failed else "")
    for metric in metrics:
        yield _compared(row.compared.get(metric.name))
    split = f"{_figures(row.user.mean)} + {_figures(row.system.mean)}" if row.user and row.system else ABSENT
    yield Field(split)
    yield _own(row, "cpu_percent")
    yield _own(row, "pss_peak_bytes", 2**20)
    yield Field(str(len(row.bpf.programs)) if row.bpf else ABSENT)
    yield Field(_kib(row.bpf.maps) if row.bpf else ABSENT)
    yield _own(row, "startup_s")
    yield _own(row, "stop_s")


def _compared(own: Comparison | None) -> Field:
    if own is None:
        return Field(ABSENT)
    spread = _figures(own.spread.sd, own.spread.mean) if own.spread.sd is not None else ""
    if own.apart is None:
        return Field(_figures(own.spread.mean), spread=spread)
    change = ABSENT if own.change_percent is None else f"{_percent(own.change_percent)} %"
    return Field(_figures(own.spread.mean), detail=change, spread=spread, mark=MARK.get(own.apart.verdict, ""))


def _own(row: Costing, name: str, unit: float = 1.0) -> Field:
    found: Description | None = row.own.get(name)
    return Field(ABSENT if found is None else _figures(found.mean / unit))


def _kib(objects: Sequence[BpfObject]) -> str:
    known = [own.memory_bytes for own in objects if own.memory_bytes is not None]
    return f"{sum(known) / 1024:.0f}" if len(known) == len(objects) else ABSENT


def _said(found: Overhead, row: Costing) -> Iterator[str]:
    """Say of a tracer what is sure of what was asked for, and what it holds."""
    name = printable(row.called)
    if not row.n:
        yield f"{name}: nothing is known, no trial of it counts."
        return
    sentences = [
        f"{metric.name} {sentence(row.compared[metric.name], found.study.margin_percent)}"
        for metric in (*found.study.target.decisive, CPU)
        if metric.name in row.compared
    ]
    yield f"{name}: {'; '.join(sentences)}.{_further(found, row)}"
    if row.bpf and row.bpf.programs:
        maps = f" {plural(len(row.bpf.maps), 'map')} ({_kinds(row.bpf.maps)})"
        yield f"{name} loaded {plural(len(row.bpf.programs), 'BPF program')} ({_kinds(row.bpf.programs)}),{maps}."


def _further(found: Overhead, row: Costing) -> str:
    """Say how much longer it takes to decide what was asked for, where that is open and can be told."""
    decisive = [row.compared.get(metric.name) for metric in found.study.target.decisive]
    needed = [own.rounds_needed for own in decisive if own and own.amount is Amount.OPEN]
    known = [rounds for rounds in needed if rounds is not None]
    if not needed or len(known) < len(needed) or found.rounds < ROUNDS_LEAST:
        return ""
    long_s = max(known) * found.round_s
    if long_s > LONG_S:
        return f" As it looks, that would take more than {duration(LONG_S)}."
    option = f"--for {duration(long_s).replace(' ', '')}"
    return f" As it looks, {plural(max(known), 'round')} would decide it (about {option})."


def sentence(own: Comparison, margin: float) -> str:
    """Say how sure a change is: whether it is told apart from bare, and whether it exceeds the margin."""
    apart = own.apart or Apart(Verdict.TOO_FEW)
    if apart.interval is None or own.change_percent is None:
        return f"cannot be told: that takes {ROUNDS_LEAST} rounds"
    return f"{_percent(own.change_percent)} % {_interval(apart.interval)}, {_amount(own, apart, margin)}"


def _amount(own: Comparison, apart: Apart, margin: float) -> str:
    told = apart.verdict in (Verdict.MORE, Verdict.LESS)
    match own.amount:
        case Amount.BEYOND:
            return f"a difference of more than {margin:g} %"
        case Amount.WITHIN:
            return f"a difference, within {margin:g} %" if told else f"no difference of more than {margin:g} %"
        case _:
            return f"a difference; whether of more than {margin:g} % is undecided" if told else "undecided"


def _fine(found: Overhead) -> Iterator[Block]:
    verdicts = {own.apart.verdict for row in found.rows for own in row.compared.values() if own.apart}
    lines = [text for verdict, text in MARKED.items() if verdict in verdicts]
    lines.append(
        "Changes are against the bare runs of the same round; intervals hold at every look and for the whole table."
    )
    for metric in found.study.target.decisive:
        if (noise := found.noise.get(metric.name)) is not None:
            lines.append(
                f"Noise: two bare runs of one round differ in {metric.name} by {percent(noise.sd):.1f} % (SD,"
                f" {plural(noise.n, 'round')})."
            )
    lines += [f"Not measured: {what} ({printable(why)})." for what, why in found.absent.items()]
    yield Paragraph(" ".join(lines), "fine")


def _kinds(objects: Sequence[BpfObject]) -> str:
    counts = Counter(own.kind for own in objects)
    return ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in counts.items())


def _interval(found: Interval) -> str:
    return f"[{_percent(found.low)}, {_percent(found.high)}]"


def _percent(value: float) -> str:
    return f"{value:+.0f}" if abs(value) >= 100 else rounded(value, 1, "+")


def _figures(value: float, like: float | None = None) -> str:
    """Write three figures, and all those before the point; or as many decimals as another number has."""
    size = abs(value if like is None else like)
    return rounded(value, 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3)
