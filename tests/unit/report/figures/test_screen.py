# SPDX-License-Identifier: Apache-2.0
"""Every kind of panel, for the screen."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from charts import HOSTILE, LOOKS, MARKS, PANELS, chart

from bpfbench.report.chart import Chart, Mark, Panel, PanelRow
from bpfbench.report.figures import screen


def html_of(drawn: Chart) -> str:
    return screen.html(drawn, "read, 4 x 1 MiB", LOOKS)


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS.keys())
def test_every_panel_can_be_drawn_and_says_what_it_lacks(panel: Panel) -> None:
    made = html_of(chart(panel, Panel(nothing="none here"), PANELS["dots"]))
    ET.fromstring(f"<div>{made}</div>")  # noqa: S314 - what a record holds ends no element
    assert "not measured" in made
    assert "none here" in made


def test_who_points_at_a_mark_reads_whose_it_is_its_value_its_interval_n_and_the_case() -> None:
    made = html_of(chart(PANELS["dots"]))
    said = [title.split("\n") for title in re.findall("<title>(.*?)</title>", made, re.DOTALL)]
    assert ["vanilla", "quantity: 1 unit", "mean ± SD: 0.9 to 1.1 unit", "read, 4 x 1 MiB, tool 0"] in said
    assert ["own $x^2$ &lt;b&gt;&amp;", "quantity: 2 unit", "n = &lt;1&gt;", "read, 4 x 1 MiB, tool 0"] in said


def test_a_minus_is_one_on_axes_and_beside_marks() -> None:
    marks = tuple(replace(mark, y=y, spread=(y - 1, y + 1)) for mark, y in zip(MARKS, (-3.0, -2e6), strict=True))
    said = re.findall("<title>(.*?)</title>|<text[^>]*>([^<]*)<", html_of(chart(Panel(marks))), re.DOTALL)
    texts = "\n".join(itertools.chain.from_iterable(said))
    assert "\N{MINUS SIGN}3 unit" in texts
    assert not re.search(r"(?<!\w)-\d", texts)


def test_a_bar_that_reaches_out_of_a_panel_ends_at_its_edge() -> None:
    made = html_of(chart(Panel(MARKS, x_title="overhead (%)")))
    places = [float(x) for x in re.findall(r"class=\"whisker\"[^>]* d=\"M(\S+) ", made)]
    assert places
    assert all(0 <= x <= screen.WIDTH for x in places)


def test_who_cannot_be_told_apart_is_hollow() -> None:
    mark = MARKS[1]
    assert mark.setup == HOSTILE
    assert ["open" in html_of(chart(Panel((own,)))) for own in (mark, _open(mark))] == [False, True]


def _open(mark: Mark) -> Mark:
    return replace(mark, told=False)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-3.0, 211.0), (99.0, 100.0), (0.0, 1e7)], ids=str)
def test_labels_of_an_axis_never_cover_each_other(ends: tuple[float, float]) -> None:
    marks = tuple(replace(mark, y=y, spread=None, x=None, x_spread=None) for mark, y in zip(MARKS, ends, strict=True))
    made = html_of(chart(Panel(marks)))
    ticks = [(float(x), text) for x, text in re.findall(r'class="tick" x="(\S+)" [^>]*>([^<]*)<', made)]
    assert len(ticks) > 1
    for (left, one), (right, other) in itertools.pairwise(ticks):
        assert right - left >= (len(one) + len(other)) / 2 * screen.LETTER


def test_what_says_the_same_again_is_folded() -> None:
    rows = (PanelRow("first", "%", (PANELS["dots"],)), PanelRow("again", "s", (PANELS["dots"],), folded=True))
    made = html_of(chart(PANELS["dots"], rows=rows))
    assert made.index("first") < made.index("<details>") < made.index("again (s)") < made.index("</details>")


def test_of_runs_each_says_when_it_began_and_no_name_stands_beside_it() -> None:
    made = html_of(chart(PANELS["runs"]))
    said = [title.split("\n") for title in re.findall("<title>(.*?)</title>", made, re.DOTALL)]
    assert ["image &lt;b&gt;: 1 -&gt; 2"] in said
    assert ["vanilla", "run: 01-31"] in [own[:2] for own in said]
    assert 'class="by"' not in made
    assert 'class="by"' in html_of(chart(PANELS["scatter"]))
