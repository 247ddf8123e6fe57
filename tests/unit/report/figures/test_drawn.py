# SPDX-License-Identifier: Apache-2.0
"""Every kind of panel, drawn for print."""

from __future__ import annotations

import re

import pytest
from charts import LOOKS, PANELS, chart

from bpfbench.model import VANILLA
from bpfbench.report.chart import Panel
from bpfbench.report.figures import drawn


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS.keys())
def test_every_panel_can_be_drawn_and_says_what_it_lacks(panel: Panel) -> None:
    svg = drawn.draw(chart(panel, Panel(nothing="none here"), PANELS["dots"]), LOOKS, ("svg",))["svg"].decode()
    assert "not measured" in svg
    assert "none here" in svg


def test_the_same_chart_is_drawn_the_same() -> None:
    first, second = (drawn.draw(chart(PANELS["dots"]), LOOKS, ("svg", "pdf")) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("columns", "width_mm"), [(3, 85), (7, 178)], ids=["a column of a paper", "both"])
def test_a_figure_fits_a_paper_and_its_text_is_legible(columns: int, width_mm: float) -> None:
    svg = drawn.draw(chart(*[PANELS["lines"]] * columns), LOOKS, ("svg",))["svg"].decode()
    width = re.search(r'<svg [^>]*width="([0-9.]+)pt"', svg)
    assert width
    assert float(width[1]) == pytest.approx(width_mm / 25.4 * 72, abs=0.1)
    assert min(value for key, value in drawn.STYLE.items() if key.endswith(("font.size", "labelsize", "fontsize"))) >= 7


@pytest.mark.parametrize("name", ["dots", "scatter"])
def test_a_mark_at_the_end_of_an_axis_is_whole(name: str) -> None:
    svg = drawn.draw(chart(PANELS[name]), LOOKS, ("svg",))["svg"].decode()
    clipped = re.findall(rf'<g( clip-path="[^"]*")?>\s*<use [^>]*fill: {LOOKS[VANILLA].colour}; stroke', svg)
    assert set(clipped) == {""}
