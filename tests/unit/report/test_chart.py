# SPDX-License-Identifier: Apache-2.0
"""What of a chart is shown, whoever draws it."""

from __future__ import annotations

import pytest
from charts import MARKS, PANELS, chart

from bpfbench.model import VANILLA
from bpfbench.report.chart import Mark, Panel, PanelRow


def test_bars_of_few_repetitions_do_not_press_a_scatter_into_a_corner() -> None:
    low, high = Panel(MARKS, x_title="x").x_range
    assert low < 0 < 4 < high
    assert high - low < 10


@pytest.mark.parametrize(
    ("values", "zero"), [((1.0, 2.0), True), ((100.0, 101.0), False), ((-5.0, 5.0), False)], ids=str
)
def test_an_axis_begins_at_zero_unless_that_presses_what_differs_into_a_corner(
    values: tuple[float, ...], zero: bool
) -> None:
    found = PanelRow("q", "s", (Panel(tuple(Mark("vanilla", VANILLA, value) for value in values)),)).y_range
    assert found is not None
    assert (found[0] == 0) is zero
    assert found[0] < min(values) < max(values) < found[1]


def test_an_axis_of_nothing_but_zeros_has_a_length() -> None:
    assert chart(PANELS["stacks"]).rows[0].y_range == (0, 1)


def test_the_x_axis_is_said_once_where_panels_below_have_the_same() -> None:
    same, other = chart(PANELS["dots"]).rows[0], chart(PANELS["shares"]).rows[0]
    rows = (same, same, other)
    drawn = chart(PANELS["dots"], rows=rows)
    assert [drawn.says_its_x(number, 0) for number in range(3)] == [False, True, True]


def test_a_chart_without_anything_to_draw_says_why_once() -> None:
    assert chart(Panel(), Panel(nothing="none here")).absent == "no trial that counts; none here; not measured"
    assert chart(PANELS["dots"]).absent is None
