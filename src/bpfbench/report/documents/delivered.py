# SPDX-License-Identifier: Apache-2.0
"""The delay of delivery: how long events took from their end until they could be read in each tracer's output."""

from __future__ import annotations

from dataclasses import replace

from bpfbench.analysis.metrics import DELAY_MAX
from bpfbench.analysis.results import Results
from bpfbench.analysis.summary import Group, Row, groups
from bpfbench.report import wording
from bpfbench.report.document import Chapter, Column, Field, Paragraph, Table
from bpfbench.report.documents.summary import by_row, numbers
from bpfbench.report.quantities import DELIVERED, Quantity

TITLE = "Delay of delivery"
LEGEND = (
    "From the end of an event until it could be read in the tracer's output, which went into a pipe: its wait in the"
    " ring, and in the tracer's buffer. Of events that were saved, in trials of the variant delay, which are in nothing"
    " else here. Mean ± SD over n trials of what 50, 99 and 99.9 of 100 events of a trial do not exceed."
)


def chapter(results: Results) -> Chapter | None:
    """Describe the delays of a run, a table for each workload and tool; None where none were taken."""
    timed = [cell for cell in results.cells if (cell, DELAY_MAX) in results.samples and not cell.emulated]
    if not timed:
        return None
    each = (_table(group) for group in groups(results, timed))
    return Chapter(TITLE, (Paragraph(LEGEND, "fine"), *each), "delays", folded=True)


def _table(group: Group) -> Table:
    traced = replace(group, rows=tuple(row for row in group.rows if not row.cell.is_vanilla))
    columns = (Column(own.title, own.unit) for own in DELIVERED)
    found = by_row(traced, columns, (numbers(own, traced.rows, _number) for own in DELIVERED))
    return replace(found, title=wording.heading(group), caption=f"All: {wording.common_configuration(traced)}.")


def _number(quantity: Quantity, row: Row, digits: int) -> Field:
    own = row.samples[quantity.metric].spread
    return Field(quantity.number(own.mean, digits), spread=quantity.spread(own.sd, digits))
