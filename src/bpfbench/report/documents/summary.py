# SPDX-License-Identifier: Apache-2.0
"""A summary: one table per workload and tool, for people; every metric unrounded, in its own unit, for programs.

Data:

    metrics      key -> what the metric means
    groups[]     workload {name, processes, bytes_per_process, rate_iops}, tool, kernel, emulated, rows[]; of an
                 emulated machine the metrics that prove correctness only (counts of events), all others null
    rows[]       setup, config {attach, format, ringbuf_bytes, poll_ms, payload_bytes} or null for vanilla,
                 n, n_failed, n_invalid, n_paired,
                 metrics: key -> {mean, sd, n, versus_vanilla} or null,
                 lost_percent_by_cause: cause -> {mean, sd, n} or null where the library cannot count it,
                 uncounted: cause -> why
    versus_vanilla   {difference_percent: {mean, sd, n} or null, difference: {mean, sd, n} or null,
                     interval: {low, high} or null, verdict, paper_rule}; null for vanilla and what it does not have
    interval         what the difference may be: at every look, and for all setups of the group at once
    verdict          by it: more, less, undecided (it holds 0), too-few-rounds; paper_rule: beyond-vanilla-sd,
                     inconclusive, not-assessable
    difference       of memory_growth_bytes, in place of the other: value - vanilla's, in its unit
    difference_percent   over n pairs: mean is 100 * (geometric mean of the ratios - 1), sd 100 * (exp(SD of their
                     logarithms) - 1)
    order, noise   what the run says of its own trials: order.py describes both
    answer       which setup for which need: answer.py describes it
    excluded[]   trial, workload, tool, setup, config, block, repetition, status, reason

CSV: one row per workload, tool, setup and configuration; `KEY_mean`, `KEY_sd`, `KEY_n` and, where vanilla has the
metric, `KEY_difference_percent_mean`, `..._sd`, `..._n`, `..._low`, `..._high` (`KEY_difference_mean` and so on of what
is compared by its difference), `KEY_verdict` and `KEY_paper_rule`; losses as `lost_CAUSE_percent_mean`,
`..._sd`, `..._n`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from bpfbench.analysis.apart import Told
from bpfbench.analysis.metrics import LOSS_CAUSES, Metric
from bpfbench.analysis.questions.needs import Answers
from bpfbench.analysis.results import CONFIG, WORKLOAD, Description, Sample
from bpfbench.analysis.summary import Group, Row, Summary
from bpfbench.model import Record
from bpfbench.report import wording
from bpfbench.report.about import About
from bpfbench.report.document import (
    ABSENT,
    Block,
    Bullets,
    Column,
    Document,
    Field,
    Heading,
    Paragraph,
    Table,
    section,
    table,
)
from bpfbench.report.documents import needs
from bpfbench.report.documents.answer import data as answers_data
from bpfbench.report.documents.marks import EXPLAINED, MARK, Marks
from bpfbench.report.documents.remarks import remarks
from bpfbench.report.quantities import Quantity, accounted, among
from bpfbench.report.wording import Said

SCHEMA = 3
"""Version of the data. History: 1 (first); 2 (in the envelope of all answers); 3 (`verdict` is by the interval, the
paper's is `paper_rule`)."""
NOTHING_SAID = Said()
GROUP = ("workload", "tool", "kernel", "emulated")
COUNTS = ("n", "n_failed", "n_invalid", "n_paired")
NO_TRIAL = Paragraph("No trial has been recorded yet.")


def document(
    summary: Summary,
    info: About,
    said: Said = NOTHING_SAID,
    answer: Sequence[Answers] = (),
    *,
    run: str = "",
    paper_rule: bool = False,
) -> Document:
    """Describe the summary of a run.

    Args:
        summary: of it.
        info: what is said of where it was made.
        said: what is said of its trials as a whole.
        answer: which setup for which need, which it ends with.
        run: how the run is called on a command line.
        paper_rule: whether differences are marked by the paper's rule, in place of ours.
    """
    return tuple(_blocks(summary, info, said, answer, run, paper_rule=paper_rule))


def printed(summary: Summary, info: About) -> Document:
    """Return its tables alone, each with a caption that says all that is to be known of it."""
    tables = [_printed(group, info, number) for number, group in enumerate(summary.groups, 1)]
    return tuple(tables) or (NO_TRIAL,)


def _printed(group: Group, info: About, number: int) -> Table:
    facts = [
        wording.heading(group),
        wording.common_configuration(group),
        f"{info.host}, kernel {info.kernel}, run {info.run_id}",
    ]
    what = wording.ACCOUNT if group.emulated else "Mean and SD; in parentheses the change against vanilla."
    caption = " ".join([f"{'. '.join(filter(None, facts))}.", what, *wording.warnings(info)])
    return dataclasses.replace(_table(group, Marks.of(group)), key=f"bpfbench-{number}", caption=caption)


def _blocks(
    summary: Summary, info: About, said: Said, answer: Sequence[Answers], run: str, *, paper_rule: bool
) -> Iterator[Block]:
    yield Heading(wording.title(info, summary), level=1)
    yield Paragraph(wording.circumstances(info))
    yield from (Paragraph(text, "note") for text in wording.warnings(info))
    yield from (Paragraph(text, "warning") for text in said.warnings)
    marked = [(group, Marks.of(group, paper_rule=paper_rule)) for group in summary.groups]
    for group, marks in marked:
        common = wording.common_configuration(group)
        yield from section(wording.heading(group), [common] if common else [], _table(group, marks))
        yield Bullets(tuple(remarks(group, marks)))
    if said.sentences:
        yield from section("Order and noise", (), Bullets(said.sentences))
    if summary.groups:
        yield from section("Legend", (), Bullets(tuple(_legend(marked, summary.target)), "fine"))
    else:
        yield NO_TRIAL
    if summary.excluded:
        yield from section(f"Not counted ({len(summary.excluded)})", (), not_counted(summary.excluded))
    if answer:
        yield from section("Which setup for which need", (), *needs.brief(answer, run))


def _legend(marked: Sequence[tuple[Group, Marks]], target: str) -> Iterator[str]:
    """Explain the tables, and the marks that occur in them."""
    if all(group.emulated for group, _ in marked):
        yield wording.ACCOUNT
    else:
        yield (
            "Mean and SD over n trials that ended ok; with a sign, the difference from vanilla of the same block and"
            " session (geometric mean of the ratios; of memory growth, the mean difference)."
        )
        yield (
            f"CPU: the whole machine while {target} ran. Memory growth: its memory in use while {target} ran, less the"
            " same before, with the tracer attached. Tracer CPU, PSS: the tracer's processes alone. Saved, lost: of the"
            " events intercepted."
        )
        found = {
            marks.judged(row, own.metric) for group, marks in marked for row in group.rows for own in _shown(group)
        }
        yield from dict.fromkeys(text for verdict, text in EXPLAINED.items() if verdict in found)
    yield "A dash: not measured, or no trial to take it from."


def not_counted(excluded: Sequence[Record]) -> Table:
    """Make the table of the trials that are in no number."""
    rows = [(found.trial.id, found.status.value, wording.reason(found) or ABSENT) for found in excluded]
    return table(("trial", "status", "reason"), rows, texts=3)


def by_row(group: Group, columns: Iterable[Column], numbers: Iterable[Sequence[Field]]) -> Table:
    """Make a table with a line for each row of the group; each of `numbers` is a column."""
    lines = zip((wording.named(row, group) for row in group.rows), zip(*numbers, strict=True), strict=True)
    named = (Column("setup", is_text=True), Column("n"))
    return Table((*named, *columns), tuple((*names, *line) for names, line in lines))


def totals(quantity: Quantity, rows: Sequence[Row]) -> list[Field]:
    """Write the sums over the trials of each row."""
    found = [row.spread(quantity.metric) for row in rows]
    return [Field(ABSENT if own is None else f"{own.mean * own.n:.0f}") for own in found]


def numbers(quantity: Quantity, rows: Sequence[Row], write: Callable[[Quantity, Row, int], Field]) -> list[Field]:
    """Write what each row has of a quantity, all with the same number of decimals."""
    metric = quantity.metric
    digits = quantity.digits(row.samples[metric].spread.mean for row in rows if metric in row.samples)
    return [write(quantity, row, digits) if metric in row.samples else Field(ABSENT) for row in rows]


def _shown(group: Group) -> Sequence[Quantity]:
    if group.emulated:
        return accounted({own for row in group.rows for own in row.samples}, fio=group.workload.is_fio)
    return [own for own in of_group(group) if own.importance is not None]


def of_group(group: Group) -> tuple[Quantity, ...]:
    """Return the quantities that a group has."""
    return among(dict.fromkeys(own for row in group.rows for own in row.samples), fio=group.workload.is_fio)


def _table(group: Group, marks: Marks) -> Table:
    shown = _shown(group)
    columns = [
        totals(own, group.rows) if group.emulated else numbers(own, group.rows, partial(_number, marks))
        for own in shown
    ]
    return by_row(group, (quantity.column for quantity in shown), columns)


def _number(marks: Marks, quantity: Quantity, row: Row, digits: int) -> Field:
    own = row.samples[quantity.metric]
    sd = own.spread.sd if quantity.with_sd else None
    field = Field(quantity.number(own.spread.mean, digits), spread=quantity.spread(sd, digits))
    if not own.is_compared:
        return field
    mark = MARK.get(marks.judged(row, own.metric), "")
    return dataclasses.replace(field, detail=_change(quantity, own), mark=mark)


def _change(quantity: Quantity, own: Sample) -> str:
    if own.change is not None and own.metric.by_difference:
        return quantity.difference(own.change.mean)
    return wording.change(own.change) or ABSENT


def data(summary: Summary, said: Said = NOTHING_SAID, answer: Sequence[Answers] = ()) -> dict[str, Any]:
    """Return a summary for programs, with the answer."""
    return {
        "metrics": {metric.key: metric.explained(summary.target) for metric in summary.metrics},
        "groups": [_group(group, summary.metrics) for group in summary.groups],
        "answer": answers_data(answer),
        "excluded": [_excluded(trial) for trial in summary.excluded],
        **said.document,
    }


def _group(group: Group, metrics: Sequence[Metric]) -> dict[str, Any]:
    told = Marks.of(group).told
    return {name: getattr(group, name) for name in GROUP} | {"rows": [_row(row, told, metrics) for row in group.rows]}


def _row(row: Row, told: Told, metrics: Sequence[Metric]) -> dict[str, Any]:
    return {
        "setup": row.cell.setup,
        "config": row.cell.config,
        **{name: getattr(row, name) for name in COUNTS},
        "metrics": {metric.key: _metric(row, metric, told) for metric in metrics},
        "lost_percent_by_cause": {cause: lost and lost.brief for cause, lost in row.lost_percent_by_cause.items()},
        "uncounted": dict(row.uncounted),
    }


def _metric(row: Row, metric: Metric, told: Told) -> dict[str, Any] | None:
    own, found = row.samples.get(metric), told.get((row.cell, metric))
    if own is None:
        return None
    change = own.change and own.change.brief
    kind = "difference" if own.metric.by_difference else "difference_percent"
    compared: dict[str, Any] = {"difference_percent": None, "difference": None, kind: change}
    compared |= {"interval": found and found.interval, "verdict": found and found.verdict, "paper_rule": own.rule}
    return {**own.spread.brief, "versus_vanilla": compared if own.is_compared else None}


def _excluded(record: Record) -> dict[str, Any]:
    told = ("workload", "tool", "setup", "config", "block", "repetition")
    trial = {"trial": record.trial.id, **{name: getattr(record.trial, name) for name in told}}
    return {**trial, "status": record.status, "reason": record.reason}


def flat(summary: Summary) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the header and the rows of its CSV; no column depends on a result, but for causes the contract lacks."""
    found = {cause for group in summary.groups for row in group.rows for cause in row.lost_percent_by_cause}
    causes = (*LOSS_CAUSES, *sorted(found - set(LOSS_CAUSES)))
    marked = [(group, Marks.of(group).told) for group in summary.groups]
    has = summary.metrics, causes
    rows = [_flat_row(group, row, told, *has) for group, told in marked for row in group.rows]
    return [*WORKLOAD, *GROUP[1:], "setup", *CONFIG, *COUNTS, *_flat_numbers(None, {}, *has)], rows


def _flat_row(group: Group, row: Row, told: Told, has: Sequence[Metric], causes: Iterable[str]) -> dict[str, Any]:
    counts = {name: getattr(row, name) for name in COUNTS}
    return {**row.cell.columns, "kernel": group.kernel, **counts, **_flat_numbers(row, told, has, causes)}


def _flat_numbers(row: Row | None, told: Told, has: Sequence[Metric], causes: Iterable[str]) -> dict[str, Any]:
    """Return the numbers of a row by column, each None where it lacks them; of no row, the columns."""
    fields: dict[str, Any] = {}
    for metric in has:
        own = row.samples.get(metric) if row else None
        fields |= _estimated(metric.key, own.spread if own else None)
        if metric.versus_vanilla:
            name = f"{metric.key}_difference{'' if metric.by_difference else '_percent'}"
            found = told.get((row.cell, metric)) if row else None
            ends = found.interval if found else None
            fields |= _estimated(name, own.change if own else None)
            fields |= {f"{name}_low": ends and ends.low, f"{name}_high": ends and ends.high}
            fields[f"{metric.key}_verdict"] = found.verdict if found else None
            fields[f"{metric.key}_paper_rule"] = own.rule if own else None
    for cause in causes:
        fields |= _estimated(f"lost_{cause}_percent", row.lost_percent_by_cause.get(cause) if row else None)
    return fields


def _estimated(name: str, found: Description | None) -> dict[str, Any]:
    return {f"{name}_{part}": found and getattr(found, part) for part in ("mean", "sd", "n")}
