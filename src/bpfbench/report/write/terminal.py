# SPDX-License-Identifier: Apache-2.0
"""A document on a terminal, by rich: texts reach it as Text, never as markup; no line ends in blanks.

Tables that have the same columns line up. Where the terminal is too narrow for them, the columns of least importance
are left out, and named at the end. A terminal that has no Unicode gets ASCII in its place.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.segment import Segment, Segments
from rich.table import Table as Grid
from rich.text import Text

from bpfbench.report.document import (
    ABSENT,
    ALWAYS,
    NEVER,
    Bullets,
    Code,
    Column,
    Document,
    Field,
    Figure,
    Heading,
    Paragraph,
    Plain,
    Table,
    Terms,
    flat,
)
from bpfbench.report.spans import Overview
from bpfbench.report.wording import printable, unfolded

STYLES = {"note": "yellow", "warning": "bold red", "fine": "dim"}
WEIGHTS = {"good": "green", "bad": "red", "open": "yellow"}
PREFIXES = {"note": "Note: ", "warning": "Warning: "}

GAP = 2
"""Columns of the screen between two columns of a table."""
LONGEST_DETAIL = 20
"""The details of a text share a line up to here; beyond, each has its own."""
ASCII = str.maketrans({"±": "+-", "µ": "u", "×": "x", "–": "-", "…": "...", "—": "-"})
"""For terminals that have nothing else."""
UNIT = re.compile(r"(?<=\d) (?=%|(B|[KMGT]iB|ms)\b)")
"""The blank between a number and its unit, where no line is broken."""
RULE = box.SIMPLE_HEAD
ASCII_RULE = box.Box(str(RULE).replace("\N{BOX DRAWINGS LIGHT HORIZONTAL}", "-"), ascii=True)


Lines = list[str]


@dataclass(frozen=True, slots=True)
class Fitting:
    """How all tables of the same columns are written."""

    shown: tuple[int, ...]
    """Positions of the columns that there is room for."""
    widths: Mapping[int, int]
    """Of the columns, by position; none where not even their longest words fit."""
    whole: bool
    """Nothing has to be broken into lines."""


def write(document: Document, console: Console) -> None:
    """Print a document: a blank line stands before each heading but the first, and between tables and sentences."""
    blocks = tuple(flat(document))
    fits = _fits([block for block in blocks if isinstance(block, Table)], console)
    for before, block in zip((None, *blocks), blocks, strict=False):
        apart = {type(before), type(block)} == {Table, Paragraph}
        if before is not None and (isinstance(block, Heading) or apart):
            console.print()
        _print(block, fits, console)
    dropped = (columns[at].title for columns, fit in fits.items() for at in _offered(columns) if at not in fit.shown)
    if names := ", ".join(dict.fromkeys(dropped)):
        _say(console, f"Left out at this width ({console.width}): {names}; --markdown and --json have everything.")


def _print(block: Plain, fits: Mapping[tuple[Column, ...], Fitting], console: Console) -> None:
    match block:
        case Heading(text):
            _say(console, text, "bold")
        case Paragraph(text, tone):
            _say(console, f"{PREFIXES.get(tone, '')}{text}", STYLES.get(tone, ""))
        case Bullets(lines, tone):
            for line in lines:
                _say(console, line, STYLES.get(tone, ""), bullet="  - ")
        case Terms() | Code():
            for line in _unbroken(block, console):
                console.print(Text(f"  {line}".rstrip()), soft_wrap=True)
        case Table():
            _write(console, _grid(block, fits[block.columns], console))
        case Figure() | Overview():
            pass  # nothing can be drawn here


def _unbroken(block: Terms | Code, console: Console) -> list[str]:
    """The lines of what is not broken into others."""
    if isinstance(block, Code):
        return [_in_its_characters(unfolded(line), console) for line in block.lines]
    items = [(_shown(name, console), _shown(said, console)) for name, said in block.items]
    width = max((len(name) for name, _ in items), default=0)
    return [f"{name:<{width}}  {said}" for name, said in items]


def _say(console: Console, text: str, style: str = "", bullet: str = "") -> None:
    """Print a paragraph. A number is not parted from its unit, nor a name at its hyphen."""
    glued = UNIT.sub("\N{NO-BREAK SPACE}", _shown(text, console))
    width = max(console.width, len(bullet) + 20)
    hanging = " " * len(bullet)
    lines = textwrap.wrap(
        glued, width, initial_indent=bullet, subsequent_indent=hanging, break_on_hyphens=False, break_long_words=False
    )
    _write(console, Text("\n".join(lines).replace("\N{NO-BREAK SPACE}", " "), style=style))


def _write(console: Console, renderable: RenderableType) -> None:
    """Print without the blanks rich fills lines up with, so that the output can be pasted and diffed."""
    for line in console.render_lines(renderable, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            line[-1] = line[-1]._replace(text=line[-1].text.rstrip())
        console.print(Segments([*line, Segment.line()]), soft_wrap=True)


def _shown(text: str, console: Console) -> str:
    """A text in characters that the terminal has."""
    return _in_its_characters(printable(text), console)


def _in_its_characters(text: str, console: Console) -> str:
    if text.isascii() or not console.options.ascii_only:
        return text
    return text.translate(ASCII).encode("ascii", "replace").decode()


def _fits(tables: Sequence[Table], console: Console) -> dict[tuple[Column, ...], Fitting]:
    alike: dict[tuple[Column, ...], list[Table]] = {}
    for table in tables:
        alike.setdefault(table.columns, []).append(table)
    return {columns: _fit(columns, own, console) for columns, own in alike.items()}


def _fit(columns: Sequence[Column], tables: Sequence[Table], console: Console) -> Fitting:
    """Choose the columns that there is room for in every table, the least important given up first."""
    shown = _offered(columns)
    widths = {at: max(_width(_column(table, at, console)) for table in tables) for at in shown}

    def whole() -> bool:
        return sum(widths[at] for at in shown) + GAP * (len(shown) - 1) <= console.width

    for least in sorted(shown, key=lambda at: columns[at].importance):
        if whole() or columns[least].importance == ALWAYS:
            break
        shown.remove(least)
    if whole():
        return Fitting(tuple(shown), widths, whole=True)
    written = ([line for table in tables for lines in _column(table, at, console) for line in lines] for at in shown)
    longest = [max((cell_len(word) for line in lines for word in line.split()), default=0) for lines in written]
    room = console.width - GAP * (len(shown) - 1)
    shared = _shared(room, longest, [widths[at] for at in shown], [columns[at].is_text for at in shown])
    return Fitting(tuple(shown), dict(zip(shown, shared, strict=False)), whole=False)


def _offered(columns: Sequence[Column]) -> list[int]:
    """The columns that a terminal of any width has."""
    return [at for at, column in enumerate(columns) if column.importance != NEVER]


def _width(written: Sequence[Lines]) -> int:
    return max((cell_len(line) for lines in written for line in lines), default=0)


def _grid(table: Table, fit: Fitting, console: Console) -> Grid:
    rule = ASCII_RULE if console.options.ascii_only else RULE
    grid = Grid(box=rule, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    written = []
    for at in fit.shown:
        column = table.columns[at]
        pad = 0 if column.is_text or not fit.whole else fit.widths[at]
        # Not left to rich, which drops the blank that stands for no mark.
        texts = [
            "\n".join(" " * (pad - cell_len(line)) + line for line in lines) for lines in _column(table, at, console)
        ]
        justify: JustifyMethod = "left" if column.is_text or fit.whole else "right"
        grid.add_column(Text(texts[0]), width=fit.widths.get(at), no_wrap=fit.whole, justify=justify, overflow="fold")
        styles = ["dim" if row[at].mark else WEIGHTS.get(row[at].weight, "") for row in table.rows]
        written.append([Text(text, style=style) for text, style in zip(texts[1:], styles, strict=True)])
    for row in zip(*written, strict=True):
        grid.add_row(*row)
    return grid


def _shared(room: int, least: Sequence[int], most: Sequence[int], texts: Sequence[bool]) -> list[int]:
    """Share the room of a line among columns: to numbers, of which a part is no use, and what is left to texts alike.

    Rich would break words before it breaks lines. Nothing is returned where not even the least fits.
    """
    left = room - sum(least)
    if left < 0:
        return []
    widths, lacking = list(least), [own - its for own, its in zip(most, least, strict=True)]
    for at in sorted((at for at, is_text in enumerate(texts) if not is_text), key=lacking.__getitem__):
        if lacking[at] <= left:
            widths[at], left = most[at], left - lacking[at]
    while left and (short := [at for at, is_text in enumerate(texts) if is_text and widths[at] < most[at]]):
        widths[min(short, key=widths.__getitem__)] += 1
        left -= 1
    return widths


def _column(table: Table, at: int, console: Console) -> list[Lines]:
    """The lines of one column's heading and cells; numbers and their spreads stand under each other."""
    column, cells = table.columns[at], [_plain(row[at], console) for row in table.rows]
    two = any(other.unit for other in table.columns)
    heading = [column.title, column.unit] if column.unit else ["", column.title] if two else [column.title]
    body = _texts(cells) if column.is_text else _numbers(cells, _shown("±", console))
    return [[_shown(line, console) for line in heading], *body]


