# SPDX-License-Identifier: Apache-2.0
"""A document as GitHub Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bpfbench.report.document import (
    Block,
    Bullets,
    Chapter,
    Code,
    Document,
    Field,
    Figure,
    Heading,
    Paragraph,
    Table,
    Terms,
)
from bpfbench.report.wording import printable

TONES = {"note": "**Note:** ", "warning": "**Warning:** "}


def text(document: Document) -> str:
    """Write a document."""
    return "\n\n".join(part for block in document for part in _parts(block) if part) + "\n"


def _parts(block: Block) -> Iterator[str]:
    match block:
        case Heading(title, level):
            yield f"{'#' * (level + 1)} {escaped(title)}"
        case Paragraph(said, tone):
            yield f"{TONES.get(tone, '')}{escaped(said)}"
        case Bullets(lines):
            yield bullets(lines)
        case Terms(items):
            yield "\n".join(f"- **{escaped(name)}:** {escaped(said)}" for name, said in items)
        case Code(lines):
            yield "\n".join(f"    {printable(line)}" for line in lines)
        case Table():
            if block.rows:
                rule = ["---" if column.is_text else "---:" for column in block.columns]
                rows = ([_field(cell) for cell in row] for row in block.rows)
                yield "\n".join(f"| {' | '.join(line)} |" for line in (map(escaped, block.header), rule, *rows))
        case Figure(chart):
            yield f"- `{chart.key}`: **{escaped(chart.title)}.** {escaped(chart.caption)}"
        case Chapter(title, blocks):
            yield from (part for inner in (Heading(title), *blocks) for part in _parts(inner))


def _field(cell: Field) -> str:
    """All of a cell in one line. Its mark, which is ours, is left as it is."""
    details = " ".join(filter(None, (escaped(cell.detail.replace("\n", ", ")), cell.mark)))
    return f"{escaped(cell.number)} ({details})" if details else escaped(cell.number)


def bullets(lines: Iterable[str]) -> str:
    """Write a list, one line each."""
    return "\n".join(f"- {escaped(line)}" for line in lines)


def escaped(text: str) -> str:
    r"""Have Markdown show a text as it is, in a table too.

    An underscore within a word is left alone: it starts no emphasis, and escaped it is hard to read in the source.
    """
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[\\`*|~\[\]]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)
