# SPDX-License-Identifier: Apache-2.0
"""One look per setup, the same in every figure of every run: colour, marker, hatch and dash.

The colours are Okabe and Ito's, which people with any kind of colour blindness tell apart (Color Universal Design,
2008; Wong, "Points of view: Color blindness", Nature Methods 8, 441, 2011). Marker, hatch and dash say the same again,
for print without colour.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from bpfbench.model import VANILLA

INK = "#1b1f24"
"""Text, axes and the outline of marks."""
QUIET = "#57606a"
"""Second-rank text: 6.4 to 1 on white."""
BAND = "#cfe3f3"
"""Vanilla's mean and SD, light blue as in the paper."""
BAND_MEAN = "#6e98ba"
LOST = "#e8eaed"
"""What was lost: the same for every setup, so that what was saved stands out."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the marks of one setup look. Markers and hatches are matplotlib's."""

    colour: str
    marker: str
    hatch: str
    dash: str


_KNOWN = {
    VANILLA: Look("#6e7781", "o", "", "solid"),
    "bpftrace": Look("#e69f00", "s", "//", "solid"),
    "bcc": Look("#d55e00", "D", "\\\\", "dash"),
    "libbpf": Look("#0072b2", "^", "", "solid"),
    "ebpf-go": Look("#009e73", "v", "..", "dot"),
    "ebpf-go@0.22": Look("#7ccdb4", "<", "oo", "dashdot"),
    "aya-sync": Look("#cc79a7", "P", "xx", "dash"),
    "aya-async": Look("#56b4e9", "X", "--", "dot"),
}
_OTHERS = (
    Look("#332288", "p", "++", "dashdot"),
    Look("#999933", "h", "||", "dash"),
    Look("#882255", "*", "**", "dot"),
    Look("#661100", ">", "///", "solid"),
    Look("#117733", "8", "\\\\\\", "dot"),
    Look("#aa4499", "H", "---", "dashdot"),
    Look("#ddcc77", "d", "+++", "dash"),
    Look("#cc6677", "2", "xxx", "solid"),
    Look("#44aa99", "1", "|||", "dash"),
    Look("#1b1f24", "+", "...", "dot"),
)
"""For alternatives to setups and those that a study brings; most are of Tol's muted scheme (personal.sron.nl/~pault),
apart from the colours above."""

DASHES: dict[str, str | tuple[int, tuple[float, ...]]] = {
    "solid": "-",
    "dash": (0, (4.0, 1.6)),
    "dot": (0, (1.2, 1.4)),
    "dashdot": (0, (4.0, 1.4, 1.2, 1.4)),
}
"""Dashes by name, in widths of the line, as matplotlib has them."""


def looks(setups: Iterable[str]) -> dict[str, Look]:
    """Return the look of each setup. Those we do not know take the spare ones by name, over again if need be."""
    names = sorted(set(setups))
    others = itertools.cycle(_OTHERS)
    return {name: _KNOWN[own] if (own := _like(name, names)) in _KNOWN else next(others) for name in names}


def _like(name: str, names: Iterable[str]) -> str:
    """Return the setup whose look one has: tools that people run look like their library, where that is not there."""
    library = name.removesuffix("-tools")
    return name if library in names else library
