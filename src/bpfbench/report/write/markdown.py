# SPDX-License-Identifier: Apache-2.0
"""A document as GitHub Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from bpfbench.report.document import Block, Bullets, Code, Document, Fold, Heading, Paragraph, Table, Terms
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
                rows = (
                    [escaped(" ".join(filter(None, (cell.text, cell.detail)))) for cell in row] for row in block.rows
                )
                yield table([escaped(name) for name in block.header], rows, block.texts)
        case Fold(title, blocks):
            yield from (part for inner in (Heading(title, 3), *blocks) for part in _parts(inner))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> str:
    """A table whose first `texts` columns are set to the left and the others, numbers, to the right."""
    rule = ["---" if position < texts else "---:" for position in range(len(header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *rows))


def bullets(lines: Iterable[str]) -> str:
    """Write a list, one line each."""
    return "\n".join(f"- {escaped(line)}" for line in lines)


def escaped(text: str) -> str:
    r"""Have Markdown show a text as it is, in a table too.

    An underscore within a word is left alone: it starts no emphasis, and escaped it is hard to read in the source.
    """
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[\\`*|~\[\]]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)
