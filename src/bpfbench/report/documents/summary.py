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
    versus_vanilla   {difference_percent: {mean, sd, n} or null, verdict, difference: {mean, sd, n} or null}; null for
                     vanilla and what it does not have
    difference       of memory_growth_bytes, in place of the other: value - vanilla's, in its unit
    difference_percent   over n pairs: mean is 100 * (geometric mean of the ratios - 1), sd 100 * (exp(SD of their
                     logarithms) - 1)
    order, noise   what the run says of its own trials: order.py describes both
    excluded[]   trial, workload, tool, setup, config, block, repetition, status, reason

CSV: one row per workload, tool, setup and configuration; `KEY_mean`, `KEY_sd`, `KEY_n` and, where vanilla has the
metric, `KEY_difference_percent_mean`, `..._sd`, `..._n` (`KEY_difference_mean` and so on of what is compared by its
difference) and `KEY_verdict`; losses as `lost_CAUSE_percent_mean`,
`..._sd`, `..._n`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from bpfbench.analysis.metrics import LOSS_CAUSES, METRICS, Metric
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
from bpfbench.report.documents.remarks import remarks
from bpfbench.report.quantities import ACCOUNT, SUMMARY, Quantity
from bpfbench.report.wording import Said

SCHEMA = 2
"""Version of the data. History: 1 (first); 2 (in the envelope of all answers)."""
NOTHING_SAID = Said()
GROUP = ("workload", "tool", "kernel", "emulated")
COUNTS = ("n", "n_failed", "n_invalid", "n_paired")
NO_TRIAL = Paragraph("No trial has been recorded yet.")


class Described(Protocol):
    """What is known of one metric of one cell: a sample, or what was tested of it, which takes a second to import."""

    @property
    def spread(self) -> Description:
        """Of its values."""


Known = TypeVar("Known", bound=Described)


def document(summary: Summary, info: About, said: Said = NOTHING_SAID) -> Document:
    """Describe the summary of a run, and what is said of its trials as a whole."""
    return tuple(_blocks(summary, info, said))


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
    return dataclasses.replace(_table(group), key=f"bpfbench-{number}", caption=caption)


def _blocks(summary: Summary, info: About, said: Said) -> Iterator[Block]:
    yield Heading(wording.title(info, summary), level=1)
    yield Paragraph(wording.circumstances(info))
    yield from (Paragraph(text, "note") for text in wording.warnings(info))
    yield from (Paragraph(text, "warning") for text in said.warnings)
    for group in summary.groups:
        common = wording.common_configuration(group)
        yield from section(wording.heading(group), [common] if common else [], _table(group))
        yield Bullets(tuple(remarks(group)))
    if said.sentences:
        yield from section("Order and noise", (), Bullets(said.sentences))
    if summary.groups:
        yield from section("Legend", (), Bullets(tuple(wording.legend(summary)), "fine"))
    else:
        yield NO_TRIAL
    if summary.excluded:
        yield from section(f"Not counted ({len(summary.excluded)})", (), not_counted(summary.excluded))


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


def numbers(
    quantity: Quantity, found: Sequence[Known | None], write: Callable[[Quantity, Known, int], Field]
) -> list[Field]:
    """Write what is known of each row, all with the same number of decimals."""
    digits = quantity.digits(own.spread.mean for own in found if own is not None)
    return [Field(ABSENT) if own is None else write(quantity, own, digits) for own in found]


def _table(group: Group) -> Table:
    shown = ACCOUNT if group.emulated else SUMMARY
    columns = [
        totals(own, group.rows)
        if group.emulated
        else numbers(own, [row.samples.get(own.metric) for row in group.rows], _number)
        for own in shown
    ]
    return by_row(group, (quantity.column for quantity in shown), columns)


def _number(quantity: Quantity, own: Sample, digits: int) -> Field:
    sd = own.spread.sd if quantity.with_sd else None
    field = Field(quantity.number(own.spread.mean, digits), spread=quantity.spread(sd, digits))
    if not own.is_compared:
        return field
    return dataclasses.replace(field, detail=_change(quantity, own), mark=wording.MARKS.get(own.rule, ""))


def _change(quantity: Quantity, own: Sample) -> str:
    if own.change is not None and own.metric.by_difference:
        return quantity.difference(own.change.mean)
    return wording.change(own.change) or ABSENT


def data(summary: Summary, said: Said = NOTHING_SAID) -> dict[str, Any]:
    """Return a summary for programs."""
    return {
        "metrics": {metric.key: metric.meaning for metric in METRICS},
        "groups": [_group(group) for group in summary.groups],
        "excluded": [_excluded(trial) for trial in summary.excluded],
        **said.document,
    }


def _group(group: Group) -> dict[str, Any]:
    return {name: getattr(group, name) for name in GROUP} | {"rows": [_row(row) for row in group.rows]}


def _row(row: Row) -> dict[str, Any]:
    return {
        "setup": row.cell.setup,
        "config": row.cell.config,
        **{name: getattr(row, name) for name in COUNTS},
        "metrics": {metric.key: _metric(row.samples.get(metric)) for metric in METRICS},
        "lost_percent_by_cause": {cause: lost and lost.brief for cause, lost in row.lost_percent_by_cause.items()},
        "uncounted": dict(row.uncounted),
    }


def _metric(own: Sample | None) -> dict[str, Any] | None:
    if own is None:
        return None
    change = own.change and own.change.brief
    kind = "difference" if own.metric.by_difference else "difference_percent"
    compared = {"difference_percent": None, "verdict": own.rule, "difference": None} | {kind: change}
    return {**own.spread.brief, "versus_vanilla": compared if own.is_compared else None}


def _excluded(record: Record) -> dict[str, Any]:
    told = ("workload", "tool", "setup", "config", "block", "repetition")
    trial = {"trial": record.trial.id, **{name: getattr(record.trial, name) for name in told}}
    return {**trial, "status": record.status, "reason": record.reason}


def flat(summary: Summary) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the header and the rows of its CSV; no column depends on a result, but for causes the contract lacks."""
    found = {cause for group in summary.groups for row in group.rows for cause in row.lost_percent_by_cause}
    causes = (*LOSS_CAUSES, *sorted(found - set(LOSS_CAUSES)))
    rows = [_flat_row(group, row, causes) for group in summary.groups for row in group.rows]
    return [*WORKLOAD, *GROUP[1:], "setup", *CONFIG, *COUNTS, *_flat_numbers({}, {}, causes)], rows


def _flat_row(group: Group, row: Row, causes: Iterable[str]) -> dict[str, Any]:
    counts = {name: getattr(row, name) for name in COUNTS}
    numbers = _flat_numbers(row.samples, row.lost_percent_by_cause, causes)
    return {**row.cell.columns, "kernel": group.kernel, **counts, **numbers}


def _flat_numbers(
    samples: Mapping[Metric, Sample], lost: Mapping[str, Description | None], causes: Iterable[str]
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for metric in METRICS:
        own = samples.get(metric)
        fields |= _estimated(metric.key, own.spread if own else None)
        if metric.versus_vanilla:
            kind = "difference" if metric.by_difference else "difference_percent"
            fields |= _estimated(f"{metric.key}_{kind}", own.change if own else None)
            fields[f"{metric.key}_verdict"] = own.rule if own else None
    for cause in causes:
        fields |= _estimated(f"lost_{cause}_percent", lost.get(cause))
    return fields


def _estimated(name: str, found: Description | None) -> dict[str, Any]:
    return {f"{name}_{part}": found and getattr(found, part) for part in ("mean", "sd", "n")}
