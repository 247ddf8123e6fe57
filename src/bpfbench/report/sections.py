# SPDX-License-Identifier: Apache-2.0
"""Answers made of titled tables and paragraphs: one description, shown on a terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bpfbench.report.markdown import escaped, table
from bpfbench.report.wording import printable


@dataclass(frozen=True, slots=True)
class Section:
    """A title, paragraphs, a table below them."""

    title: str
    paragraphs: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    texts: int = 1
    """How many columns are text and set to the left; the others are numbers."""
    commands: tuple[str, ...] = ()
    """Below the paragraphs, each on one line, to be pasted."""


def render(sections: Iterable[Section], console: Console) -> None:
    """Print sections."""
    for number, section in enumerate(sections):
        if number:
            console.print()
        console.print(Text(printable(section.title), style="bold"), soft_wrap=True)
        for paragraph in section.paragraphs:
            console.print(Text(printable(paragraph)))
        for command in section.commands:
            console.print(Text(f"  {printable(command)}"), soft_wrap=True)
        if not section.rows:
            continue
        shape = box.ASCII2 if console.options.ascii_only else box.SIMPLE_HEAD
        grid = Table(box=shape, show_edge=False, pad_edge=False)
        for place, name in enumerate(section.header):
            grid.add_column(Text(name), justify="left" if place < section.texts else "right")
        for row in section.rows:
            grid.add_row(*(Text(printable(cell)) for cell in row))
        console.print(grid)


def to_markdown(sections: Iterable[Section]) -> str:
    """Write sections as GitHub Markdown."""
    parts = []
    for section in sections:
        parts += [f"### {escaped(section.title)}", *map(escaped, section.paragraphs)]
        parts += [f"    {printable(command)}" for command in section.commands]
        if section.rows:
            rows = ([escaped(cell) for cell in row] for row in section.rows)
            parts.append(table([escaped(name) for name in section.header], rows, section.texts))
    return "\n\n".join(parts) + "\n"
