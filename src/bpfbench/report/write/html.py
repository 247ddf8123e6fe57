# SPDX-License-Identifier: Apache-2.0
"""A document as one HTML page that fetches nothing, readable without JavaScript.

All text is escaped by Jinja. Beyond that the page's content security policy lets only the two scripts run that are in
it on purpose, by their hashes, so that what a record holds can never become code.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from bpfbench.report.chart import Chart
from bpfbench.report.document import ABSENT, Block, Chapter, Column, Document, Field, Figure, Paragraph
from bpfbench.report.figures import interactive
from bpfbench.report.figures.drawn import Drawing
from bpfbench.report.figures.palette import Look

MOST_BYTES = 7_800_000
"""Of a page: beyond it pictures are left to their files."""
RESERVED_BYTES = 3_500_000
"""Of those, for Plotly (2 MB), tables and the data of the interactive figures."""

MINUS = re.compile(r"(?<![\w.)-])-(?=\d)")
"""A hyphen that stands for a minus: no name has it."""

GLYPHS = {"good": "\N{CHECK MARK}", "bad": "\N{MULTIPLICATION X}", "open": "?", "unclear": "\N{EN DASH}"}
"""What a tile has beside its colour."""

PX_PER_MM = 520 / 85.0
"""Pictures are 85 mm wide in print, and this many CSS pixels at most on the screen."""


def text(
    document: Document, title: str, generator: str, drawings: Mapping[str, Drawing | None], looks: dict[str, Look]
) -> str:
    """Write a document: what stands before its first chapter is the page's head, what follows the last its foot.

    Args:
        document: with at least one chapter.
        title: of the window.
        generator: who made it.
        drawings: of its figures, by key of the chart; None where there is nothing to draw.
        looks: of every setup it shows.
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
        "said": lambda text: MINUS.sub("\N{MINUS SIGN}", text),
        "set": _set,
        "beside": _beside,
        "kind": lambda block: type(block).__name__,
        "runs": _runs,
        "verdicts": lambda table: list({row[2].weight: row[2] for row in table.rows}.values()),
        "by_second": lambda table: [(key, list(own)) for key, own in itertools.groupby(table.rows, _second)],
    }
    script, plotly = _source("page.js"), get_plotlyjs()
    figures = [figure.chart for figure in _figures(document) if drawings[figure.chart.key]]
    return environment.get_template("document.html.j2").render(
        title=title,
        generator=generator,
        opening=[block for block in opening if block not in warnings],
        warnings=warnings,
        chapters=chapters,
        closing=document[document.index(chapters[-1]) + 1 :],
        drawings=drawings,
        images=_images(figures, drawings),
        data={chart.key: _data(chart, looks) for chart in figures},
        px_per_mm=PX_PER_MM,
        glyphs=GLYPHS,
        style=Markup(_source("style.css")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_sources=Markup(f"{_hash(script)} {_hash(plotly)}"),  # noqa: S704 - hashes
        plotly=base64.b64encode(gzip.compress(plotly.encode(), 9, mtime=0)).decode(),
    )


def _second(row: Sequence[Field]) -> str:
    """The first word of a row's second field, which rows that follow each other share."""
    return row[1].text.partition(",")[0]


def _set(cell: Field) -> str:
    """A cell's text as print has it: with a minus where a hyphen stands for one, and a dash for what is absent."""
    return (
        "\N{EN DASH}"
        if cell.text == ABSENT
        else MINUS.sub("\N{MINUS SIGN}", cell.number.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"))
    )


def _beside(cell: Field, column: Column) -> str:
    """A cell's details; those of a number break between two of them only."""
    if column.is_text:
        return MINUS.sub("\N{MINUS SIGN}", cell.details)
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


def _figures(document: Document) -> Iterator[Figure]:
    """All figures, the first of each chapter first, so that what is left out of a large page is the least missed."""
    for rank in itertools.zip_longest(*_by_chapter(document)):
        yield from (figure for figure in rank if figure is not None)


def _by_chapter(document: Document) -> Iterator[list[Figure]]:
    yield [block for block in document if isinstance(block, Figure)]
    for block in document:
        if isinstance(block, Chapter):
            yield from _by_chapter(block.blocks)


def _images(figures: Sequence[Chart], drawings: Mapping[str, Drawing | None]) -> dict[str, str]:
    """The pictures by key, as far as the page has room for them."""
    room = MOST_BYTES - RESERVED_BYTES
    found = {}
    for chart in figures:
        if drawing := drawings[chart.key]:
            picture = f"data:image/svg+xml;base64,{base64.b64encode(_compact(drawing.files['svg'])).decode()}"
            room -= len(picture)
            if room > 0:
                found[chart.key] = picture
    return found


def _compact(svg: bytes) -> bytes:
    """Leave out what only a reader of the source would miss."""
    return re.sub(rb"\s+", b" ", re.sub(rb">\s+<", b"><", svg))


def _data(chart: Chart, looks: dict[str, Look]) -> Markup:
    """A chart's data as JSON, which must hold nothing that ends the script element around it."""
    text = json.dumps(interactive.figure(chart, looks), separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704
