# SPDX-License-Identifier: Apache-2.0
"""Intervals below each other over one scale, as pure data: what somebody comes to, and what is known of that."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bpfbench.report.chart import Pair

TICKS = 5
"""Of a scale, at most."""


@dataclass(frozen=True, slots=True)
class Span:
    """One interval, with the value that it is around."""

    setup: str
    value: float
    ends: Pair
    """Infinite where nothing is known."""
    text: str
    """Says the same."""
    told: bool
    """Whether it is told apart from the best; who is not has no colour."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A value to hold others against."""

    value: float
    label: str
    band: Pair | None = None
    """What does not differ from it but by noise."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Intervals over one scale, from top to bottom."""

    title: str
    unit: str
    spans: tuple[Span, ...]
    line: Baseline
    shown: Pair
    """The part of the scale that there is room for."""

    def at(self, value: float) -> float:
        """Return where a value is drawn, in per cent of the width; at the end that it lies beyond."""
        low, high = self.shown
        return 100 * (min(max(value, low), high) - low) / (high - low)

    def beyond(self, span: Span) -> tuple[bool, bool]:
        """Tell at which end a span goes on beyond what is shown."""
        return span.ends[0] < self.shown[0], span.ends[1] > self.shown[1]

    @property
    def is_clipped(self) -> bool:
        """Whether any span goes on beyond what is shown."""
        return any(any(self.beyond(span)) for span in self.spans)

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round values that are shown."""
        low, high = self.shown
        least = (high - low) / TICKS
        power = 10.0 ** math.floor(math.log10(least))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
        return tuple(step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1))


@dataclass(frozen=True, slots=True)
class Overview:
    """The answer as a picture."""

    panels: tuple[Spans, ...]
    caption: str


def room(spans: tuple[Span, ...], line: Baseline) -> Pair:
    """Return what of a scale is to be shown: all values, and of intervals what does not press these into a corner."""
    values = [*(span.value for span in spans), line.value, *(line.band or ())]
    low, high = min(values), max(values)
    reach = 2 * (high - low) or 1.0
    ends = [end for span in spans for end in span.ends if math.isfinite(end)]
    margin = 0.04 * (high - low + reach)
    return max(low - reach, min([low, *ends])) - margin, min(high + reach, max([high, *ends])) + margin
