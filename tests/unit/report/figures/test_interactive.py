# SPDX-License-Identifier: Apache-2.0
"""Every kind of panel, for the screen."""

from __future__ import annotations

import pytest
from charts import LOOKS, PANELS, chart
from plotly.graph_objects import Figure

from bpfbench.report.chart import Panel
from bpfbench.report.figures import interactive


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS.keys())
def test_every_panel_is_a_figure_that_plotly_knows(panel: Panel) -> None:
    made = interactive.figure(chart(panel, Panel(nothing="none here"), PANELS["dots"]), LOOKS)
    Figure(made)  # refuses what is not in Plotly's schema
    assert "<b>&" not in str(made).replace("&lt;b&gt;&amp;", "")
    assert "not measured" in str(made)
    assert "none here" in str(made)


def test_setups_have_one_entry_each_in_the_legend() -> None:
    data = interactive.figure(chart(PANELS["dots"], PANELS["dots"]), LOOKS)["data"]
    shown = [trace["name"] for trace in data if trace["showlegend"]]
    assert len(shown) == len(set(shown))


def test_what_is_shown_is_what_is_printed() -> None:
    drawn = chart(PANELS["dots"], PANELS["scatter"])
    layout = interactive.figure(drawn, LOOKS)["layout"]
    assert layout["yaxis2"]["range"] == pytest.approx(drawn.rows[0].y_range)
    assert layout["xaxis2"]["range"] == pytest.approx(PANELS["scatter"].x_range)
