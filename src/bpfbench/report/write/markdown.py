# SPDX-License-Identifier: Apache-2.0
"""A document as GitHub Markdown."""

from __future__ import annotations

import re

from bpfbench.report.document import (
    Bullets,
    Code,
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

TONES = {"note": "**Note:** ", "warning": "**Warning:** "}


def text(document: Document) -> str:
    """Write a document."""
    return "\n\n".join(filter(None, map(_written, flat(document)))) + "\n"


def _written(block: Plain) -> str:
    match block:
        case Heading(title, level):
            return f"{'#' * (level + 1)} {escaped(title)}"
        case Paragraph(said, tone):
            return f"{TONES.get(tone, '')}{escaped(said)}"
        case Bullets(lines):
            return "\n".join(f"- {escaped(line)}" for line in lines)
        case Terms(items):
            return "\n".join(f"- **{escaped(name)}:** {escaped(said)}" for name, said in items)
        case Code(lines):
            return "\n".join(f"    {unfolded(line)}" for line in lines)
        case Table():
            rule = ["---" if column.is_text else "---:" for column in block.columns]
            rows = ([_field(cell) for cell in row] for row in block.rows)
            return "\n".join(f"| {' | '.join(line)} |" for line in (map(escaped, block.header), rule, *rows))
        case Figure(chart):
            return f"- `{chart.key}`: **{escaped(chart.title)}.** {escaped(chart.caption)}"
        case Overview():
            return ""


def _field(cell: Field) -> str:
    """All of a cell in one line. Its mark, which is ours, is left as it is."""
    details = " ".join(filter(None, (escaped(cell.detail.replace("\n", ", ")), cell.mark)))
    return f"{escaped(cell.number)} ({details})" if details else escaped(cell.number)


def escaped(text: str) -> str:
    r"""Have Markdown show a text as it is, in a table too.

    An underscore within a word is left alone: it starts no emphasis, and escaped it is hard to read in the source.
    """
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[\\`*|~\[\]]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)
