# SPDX-License-Identifier: Apache-2.0
"""A summary for the eye: one table per workload and tool, fitted to the width of the console.

A row has two lines: mean and SD above, the difference from vanilla below. Text that comes from outside (names, reasons)
only ever reaches the console as Text, never as markup.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from bpfbench.analysis.summary import Excluded, Group, Row, Summary
from bpfbench.report import wording
from bpfbench.report.columns import DOCUMENTS_ONLY, NEVER_DROPPED, Cell, Column, cells, columns_of
from bpfbench.report.remarks import remarks
from bpfbench.report.run_info import RunInfo

GAP = 2
"""Columns of the screen between two columns of a table."""
LONGEST_LABEL = 20
"""The labels of a configuration share a line up to here; beyond, each has its own."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters that not every terminal can show."""

    plus_minus: str
    box: box.Box


NOTHING_SAID = wording.Said()
UNICODE = Glyphs("\N{PLUS-MINUS SIGN}", box.SIMPLE_HEAD)
ASCII = Glyphs("+-", box.Box(str(box.SIMPLE_HEAD).replace("\N{BOX DRAWINGS LIGHT HORIZONTAL}", "-"), ascii=True))
UNIT = re.compile(r"(?<=\d) (?=%|(B|[KMGT]iB|ms)\b)")
"""The blank between a number and its unit, where no line is broken."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at one place of a table."""

    lines: tuple[str, ...]
    style: str = ""

    def justified(self, width: int) -> Text:
        """Its lines moved to the right. Not left to rich, which drops the blank that stands for no mark."""
        return Text("\n".join(line.rjust(width) for line in self.lines), style=self.style)


@dataclass(frozen=True, slots=True)
class Strip:
    """One column of one table, written out."""

    header: Entry
    body: tuple[Entry, ...]
    is_text: bool = False
    """Text is set to the left, numbers to the right."""

    @property
    def width(self) -> int:
        """Of the widest line."""
        return max(cell_len(line) for entry in (self.header, *self.body) for line in entry.lines)

    def texts(self, width: int) -> tuple[Text, ...]:
        """Header and body, ready for a column this wide."""
        return tuple(entry.justified(0 if self.is_text else width) for entry in (self.header, *self.body))


def render(summary: Summary, info: RunInfo, console: Console, said: wording.Said = NOTHING_SAID) -> None:
    """Print the summary of a run, and what is said of its trials as a whole."""
    glyphs = ASCII if console.options.ascii_only else UNICODE
    _print_head(summary, info, console, said)
    dropped: list[Column] = []
    for _, alike in groupby(summary.groups, key=lambda group: group.emulated):
        groups = tuple(alike)
        columns = _fitting(groups, console.width, glyphs)
        shared = _widths(groups, columns, glyphs)
        for group in groups:
            _print_group(group, _strips(group, columns, glyphs), shared, console, glyphs)
        dropped += [column for column in _of_terminals(groups) if column not in columns]
    for sentence in said.sentences:
        _say(console, sentence)
    if said.sentences:
        console.print()
    if summary.groups:
        _print_legend(summary, dropped, console)
    else:
        _say(console, "No trial has been recorded yet.")
    if summary.excluded:
        _print_excluded(summary.excluded, console)


def _print_head(summary: Summary, info: RunInfo, console: Console, said: wording.Said) -> None:
    _say(console, wording.title(info, summary), style="bold")
    _say(console, wording.circumstances(info))
    for warning in wording.warnings(info):
        _say(console, f"Note: {warning}", style="yellow")
    for warning in said.warnings:
        _say(console, f"Warning: {warning}", style="bold red")
    console.print()


