# SPDX-License-Identifier: Apache-2.0
"""A document as one HTML page that fetches nothing, readable without JavaScript.

All text is escaped by Jinja, and that of figures as they are drawn. Beyond that the page's content security policy
lets only the script run that is in it on purpose, by its hash, so that what a record holds can never become code.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from bpfbench.report.document import ABSENT, Block, Chapter, Column, Document, Field, Figure, Paragraph
from bpfbench.report.figures import screen
from bpfbench.report.figures.palette import Look

MINUS = re.compile(r"(?<![\w.)-])-(?=\d)")
"""A hyphen that stands for a minus: no name has it."""

UNIT = re.compile(r"(?<=\d) (?=%|(B|[KMGT]iB|ms|s|min|h|points)\b)|(?<=[±<>]) (?=[-+\d])")
"""The blank before a unit, and after a sign that stands before a number."""

MOST_BYTES = 2_500_000
"""Of a page's figures: beyond it they are left to their files."""

EMBEDDED_MOST = 400_000
"""Bytes of a file of data that a page brings along: who is sent the page alone has that, too."""

GLYPHS = {"good": "\N{CHECK MARK}", "bad": "\N{MULTIPLICATION X}", "open": "?", "unclear": "\N{EN DASH}"}
"""What a tile has beside its colour."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file of data that a page links to."""

    called: str
    place: str
    """Below the page."""
    kind: str
    """Media type."""
    content: bytes | None
    """None: too much to be held at once."""

    @property
    def embedded(self) -> bool:
        """Whether it is small enough to be in the page itself."""
        return self.content is not None and len(self.content) <= EMBEDDED_MOST

    @property
    def link(self) -> str:
        """Where it is."""
        if self.content is None or not self.embedded:
            return self.place
        return f"data:{self.kind};base64,{base64.b64encode(self.content).decode()}"


def text(
    document: Document, title: str, generator: str, looks: dict[str, Look], downloads: Sequence[Download] = ()
) -> str:
    """Write a document: what stands before its first chapter is the page's head, what follows the last its foot.

    Args:
        document: with at least one chapter.
        title: of the window.
        generator: who made it.
        looks: of every setup it shows.
        downloads: its data.
    """
    chapters = [block for block in document if isinstance(block, Chapter)]
    opening = document[: document.index(chapters[0])]
    warnings = [block for block in opening if isinstance(block, Paragraph) and block.tone in ("note", "warning")]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bpfbench.report.write"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "said": _said,
        "set": _set,
        "beside": _beside,
        "kind": lambda block: type(block).__name__,
        "runs": _runs,
        "verdicts": lambda table: list({row[2].weight: row[2] for row in table.rows}.values()),
        "by_second": lambda table: [(key, list(own)) for key, own in itertools.groupby(table.rows, _second)],
    }
    script = _source("page.js")
    return environment.get_template("document.html.j2").render(
        title=title,
        generator=generator,
        opening=[block for block in opening if block not in warnings],
        warnings=warnings,
        chapters=chapters,
        closing=document[document.index(chapters[-1]) + 1 :],
        drawn=_drawn(document, looks),
        looks=looks,
        glyphs=GLYPHS,
        downloads=downloads,
        style=Markup(_source("style.css")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_sources=Markup(_hash(script)),  # noqa: S704 - a hash
    )


def _drawn(document: Document, looks: dict[str, Look]) -> dict[str, Markup]:
    """Draw figures, by key, as far as the page has room for them."""
    found: dict[str, Markup] = {}
    room = MOST_BYTES
    for figure in (figure for figure in _figures(document) if not figure.chart.absent):
        made = screen.html(figure.chart, figure.of, looks)
        room -= len(made)
        if room < 0:
            break
        found[figure.chart.key] = Markup(made)  # noqa: S704 - escaped as it is drawn
    return found


def _figures(document: Document) -> Iterator[Figure]:
    """All figures, the first of each chapter first, so that what is left out of a large page is the least missed."""
    for rank in itertools.zip_longest(*_by_chapter(document)):
        yield from (figure for figure in rank if figure is not None)


def _by_chapter(document: Document) -> Iterator[list[Figure]]:
    yield [block for block in document if isinstance(block, Figure)]
    for block in document:
        if isinstance(block, Chapter):
            yield from _by_chapter(block.blocks)


def _said(text: str) -> str:
    """A text as print has it: with a minus where a hyphen stands for one, and numbers with their units."""
    return UNIT.sub("\N{NO-BREAK SPACE}", MINUS.sub("\N{MINUS SIGN}", text))


def _second(row: Sequence[Field]) -> str:
    """The first word of a row's second field, which rows that follow each other share."""
    return row[1].text.partition(",")[0]


def _set(cell: Field) -> str:
    """A cell's text as print has it: with a minus where a hyphen stands for one, and a dash for what is absent."""
    return "\N{EN DASH}" if cell.text == ABSENT else _said(cell.number.replace(" ±", "\N{NO-BREAK SPACE}±"))


def _beside(cell: Field, column: Column) -> str:
    """A cell's details; those of a number break between two of them only."""
    if column.is_text:
        return _said(cell.details)
    lines = [line.replace(" ", "\N{NO-BREAK SPACE}") for line in cell.detail.split("\n")]
    return MINUS.sub("\N{MINUS SIGN}", f"{' '.join(lines)}\N{NO-BREAK SPACE}{cell.mark}".rstrip())


def _runs(blocks: Sequence[Block]) -> list[tuple[bool, list[Block]]]:
    """Figures that follow each other, and what is none."""
    return [(drawn, list(own)) for drawn, own in itertools.groupby(blocks, lambda block: isinstance(block, Figure))]


def _source(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text()


def _hash(script: str) -> str:
    """A script as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
