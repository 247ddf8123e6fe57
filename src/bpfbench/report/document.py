# SPDX-License-Identifier: Apache-2.0
"""A document: what is said, in blocks, as pure data. Questions make documents; `report/write` writes them.

Texts are plain: what comes from outside may stand in them, as every writer escapes what its format would obey.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Heading:
    """A title; 1 is the document's own."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences."""

    text: str
    tone: str = ""
    """`note`, `warning`: to be read before any number; `fine`: explains what stands above. Else empty."""


@dataclass(frozen=True, slots=True)
class Bullets:
    """Remarks, one line each."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """Names, each with what is to be said of it."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Commands to be pasted, or a file's text; each line as it is."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one field of a table."""

    text: str
    detail: str = ""
    """The second line: what is to be known of the number."""
    weight: str = ""
    """`higher` or `lower` where a test found a difference from vanilla, `unclear` where not; `good`, `bad` or `open`,
    how a question came out; else empty."""
    anchor: str = ""
    """The place on the page that explains the text: PART-TABLE."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under one header; the first `texts` columns are set to the left, the others are numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    texts: int = 1
    key: str = ""
    """Names its files and its place on the page."""
    title: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks behind a title, open only when asked for where the format can fold."""

    title: str
    blocks: Document


Block: TypeAlias = Heading | Paragraph | Bullets | Terms | Code | Table | Fold
Document: TypeAlias = tuple[Block, ...]


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    texts: int = 1,
    *,
    key: str = "",
    title: str = "",
    caption: str = "",
) -> Table:
    """Make a table of texts alone."""
    cells = tuple(tuple(Cell(text) for text in row) for row in rows)
    return Table(tuple(header), cells, texts, key, title, caption)


def section(title: str, paragraphs: Sequence[str] = (), *below: Block) -> Iterator[Block]:
    """Yield a heading, paragraphs, and what stands below them."""
    yield Heading(title)
    yield from map(Paragraph, paragraphs)
    yield from below
