# SPDX-License-Identifier: Apache-2.0
"""What tracers cost a target: a table, what is sure of each, what they hold, and what failed.

Data:

    asked      target {called, command, prepare, metrics[], server {called, command} or null}, tracers[] {called,
               command, ready_line, ready_file, stop_signal}, seconds, seconds_at_most, rounds, margin_percent, seed,
               deadlines, together
    machine    facts of it
    rounds     how many there were
    runs       of the target in a trial, one after the other, where it is short; all values of it are per run
    metrics[]  name, unit, better (less, more), pattern; all that is compared, those asked for first
    rows[]     the bare target first: tracers[] (positions; none: bare), called, n, failed, reason and printed[] (of
               the first of those), ready_by[],
               compared: metric -> {mean, sd, n, change_percent, interval {low, high} or null, verdict, amount,
               rounds_needed}; for the bare target all but the first three are null
               user, system: CPU seconds of the target, per run {mean, sd, n}
               each[]: of each tracer, while the target ran: tracer (position), cpu_percent (of one CPU), cpu_s (per
               run), pss_peak_bytes, memory_peak_bytes, startup_s, startup_cpu_s, stop_s, received and lost (events
               of a trial, by its own word) -> {mean, sd, n}; what was not measured is not there
               bpf {programs[], maps[]: kind, name, memory_bytes} or null
               sums: of several at once: metric -> {sum_percent, together_percent, change_percent (of the one ratio
               over the other), interval, verdict, amount, rounds_needed}
               counted: a trial with the run time of BPF programs counted, compared with nothing: time_s of the target
               (all its runs), cpu_percent of one CPU, programs[] {kind, name, memory_bytes, runs, run_ns}; or null
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
from bpfbench.analysis.questions.overhead import Amount, Comparison, Costing, Counted, Judged, Overhead
from bpfbench.analysis.results import Description
from bpfbench.model import Better, TargetMetric
from bpfbench.model.command import ENDED_AT_ONCE, BpfObject
from bpfbench.model.target import CPU, SERVER_CPU, TIME
from bpfbench.report.document import ABSENT, Block, Bullets, Code, Column, Document, Field, Heading, Paragraph, Table
from bpfbench.report.documents.marks import MARK
from bpfbench.report.numbers import rounded
from bpfbench.report.wording import printable
from bpfbench.units import count, duration, plural

SCHEMA = 2
"""Version of the data. History: 1 (first); 2 (tracers and each in the place of tracer and own; sums, counted)."""

SHORT_S = 0.05
"""A process is started in milliseconds."""
WIDEST_PERCENT = 9999.0
"""An interval that ends later knows no end."""
PROGRAMS_MOST = 3
"""So many are named one by one."""
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
        "runs": found.runs,
        "metrics": found.study.target.compared,
        "rows": [_row_data(row) for row in found.rows],
        "noise": found.noise,
        "absent": found.absent,
    }


def _row_data(row: Costing) -> dict[str, Any]:
    names = ("called", "n", "failed", "reason", "ready_by", "printed", "bpf")
    return (
        {"tracers": row.subject}
        | {name: getattr(row, name) for name in names}
        | {
            "compared": {name: own.spread.brief | _judged_data(own) for name, own in row.compared.items()},
            "user": row.user and row.user.brief,
            "system": row.system and row.system.brief,
            "each": [
                {"tracer": tracer} | {name: found.brief for name, found in own.items()}
                for tracer, own in row.each.items()
            ],
            "sums": {
                name: {"sum_percent": own.sum_percent, "together_percent": own.together_percent}
                | _judged_data(own.beyond)
                for name, own in row.sums.items()
            },
            "counted": row.counted
            and {
                "time_s": row.counted.time_s,
                "cpu_percent": row.counted.cpu_percent,
                "programs": row.counted.programs,
            },
        }
    )


def _judged_data(own: Comparison | Judged) -> dict[str, Any]:
    return {
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
    at_once = " and of several at once" if study.together else ""
    yield Paragraph(
        f"{plural(found.rounds, 'round')} of two bare runs and one of each tracer{at_once}, in random order; {where}."
    )
    if server := study.target.server:
        how = "started for each trial" if server.command else "which runs already"
        yield Paragraph(f"The server is {printable(server.called)}, {how}; its CPU time is that while the target runs.")
    if found.runs > 1:
        yield Paragraph(f"The target is run {plural(found.runs, 'time')} in each trial; what is told is per run.")
    if _is_short(found):
        bare_ms = 1000 * found.rows[0].compared[TIME.name].spread.mean
        once = f", and it is run once in a trial, as {study.run_once}" if study.run_once else ""
        short = f"a run of the target takes {bare_ms:.1f} ms; of so little, starting it is a good part{once}"
        yield Paragraph(f"{short}. Choose one that takes a second or more.", "note")
    yield _table(found)
    for row in found.rows[1:]:
        yield Bullets(tuple(_said(found, row)))
    yield from _fine(found)
    if study.together:
        yield from _together(found)
    for row in found.rows:
        if row.failed:
            yield Heading(f"{printable(row.called)}: {plural(row.failed, 'failed trial')}")
            yield Paragraph(f"{printable(row.reason or '')}")
            yield Code(tuple(map(printable, row.printed)))


def _is_short(found: Overhead) -> bool:
    """Tell whether so little is measured that it is read in milliseconds."""
    bare = found.rows[0].compared.get(TIME.name)
    return bare is not None and bare.spread.mean < SHORT_S


def _table(found: Overhead) -> Table:
    metrics = [
        metric for metric in found.study.target.compared if any(metric.name in row.compared for row in found.rows)
    ]
    columns = (
        Column("tracer", is_text=True),
        Column("n", importance=3),
        *(Column(metric.name, "ms" if _scale(found, metric) > 1 else metric.unit) for metric in metrics),
        Column("of that", "user + system", importance=1),
        Column("tracer CPU", "% of one", importance=6),
        Column("PSS", "MiB", importance=5),
        Column("BPF", "programs", importance=3),
        *([Column("BPF CPU", "% of one, estimated", importance=5)] if _any_counted(found) else []),
        Column("maps", "KiB", importance=2),
        Column("start", "s", importance=4),
        Column("stop", "s", importance=2),
    )
    return Table(columns, tuple(tuple(_row(found, row, metrics)) for row in found.rows), leads=True)


def _scale(found: Overhead, metric: TargetMetric) -> float:
    return 1000.0 if metric in (TIME, CPU) and _is_short(found) else 1.0


def _any_counted(found: Overhead) -> bool:
    return any(row.counted for row in found.rows)


def _row(found: Overhead, row: Costing, metrics: Sequence[TargetMetric]) -> Iterator[Field]:
    yield Field(printable(row.called))
    yield Field(str(row.n), detail=f"{row.failed} failed" if row.failed else "")
    for metric in metrics:
        yield _compared(row.compared.get(metric.name), _scale(found, metric))
    split = [_figures(own.mean * _scale(found, CPU)) for own in (row.user, row.system) if own]
    yield Field(" + ".join(split) or ABSENT)
    yield _own(row, "cpu_percent")
    yield _own(row, "pss_peak_bytes", 2**20)
    yield Field(str(len(row.bpf.programs)) if row.bpf else ABSENT)
    if _any_counted(found):
        yield Field(_figures(row.counted.cpu_percent) if row.counted else ABSENT)
    yield Field(_kib(row.bpf.maps) if row.bpf else ABSENT)
    yield _own(row, "startup_s")
    yield _own(row, "stop_s")


def _compared(own: Comparison | None, scale: float) -> Field:
    if own is None:
        return Field(ABSENT)
    mean, sd = scale * own.spread.mean, own.spread.sd
    spread = _figures(scale * sd, mean) if sd is not None else ""
    if own.apart is None:
        return Field(_figures(mean), spread=spread)
    change = ABSENT if own.change_percent is None else f"{_percent(own.change_percent)} %"
    return Field(_figures(mean), detail=change, spread=spread, mark=MARK.get(own.apart.verdict, ""))


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
        f"{metric.name} {_from_to(found, row, metric)}{sentence(row.compared[metric.name], found.study.margin_percent)}"
        for metric in dict.fromkeys((*found.study.target.decisive, TIME, CPU) if row.subject else ())
        if metric.name in row.compared
    ]
    said = [f"{name}: {'; '.join(sentences)}."]
    if ENDED_AT_ONCE in row.ready_by:
        said.append(f"{ENDED_AT_ONCE[:1].upper()}{ENDED_AT_ONCE[1:]}: the target ran bare.")
    if row.bpf and row.bpf.programs:
        maps = f" {plural(len(row.bpf.maps), 'map')} ({_kinds(row.bpf.maps)})"
        said.append(f"It loaded {plural(len(row.bpf.programs), 'BPF program')} ({_kinds(row.bpf.programs)}),{maps}.")
    if row.counted:
        said.append(_ran(row.counted))
    if counts := [f"{what} {_count(row.own[what])}" for what in ("received", "lost") if what in row.own]:
        said.append(f"By its own word it {' and '.join(counts)} events in a trial.")
    yield " ".join(filter(None, (*said, _further(found, row))))


def _from_to(found: Overhead, row: Costing, metric: TargetMetric) -> str:
    """Write what a share of a CPU was, and is: its change alone is one of per cents."""
    bare = found.rows[0].compared.get(metric.name)
    if metric != SERVER_CPU or bare is None:
        return ""
    return f"from {_figures(bare.spread.mean)} to {_figures(row.compared[metric.name].spread.mean)} % of one CPU, "


def _count(found: Description) -> str:
    return "no" if not found.mean else count(found.mean)


def _ran(counted: Counted) -> str:
    """Say what BPF programs took, by the kernel's counters."""
    ran = sorted((own for own in counted.programs if own.runs), key=lambda own: own.run_ns or 0, reverse=True)
    if not ran:
        return "Its BPF programs did not run, by the kernel's counters."
    each = [
        f"{own.name or own.kind} {count(own.runs or 0)} times, {(own.run_ns or 0) / (own.runs or 1):.0f} ns each"
        for own in ran[:PROGRAMS_MOST]
    ]
    more = f", and {len(ran) - PROGRAMS_MOST} more" if len(ran) > PROGRAMS_MOST else ""
    return (
        f"Its BPF programs ran for {_figures(counted.cpu_percent)} % of one CPU ({'; '.join(each)}{more}), an estimate."
    )


