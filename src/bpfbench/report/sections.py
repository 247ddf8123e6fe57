# SPDX-License-Identifier: Apache-2.0
"""Answers made of titled tables and paragraphs: one description, shown on a terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

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


def render(sections: Iterable[Section], console: Console) -> None:
    """Print sections."""
    for number, section in enumerate(sections):
        if number:
            console.print()
        console.print(Text(printable(section.title), style="bold"), soft_wrap=True)
        for paragraph in section.paragraphs:
            console.print(Text(printable(paragraph)))
        if not section.rows:
            continue
        shape = box.ASCII2 if console.options.ascii_only else box.SIMPLE_HEAD
        table = Table(box=shape, show_edge=False, pad_edge=False)
        for place, name in enumerate(section.header):
            table.add_column(Text(name), justify="left" if place < section.texts else "right")
        for row in section.rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        console.print(table)


def to_markdown(sections: Iterable[Section]) -> str:
    """Write sections as GitHub Markdown."""
    parts = []
    for section in sections:
        parts.append(f"### {_escaped(section.title)}")
        parts += [_escaped(paragraph) for paragraph in section.paragraphs]
        if section.rows:
            rule = ["---" if place < section.texts else "---:" for place in range(len(section.header))]
            lines: list[Sequence[str]] = [section.header, rule, *section.rows]
            escaped = [line if line is rule else [_escaped(cell) for cell in line] for line in lines]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in escaped))
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    shown = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return shown.replace("|", "\\|").replace("*", "\\*")
