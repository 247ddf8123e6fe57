# SPDX-License-Identifier: Apache-2.0
"""A document on a terminal, by rich. Texts reach it as Text, never as markup."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from bpfbench.report.document import Block, Bullets, Cell, Code, Document, Fold, Heading, Paragraph, Table, Terms
from bpfbench.report.wording import printable

TONES = {"note": ("Note: ", "yellow"), "warning": ("Warning: ", "bold red"), "fine": ("", "dim")}
WEIGHTS = {"good": "green", "bad": "red", "open": "yellow", "unclear": "dim"}


def write(document: Document, console: Console) -> None:
    """Print a document; a blank line stands before each heading but the first."""
    for number, block in enumerate(document):
        if number and isinstance(block, Heading):
            console.print()
        _print(block, console)


def _print(block: Block, console: Console) -> None:
    match block:
        case Heading(text):
            console.print(Text(printable(text), style="bold"), soft_wrap=True)
        case Paragraph(text, tone):
            mark, style = TONES.get(tone, ("", ""))
            console.print(Text(f"{mark}{printable(text)}", style=style))
        case Bullets() | Terms() | Code():
            for line in _lines(block):
                console.print(Text(line), soft_wrap=not isinstance(block, Bullets))
        case Table():
            if block.rows:
                console.print(_grid(block, console))
        case Fold(title, blocks):
            write((Heading(title), *blocks), console)


def _lines(block: Bullets | Terms | Code) -> list[str]:
    match block:
        case Bullets(lines):
            return [f"  - {printable(line)}" for line in lines]
        case Terms(items):
            width = max((len(name) for name, _ in items), default=0)
            return [f"  {printable(name):<{width}}  {printable(said)}" for name, said in items]
        case Code(lines):
            return [f"  {printable(line)}" for line in lines]


def _grid(table: Table, console: Console) -> Grid:
    shape = box.ASCII2 if console.options.ascii_only else box.SIMPLE_HEAD
    grid = Grid(box=shape, show_edge=False, pad_edge=False)
    for place, name in enumerate(table.header):
        grid.add_column(Text(name), justify="left" if place < table.texts else "right")
    for row in table.rows:
        grid.add_row(*map(_field, row))
    return grid


def _field(cell: Cell) -> Text:
    lines = map(printable, filter(None, (cell.text, cell.detail)))
    return Text("\n".join(lines), style=WEIGHTS.get(cell.weight, ""))