def _further(found: Overhead, row: Costing) -> str:
    """Say how much longer it takes to decide what was asked for, where that is open and can be told."""
    still_open = found.still_open(row)
    rounds = found.rounds_for(own.rounds_needed for own in still_open)
    if not still_open or rounds is None or found.rounds < ROUNDS_LEAST:
        return ""
    long_s = rounds * found.round_s
    if long_s > LONG_S:
        return f"As it looks, that would take more than {duration(LONG_S)}."
    option = f"--for {duration(long_s).replace(' ', '')}"
    return f"As it looks, {plural(rounds, 'round')} would decide it (about {option})."


def _together(found: Overhead) -> Iterator[Block]:
    """Say whether costs add up, and what each tracer takes beside others."""
    several = [row for row in found.rows if len(row.subject) > 1]
    yield Heading("Several at once")
    yield Table(
        (
            Column("at once", is_text=True),
            Column("of what", is_text=True),
            Column("each alone", "%", importance=3),
            Column("the sum", "%", importance=5),
            Column("at once", "%", importance=5),
            Column("beyond the sum", "%"),
            Column("", is_text=True),
        ),
        tuple(
            tuple(_sum_row(found, row, metric))
            for row in several
            for metric in found.study.target.decisive
            if metric.name in row.sums
        ),
    )
    yield Paragraph(
        "The sum is what they would cost if costs added up, as ratios: +10 % and +20 % make +32 %. Tested is that the"
        " ratio of all at once is the product of the ratios of each alone, in each round that has them all; the"
        " interval holds at every look, and for the whole table.",
        "fine",
    )
    yield Table(
        (
            Column("tracer", is_text=True),
            Column("beside", is_text=True),
            Column("n"),
            Column("tracer CPU", "% of one", importance=6),
            Column("PSS", "MiB", importance=5),
            Column("start", "s", importance=4),
            Column("received", "events", importance=3),
            Column("lost", "events", importance=5),
        ),
        tuple(tuple(_beside(found, row, tracer)) for tracer in range(len(found.study.tracers)) for row in found.rows
              if tracer in row.subject),
    )  # fmt: skip
    yield Paragraph("Means of what each tracer takes itself; they are not compared.", "fine")


