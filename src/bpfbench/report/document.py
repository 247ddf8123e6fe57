# SPDX-License-Identifier: Apache-2.0
"""A document: what is said, in blocks, as pure data. Questions make documents; `report/write` writes them.

Texts are plain: what comes from outside may stand in them, as every writer escapes what its format would obey. Numbers
have a hyphen for a minus, and what there is no number for is ABSENT; writers that have better characters put those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bpfbench.report.chart import Chart
from bpfbench.report.spans import Overview

ABSENT = "-"
"""What stands where there is nothing to say."""

ALWAYS = 9
"""The importance of a column that every terminal has room for."""
NEVER = 0
"""Of one that none has room for: it is for documents that are scrolled."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A title."""

    text: str
    level: int = 2
    """0: of a document in chapters; 1: of a chapter, or of a document without; 2, 3: of what is in those."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences."""

    text: str
    tone: str = ""
    """`note`, `warning`: to be read before any number; `lead`: says what all of it is about; `fine`: explains what
    stands above. Else empty."""


@dataclass(frozen=True, slots=True)
class Bullets:
    """Remarks, one line each."""

    lines: tuple[str, ...]
    tone: str = ""
    """As of paragraphs."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Names, each with what is to be said of it."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Commands to be pasted, or a file's text; each line as it is."""

    lines: tuple[str, ...]
    title: str = ""
    """Names a file."""


@dataclass(frozen=True, slots=True)
class Field:
    """What stands in one field of a table."""

    text: str
    detail: str = ""
    """What is to be known of the text, a line each."""
    weight: str = ""
    """`higher` or `lower` where a test found a difference from vanilla, `unclear` where not; `good`, `bad` or `open`,
    how a question came out; else empty."""
    anchor: str = ""
    """The place on the page that explains the text: PART-TABLE."""
    spread: str = ""
    """Of a number: give or take this."""
    mark: str = ""
    """Stands after the detail: it must not be read as a difference."""

    @property
    def number(self) -> str:
        """Text and spread."""
        return f"{self.text} ± {self.spread}" if self.spread else self.text

    @property
    def details(self) -> str:
        """Detail and mark in one line."""
        return " ".join(filter(None, (self.detail.replace("\n", ", "), self.mark)))

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.number} ({self.details})" if self.details else self.number


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    unit: str = ""
    is_text: bool = False
    """Texts are set to the left and may be broken into lines; numbers to the right, and never."""
    importance: int = ALWAYS
    """A narrow terminal drops the columns of the least importance first, and those of ALWAYS never."""

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under one header; the first column names them."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Field, ...], ...]
    key: str = ""
    """Names its files and its place on the page."""
    title: str = ""
    caption: str = ""
    leads: bool = False
    """It is what the document is about, and set larger where there is room."""
    tiled: bool = False
    """Its rows are many, and each is read by itself: a page shows tiles that open, row by row, by the second column."""

    @property
    def is_text(self) -> bool:
        """Whether it has no numbers."""
        return all(column.is_text for column in self.columns)

    @property
    def header(self) -> tuple[str, ...]:
        """The headings of its columns."""
        return tuple(column.heading for column in self.columns)


@dataclass(frozen=True, slots=True)
class Figure:
    """What may be drawn."""

    chart: Chart
    of: str
    """What it is of, for who cannot see it."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Blocks under a title, at a place of their own that can be pointed at."""

    title: str
    blocks: Document
    key: str = ""
    """Names the place."""
    folded: bool = False
    """It is for who asks: a page shows its title alone, until that is opened."""


Plain: TypeAlias = Heading | Paragraph | Bullets | Terms | Code | Table | Figure | Overview
"""What has no blocks in it."""
Block: TypeAlias = Plain | Chapter
Document: TypeAlias = tuple[Block, ...]


def flat(document: Document) -> Iterator[Plain]:
    """Yield blocks without chapters, whose titles become headings, and without tables that have no row."""
    for block in document:
        if isinstance(block, Chapter):
            yield from flat((Heading(block.title), *block.blocks))
        elif not isinstance(block, Table) or block.rows:
            yield block


def texts(*titles: str) -> tuple[Column, ...]:
    """Make the columns of a table without numbers."""
    return tuple(Column(title, is_text=True) for title in titles)


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    texts: int = 1,
    *,
    key: str = "",
    title: str = "",
    caption: str = "",
) -> Table:
    """Make a table of texts alone, of which the first `texts` columns are no numbers."""
    columns = tuple(Column(title, is_text=at < texts) for at, title in enumerate(header))
    return Table(columns, tuple(tuple(map(Field, row)) for row in rows), key, title, caption)


def section(title: str, paragraphs: Sequence[str] = (), *below: Block) -> Iterator[Block]:
    """Yield a heading, paragraphs, and what stands below them."""
    yield Heading(title)
    yield from map(Paragraph, paragraphs)
    yield from below
