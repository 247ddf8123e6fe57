# SPDX-License-Identifier: Apache-2.0
"""What each setup of a run drained, as a share of what its machine allows at all; where that is not known, why."""

from __future__ import annotations

from collections.abc import Iterator

from bpfbench.analysis.questions.roofline import Saving, savings
from bpfbench.analysis.results import Results, varying
from bpfbench.model.roofline import Roofline
from bpfbench.report import wording
from bpfbench.report.document import ABSENT, Chapter, Column, Field, Paragraph, Table
from bpfbench.report.documents.drain import figure, per_s, ranged

TITLE = "Share of what the machine allows"
LEGEND = (
    "The ceiling is the rate of the least that a tracer of one thread can do, which copies each event once and writes"
    " it, by `bench roofline` on this machine."
    " Drained: events saved, less what the rings can hold, as that may be read after the target has ended; a dash where"
    " they hold all. The share is that at the median, in brackets the least and the greatest that both ranges allow;"
    " a dash for several threads, or perf buffers, which no ceiling is for. Who lost nothing stands at what the target"
    " offered: what it could save is not known. Who lost events and is not at a wall is held up by its own work, or"
    " waits for a CPU, which here it shares with the target."
)


def chapter(results: Results, found: Roofline | str) -> Chapter | None:
    """Describe it, a table for each tool; None of a run without a ring.

    Args:
        results: of the run.
        found: what was measured on its machine; or why that is not known.
    """
    own = savings(results, Roofline() if isinstance(found, str) else found)
    if not own:
        return None
    if isinstance(found, str):
        return Chapter(TITLE, (Paragraph(f"Not known: {found}."),), "ceiling", folded=True)
    tools = dict.fromkeys(saving.cell.tool for saving in own)
    tables = (_table(tool, [saving for saving in own if saving.cell.tool == tool]) for tool in tools)
    return Chapter(TITLE, (Paragraph(LEGEND, "fine"), *tables), "ceiling", folded=True)


def _table(tool: str, found: list[Saving]) -> Table:
    columns = (
        Column("target", is_text=True),
        Column("setup", is_text=True),
        Column("drained", "events/s"),
        Column("of the ceiling", "%"),
        Column("stands at", is_text=True),
    )
    names = varying([own.cell.config for own in found if own.cell.config])
    rows = tuple(tuple(_fields(own, names)) for own in found)
    return Table(columns, rows, f"ceiling-{tool}", tool)


def _fields(own: Saving, names: tuple[str, ...]) -> Iterator[Field]:
    yield Field(wording.whole(own.cell.workload))
    yield Field(wording.setup_name(own.cell.setup, own.cell.config, names))
    yield ranged(own.events_per_s, per_s)
    if own.share is None:
        yield Field(ABSENT)
    else:
        percent = own.share.percent
        yield Field(figure(percent.median), detail=f"[{figure(percent.min)}, {figure(percent.max)}]")
    if not own.at_its_limit:
        yield Field("what was offered")
    elif own.share is None:
        yield Field(ABSENT)
    else:
        yield Field(" or ".join(own.share.wall) or "its own work, or its CPU")