def _sum_row(found: Overhead, row: Costing, metric: TargetMetric) -> Iterator[Field]:
    alone = [own.compared[metric.name].change_percent for own in found.rows if len(own.subject) == 1 and
             own.subject[0] in row.subject and metric.name in own.compared]  # fmt: skip
    own = row.sums[metric.name]
    interval = own.beyond.apart.interval
    yield Field(printable(row.called))
    yield Field(metric.name)
    yield Field(", ".join(ABSENT if change is None else _percent(change) for change in alone))
    yield Field(_percent(own.sum_percent))
    yield Field(_percent(own.together_percent))
    change = ABSENT if own.beyond.change_percent is None else _percent(own.beyond.change_percent)
    yield Field(change, detail=_interval(interval) if interval else "")
    yield Field(adds_up(own.beyond, metric, found.study.margin_percent))


def adds_up(own: Judged, metric: TargetMetric, margin: float) -> str:
    """Say whether costs add up, by the interval of what is beyond their sum."""
    costlier = Verdict.MORE if metric.better is Better.LESS else Verdict.LESS
    way = "costs more than the sum" if own.apart.verdict is costlier else "costs less than the sum"
    told = own.apart.verdict in (Verdict.MORE, Verdict.LESS)
    if own.apart.verdict is Verdict.TOO_FEW:
        return f"cannot be told: that takes {ROUNDS_LEAST} rounds"
    match own.amount:
        case Amount.BEYOND:
            return f"{way}, by more than {margin:g} %"
        case Amount.WITHIN:
            return f"{way}, by less than {margin:g} %" if told else f"adds up, within {margin:g} %"
        case _:
            return f"{way}; whether by more than {margin:g} % is undecided" if told else "undecided"


