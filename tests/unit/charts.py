# SPDX-License-Identifier: Apache-2.0
"""A panel of every kind, and charts of them."""

from __future__ import annotations

from dataclasses import replace

from bpfbench.model import VANILLA
from bpfbench.report.chart import Bar, Chart, Line, Mark, Panel, PanelRow, Part
from bpfbench.report.figures.palette import looks

HOSTILE = "own $x^2$ <b>&"
LOOKS = looks([VANILLA, "libbpf", HOSTILE])
VANILLAS = Mark("vanilla", VANILLA, 1.0, (0.9, 1.1), (0.9, 1.1))
MARKS = (
    Mark("vanilla", VANILLA, 1.0, (0.9, 1.1), x=0.0),
    Mark(HOSTILE, HOSTILE, 2.0, None, x=4.0, x_spread=(-1e6, 1e6), hover="n = <1>"),
)
DOTS = (VANILLAS, Mark(HOSTILE, HOSTILE, 2.0, hover="n = <1>"))
SHARES = (Part("saved", 40.0), Part("lost", 60.0, is_rest=True))
STEPS = ((0.0, 5.0), (1.0, 6.0))
PANELS = {
    "dots": Panel(DOTS, band=VANILLAS, paper=((0.0, 1.05),)),
    "band without SD": Panel(DOTS, band=Mark("vanilla", VANILLA, 1.0)),
    "shares": Panel(bars=(Bar(HOSTILE, HOSTILE, SHARES, "40.0"),)),
    "stacks": Panel(bars=(Bar("libbpf", "libbpf", (Part("user", 0.0), Part("kernel", 0.0))),)),
    "lines": Panel(lines=(Line(HOSTILE, HOSTILE, STEPS),), x_title="time (s)"),
    "lines with ticks": Panel(lines=(Line("libbpf", "libbpf", STEPS),), x_title="p", places=((0.0, "50"), (1.0, "90"))),
    "scatter": Panel(MARKS, x_title="overhead (%)", better=True),
    "runs": Panel(
        tuple(replace(mark, x_spread=None, named=False) for mark in MARKS),
        lines=(Line(HOSTILE, HOSTILE, ((0.0, 1.0), (4.0, 2.0))),),
        x_title="run",
        places=((0.0, "01-31"), (4.0, "<b>")),
        breaks=((2.0, "image <b>: 1 -> 2"),),
    ),
    "absent": Panel(nothing="no RAPL on this machine"),
}


def chart(*panels: Panel, rows: tuple[PanelRow, ...] | None = None) -> Chart:
    """A chart of one row of panels, beside one that has nothing to draw."""
    nothing = PanelRow("nothing", "W", (Panel(nothing="not measured"),) * len(panels))
    columns = tuple(f"tool {n}" for n in range(len(panels)))
    return Chart("key", "title", "caption", columns, rows or (PanelRow("quantity", "unit", panels), nothing))
