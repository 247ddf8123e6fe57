# SPDX-License-Identifier: Apache-2.0
"""Puts the page together: one HTML file that fetches nothing, readable without JavaScript.

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from bpfbench.report import document
from bpfbench.report.figures import interactive
from bpfbench.report.figures.chart import Chart
from bpfbench.report.figures.drawn import Drawing
from bpfbench.report.figures.palette import Look
from bpfbench.report.tables import Table

MOST_BYTES = 7_800_000
"""Of a page: beyond it pictures are left to their files."""
RESERVED_BYTES = 3_500_000
"""Of those, for Plotly (2 MB), tables and the data of the interactive figures."""

PX_PER_MM = 520 / 85.0
"""Pictures are 85 mm wide in print, and this many CSS pixels at most on the screen."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure on the page."""

    chart: Chart
    drawing: Drawing | None
    """None where there is nothing to draw."""
    absent: str = ""
    """Why there is no picture."""

    @property
    def anchor(self) -> str:
        """Names its data on the page."""
        return f"chart-{self.chart.key}"


@dataclass(frozen=True, slots=True)
class Workload:
    """Figures and tables of one workload under one condition."""

    anchor: str
    title: str
    figures: tuple[Shown, ...]
    """The most important first."""
    tables: tuple[Table, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conditions:
    """All workloads under one condition."""

    title: str
    sections: tuple[Workload, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer under one condition."""

    title: str | None
    answer: Table | None
    cases: Table | None
    notes: tuple[str, ...] = ()
    reason: str = ""
    """Why there is none."""


@dataclass(frozen=True, slots=True)
class Part:
    """A chapter of text and tables."""

    anchor: str
    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table | document.Table, ...] = ()
    code: str = ""
    code_label: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page says."""

    title: str
    heading: str
    lead: str
    version: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    answers: tuple[Answer, ...]
    legend: str
    conditions: tuple[Conditions, ...]
    parts: tuple[Part, ...]
    footer: str

    @property
    def contents(self) -> tuple[tuple[str, str], ...]:
        """Anchors and titles of the chapters."""
        return (("answer", "Answer"), ("evidence", "Evidence"), *((part.anchor, part.title) for part in self.parts))


def render(page: Page, looks: dict[str, Look]) -> str:
    """Return the page as HTML.

    Args:
        page: what it says.
        looks: of every setup it shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bpfbench.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, plotly = _source("page.js"), get_plotlyjs()
    return environment.get_template("page.html.j2").render(
        page=page,
        images=_images(page),
        data={shown.anchor: _data(shown.chart, looks) for shown in _figures(page) if shown.drawing},
        px_per_mm=PX_PER_MM,
        style=Markup(_source("style.css")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_sources=Markup(f"{_hash(script)} {_hash(plotly)}"),  # noqa: S704 - hashes
        plotly=base64.b64encode(gzip.compress(plotly.encode(), 9, mtime=0)).decode(),
    )


def _source(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text()


def _hash(script: str) -> str:
    """A script as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _figures(page: Page) -> Iterator[Shown]:
    """All figures, the first of each workload first, so that what is left out of a large page is the least missed."""
    workloads = [workload.figures for condition in page.conditions for workload in condition.sections]
    for rank in itertools.zip_longest(*workloads):
        yield from (shown for shown in rank if shown is not None)


def _images(page: Page) -> dict[str, str]:
    """The pictures by anchor, as far as the page has room for them."""
    room = MOST_BYTES - RESERVED_BYTES
    found = {}
    for shown in _figures(page):
        if shown.drawing is None:
            continue
        picture = f"data:image/svg+xml;base64,{base64.b64encode(_compact(shown.drawing.files['svg'])).decode()}"
        room -= len(picture)
        if room > 0:
            found[shown.anchor] = picture
    return found


def _compact(svg: bytes) -> bytes:
    """Leave out what only a reader of the source would miss."""
    return re.sub(rb"\s+", b" ", re.sub(rb">\s+<", b"><", svg))


def _data(chart: Chart, looks: dict[str, Look]) -> Markup:
    """A chart's data as JSON, which must hold nothing that ends the script element around it."""
    text = json.dumps(interactive.figure(chart, looks), separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704