def _beside(found: Overhead, row: Costing, tracer: int) -> Iterator[Field]:
    others = tuple(other for other in row.subject if other != tracer)
    own = row.each[tracer]
    yield Field(printable(found.study.tracers[tracer].called))
    yield Field(printable(found.study.called(others)) if others else "nothing")
    yield Field(str(row.n))
    for name, unit in (("cpu_percent", 1.0), ("pss_peak_bytes", 2.0**20), ("startup_s", 1.0)):
        yield Field(_figures(own[name].mean / unit) if name in own else ABSENT)
    for name in ("received", "lost"):
        yield Field(count(own[name].mean) if name in own else ABSENT)


def sentence(own: Comparison, margin: float) -> str:
    """Say how sure a change is: whether it is told apart from bare, and whether it exceeds the margin."""
    apart = own.apart or Apart(Verdict.TOO_FEW)
    if apart.verdict is Verdict.TOO_FEW or own.change_percent is None:
        return f"cannot be told: that takes {ROUNDS_LEAST} rounds"
    if apart.interval is None:
        return "undecided"  # so few rounds make no interval, where many things are compared
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
    if _any_counted(found):
        lines.append(
            "What BPF programs ran for is an estimate from one more trial, in which the kernel counted it, which itself"
            " takes time; it is no addition, but part of the CPU time of the processes they ran in, mostly system time."
        )
    lines += [f"Not measured: {what} ({printable(why)})." for what, why in found.absent.items()]
    yield Paragraph(" ".join(lines), "fine")


def _kinds(objects: Sequence[BpfObject]) -> str:
    counts = Counter(own.kind for own in objects)
    return ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in counts.items())


def _interval(found: Interval) -> str:
    high = _percent(found.high) if found.high <= WIDEST_PERCENT else f"beyond +{WIDEST_PERCENT:.0f}"
    return f"[{_percent(found.low)}, {high}]"


def _percent(value: float) -> str:
    return f"{value:+.0f}" if abs(value) >= 100 else rounded(value, 1, "+")


def _figures(value: float, like: float | None = None) -> str:
    """Write three figures, and all those before the point; or as many decimals as another number has."""
    size = abs(value if like is None else like)
    return rounded(value, 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3)
