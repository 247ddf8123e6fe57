# SPDX-License-Identifier: Apache-2.0
"""Intervals over one scale: what is shown of it, and what goes on beyond."""

from __future__ import annotations

import math

import pytest

from bpfbench.report.spans import Baseline, Span, Spans, room

VANILLA = Baseline(0.0, "vanilla", (-5.0, 6.0))


def span(value: float, low: float, high: float) -> Span:
    return Span("libbpf", value, (low, high), "", told=True)


def shown(*spans: Span) -> Spans:
    return Spans("runtime", "%", spans, VANILLA, room(spans, VANILLA))


def test_an_interval_of_ordinary_width_is_shown_whole() -> None:
    found = shown(span(20.0, -10.0, 50.0), span(30.0, 10.0, 50.0))
    assert not found.is_clipped
    assert 0 < found.at(-10.0) < found.at(0.0) < found.at(50.0) < 100


@pytest.mark.parametrize("end", [1e6, math.inf])
def test_an_interval_that_is_too_wide_is_clipped_so_that_the_others_can_be_read(end: float) -> None:
    wide, narrow = span(30.0, -math.inf, end), span(20.0, 15.0, 25.0)
    found = shown(wide, narrow)
    assert found.beyond(wide) == (True, True)
    assert found.beyond(narrow) == (False, False)
    assert found.at(25.0) - found.at(15.0) > 4
    assert found.at(end) == pytest.approx(100)


def test_every_value_the_line_and_its_band_are_shown() -> None:
    low, high = shown(span(-300.0, -math.inf, math.inf), span(40.0, 39.0, 41.0)).shown
    assert low < -300 < 40 < high


@pytest.mark.parametrize(("value", "wide"), [(0.0, 0.0), (0.003, 0.001), (80_000.0, 2000.0)])
def test_ticks_are_few_and_within_what_is_shown(value: float, wide: float) -> None:
    found = shown(span(value, value - wide, value + wide))
    assert 2 <= len(found.ticks) <= 6
    assert all(found.shown[0] <= tick <= found.shown[1] for tick in found.ticks)
