# SPDX-License-Identifier: Apache-2.0
"""Every kind of panel, drawn for print and for the screen."""

from __future__ import annotations

import pytest
from plotly.graph_objects import Figure

from bpfbench.model import VANILLA
from bpfbench.report.chart import (
    Absent,
    Band,
    Chart,
    Dots,
    Line,
    Lines,
    Mark,
    Panel,
    PanelRow,
    Part,
    Scatter,
    Stack,
    Stacks,
    x_range,
)
from bpfbench.report.figures import drawn, interactive
from bpfbench.report.figures.palette import looks

HOSTILE = "own $x^2$ <b>&"
LOOKS = looks([VANILLA, "libbpf", HOSTILE])
MARKS = (
    Mark("vanilla", VANILLA, 1.0, (0.9, 1.1), (0.9, 1.1), x=0.0),
    Mark(HOSTILE, HOSTILE, 2.0, None, x=4.0, x_spread=(-1e6, 1e6), hover="n = <1>"),
)
PANELS: dict[str, Panel] = {
    "dots": Dots(MARKS, Band(1.0, 0.1), (("vanilla", 1.05),)),
    "band without SD": Dots(MARKS, Band(1.0, None)),
    "shares": Stacks((Stack(HOSTILE, HOSTILE, (Part("saved", 40.0), Part("lost", 60.0, is_rest=True))),), 100.0),
    "stacks": Stacks((Stack("libbpf", "libbpf", (Part("user", 0.0), Part("kernel", 0.0))),)),
    "lines": Lines((Line(HOSTILE, HOSTILE, (0.0, 1.0), (5.0, 6.0)),), "time (s)"),
    "lines with ticks": Lines((Line("libbpf", "libbpf", (0.0, 1.0), (5.0, 6.0)),), "p", ((0.0, "50"), (1.0, "90"))),
    "scatter": Scatter(MARKS, "overhead (%)", ((0.0, 1.0), (4.0, 2.0))),
    "absent": Absent("no RAPL on this machine"),
}


def chart(*panels: Panel, log: bool = False) -> Chart:
    rows = (
        PanelRow("quantity", "unit", panels, log),
        PanelRow("nothing", "W", (Absent("not measured"),) * len(panels)),
    )
    return Chart("key", "title", "caption", tuple(f"tool {n}" for n in range(len(panels))), rows)


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS.keys())
def test_every_panel_is_a_figure_that_plotly_knows(panel: Panel) -> None:
    made = interactive.figure(chart(panel, Absent("none here")), LOOKS)
    Figure(made)  # refuses what is not in Plotly's schema
    assert "<b>&" not in str(made).replace("&lt;b&gt;&amp;", "")


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS.keys())
def test_every_panel_can_be_drawn_and_says_what_it_lacks(panel: Panel) -> None:
    svg = drawn.draw(chart(panel, Absent("none here")), LOOKS, ("svg",)).files["svg"].decode()
    assert "not measured" in svg
    assert "none here" in svg


def test_the_same_chart_is_drawn_the_same() -> None:
    first, second = (drawn.draw(chart(PANELS["dots"]), LOOKS, ("svg", "pdf")).files for _ in range(2))
    assert first == second


def test_a_figure_is_one_column_wide_and_its_text_legible() -> None:
    made = drawn.draw(chart(*list(PANELS.values())[:3]), LOOKS, ("svg",))
    assert made.width_mm == pytest.approx(85)
    assert min(value for key, value in drawn.STYLE.items() if key.endswith(("font.size", "labelsize", "fontsize"))) >= 7


def test_bars_of_few_repetitions_do_not_press_a_scatter_into_a_corner() -> None:
    low, high = x_range(Scatter(MARKS, "x"))
    assert low < 0 < 4 < high
    assert high - low < 10


def test_setups_have_one_entry_each_in_the_legend() -> None:
    data = interactive.figure(chart(PANELS["dots"], PANELS["dots"]), LOOKS)["data"]
    shown = [trace["name"] for trace in data if trace["showlegend"]]
    assert len(shown) == len(set(shown))