def _plain(cell: Field, console: Console) -> Field:
    """A cell in characters that the terminal has."""
    detail = "\n".join(_shown(line, console) for line in cell.detail.split("\n"))
    return replace(cell, text=_shown(cell.text, console), spread=_shown(cell.spread, console), detail=detail)


def _texts(cells: Sequence[Field]) -> list[Lines]:
    details = [cell.detail.split("\n") if cell.detail else [] for cell in cells]
    if all(len(", ".join(lines)) <= LONGEST_DETAIL for lines in details):
        details = [[", ".join(lines)] if lines else [] for lines in details]
    return [[cell.text, *(f"  {line}" for line in lines)] for cell, lines in zip(cells, details, strict=True)]


def _numbers(cells: Sequence[Field], plus_minus: str) -> list[Lines]:
    longest = max((len(cell.text) for cell in cells), default=0)
    spread = max((len(cell.spread) for cell in cells), default=0)
    marks = max((len(cell.mark) for cell in cells), default=0)

    def lines(cell: Field) -> Lines:
        first = f"{cell.text:>{longest}}" if cell.text != ABSENT else ABSENT
        if spread and cell.text != ABSENT:
            first += f" {plus_minus} {cell.spread or ABSENT:>{spread}}"
        *others, last = cell.detail.split("\n")
        mark = f" {cell.mark:{marks}}" if marks else ""
        return [first, *others, f"{last}{mark}"] if last else [first]

    return [lines(cell) for cell in cells]