def _print_group(
    group: Group, strips: Sequence[Strip], widths: Sequence[int], console: Console, glyphs: Glyphs
) -> None:
    _say(console, wording.heading(group), style="bold")
    if common := wording.common_configuration(group):
        _say(console, common)
    table = Table(box=glyphs.box, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    written = [strip.texts(width) for strip, width in zip(strips, widths, strict=True)]
    for (header, *_), width in zip(written, widths, strict=True):
        table.add_column(header, width=width, no_wrap=True)
    for line in list(zip(*written, strict=True))[1:]:
        table.add_row(*line)
    console.print()
    _print(console, table)
    for remark in remarks(group):
        _say(console, remark, bullet="  - ")
    console.print()


def _print_legend(summary: Summary, dropped: Sequence[Column], console: Console) -> None:
    for line in wording.legend(summary):
        _say(console, line, style="dim")
    if dropped:
        titles = ", ".join(column.title for column in dropped)
        text = f"Left out at this width ({console.width}): {titles}; --markdown and --json have everything."
        _say(console, text)


def _print_excluded(excluded: Sequence[Excluded], console: Console) -> None:
    console.print()
    _say(console, f"Not counted ({len(excluded)})", style="bold")
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for _ in range(2):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for trial in excluded:
        reason = wording.reason(trial) or wording.ABSENT
        grid.add_row(Text(wording.printable(trial.trial.id)), Text(trial.status.value), Text(reason))
    _print(console, grid)


def _say(console: Console, text: str, style: str = "", bullet: str = "") -> None:
    """Print a paragraph. A number is not parted from its unit, nor a name at its hyphen."""
    glued = UNIT.sub("\N{NO-BREAK SPACE}", wording.printable(text))
    hanging = " " * len(bullet)
    width = max(console.width, len(bullet) + 20)
    lines = textwrap.wrap(glued, width, initial_indent=bullet, subsequent_indent=hanging, break_on_hyphens=False)
    _print(console, Text("\n".join(lines).replace("\N{NO-BREAK SPACE}", " "), style=style))


def _print(console: Console, renderable: RenderableType) -> None:
    """Print without the blanks rich fills lines up with, so that the output can be pasted and diffed."""
    for line in console.render_lines(renderable, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            line[-1] = line[-1]._replace(text=line[-1].text.rstrip())
        console.print(Segments([*line, Segment.line()]), soft_wrap=True)


def _fitting(groups: Sequence[Group], width: int, glyphs: Glyphs) -> list[Column]:
    """The columns there is room for in every table, the least important given up first."""
    columns = _of_terminals(groups)
    for least in sorted(columns, key=lambda column: column.importance):
        widths = _widths(groups, columns, glyphs)
        if sum(widths) + GAP * (len(widths) - 1) <= width or least.importance == NEVER_DROPPED:
            break
        columns.remove(least)
    return columns


def _of_terminals(groups: Sequence[Group]) -> list[Column]:
    """The columns that a terminal of any width has; the groups are all emulated, or none is."""
    return [column for column in columns_of(groups[0]) if column.importance != DOCUMENTS_ONLY]


def _widths(groups: Iterable[Group], columns: Sequence[Column], glyphs: Glyphs) -> list[int]:
    """The width of each column, the same in all tables so that they line up."""
    tables = (_strips(group, columns, glyphs) for group in groups)
    return [max(strip.width for strip in strips) for strips in zip(*tables, strict=True)]


def _strips(group: Group, columns: Sequence[Column], glyphs: Glyphs) -> list[Strip]:
    return [
        Strip(Entry(("", "setup")), _setups(group), is_text=True),
        Strip(Entry(("", "n")), tuple(Entry(tuple(wording.counts(row))) for row in group.rows)),
        *(_numbers(column, group.rows, glyphs) for column in columns),
    ]


def _setups(group: Group) -> tuple[Entry, ...]:
    """Each setup, with what distinguishes its rows below it."""
    labels = [wording.configuration(row, group.varying) for row in group.rows]
    if all(len(", ".join(found)) <= LONGEST_LABEL for found in labels):
        labels = [[", ".join(found)] if found else [] for found in labels]
    pairs = zip(group.rows, labels, strict=True)
    return tuple(Entry((wording.printable(row.setup), *(f"  {label}" for label in found))) for row, found in pairs)


def _numbers(column: Column, rows: Sequence[Row], glyphs: Glyphs) -> Strip:
    written = cells(column, rows)
    longest_mean = max((len(cell.mean) for cell in written if cell), default=0)
    longest_sd = max((len(cell.sd) for cell in written if cell and cell.sd), default=0)

    def entry(cell: Cell | None) -> Entry:
        if cell is None:
            return Entry((wording.ABSENT,))
        sd = f" {glyphs.plus_minus} {cell.sd or wording.ABSENT:>{longest_sd}}" if longest_sd else ""
        first = f"{cell.mean:>{longest_mean}}{sd}"
        if cell.verdict is None:
            return Entry((first,))
        mark = wording.MARKS.get(cell.verdict, "")
        return Entry((first, f"{cell.difference or wording.ABSENT} {mark:1}"), style="dim" if mark else "")

    return Strip(Entry((column.title, column.unit)), tuple(entry(cell) for cell in written))
