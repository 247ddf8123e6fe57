# SPDX-License-Identifier: Apache-2.0
"""A summary as GitHub Markdown: one table per workload and tool, with every column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bpfbench.analysis.summary import Excluded, Group, Summary
from bpfbench.report import wording
from bpfbench.report.columns import Cell, cells, columns_of
from bpfbench.report.remarks import remarks
from bpfbench.report.run_info import RunInfo
from bpfbench.report.write.markdown import bullets, escaped, table

NOTHING_SAID = wording.Said()
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


def to_markdown(summary: Summary, info: RunInfo, said: wording.Said = NOTHING_SAID) -> str:
    """Write a summary as a Markdown section, and what is said of the run's trials as a whole."""
    parts = [f"## {escaped(wording.title(info, summary))}", escaped(wording.circumstances(info))]
    parts += [f"**Note:** {escaped(warning)}" for warning in wording.warnings(info)]
    parts += [f"**Warning:** {escaped(warning)}" for warning in said.warnings]
    for group in summary.groups:
        parts += _group(group)
    if said.sentences:
        parts += ["### Order and noise", bullets(said.sentences)]
    if summary.groups:
        parts += ["### Legend", bullets(wording.legend(summary))]
    else:
        parts.append("No trial has been recorded yet.")
    if summary.excluded:
        parts += [f"### Not counted ({len(summary.excluded)})", _excluded(summary.excluded)]
    return "\n\n".join(parts) + "\n"


def _group(group: Group) -> Iterator[str]:
    yield f"### {escaped(wording.heading(group))}"
    if common := wording.common_configuration(group):
        yield escaped(common)
    yield table(_header(group), _rows(group), texts=2 if group.varying else 1)
    if found := list(remarks(group)):
        yield bullets(found)


def _header(group: Group) -> list[str]:
    configuration = ["configuration"] if group.varying else []
    return ["setup", *configuration, "n", *(f"{column.title}, {column.unit}" for column in columns_of(group))]


def _rows(group: Group) -> Iterator[list[str]]:
    numbers = [[_number(cell) for cell in cells(column, group.rows)] for column in columns_of(group)]
    for row, line in zip(group.rows, zip(*numbers, strict=True), strict=True):
        configuration = (
            [", ".join(wording.configuration(row, group.varying)) or wording.ABSENT] if group.varying else []
        )
        yield [escaped(row.setup), *configuration, ", ".join(wording.counts(row)), *line]


def _number(cell: Cell | None) -> str:
    if cell is None:
        return wording.ABSENT
    number = escaped(cell.mean) + (f" {PLUS_MINUS} {cell.sd}" if cell.sd else "")
    if cell.verdict is None:
        return number
    mark = wording.MARKS.get(cell.verdict)
    return f"{number} ({cell.difference or wording.ABSENT}{f' {mark}' if mark else ''})"


def _excluded(excluded: Iterable[Excluded]) -> str:
    rows = ([t.trial.id, t.status.value, wording.reason(t) or wording.ABSENT] for t in excluded)
    return table(["trial", "status", "reason"], ([escaped(cell) for cell in row] for row in rows), texts=3)
