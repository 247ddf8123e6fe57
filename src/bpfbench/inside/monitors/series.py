# SPDX-License-Identifier: Apache-2.0
"""Values between samples: counters are read every so often, and asked for at fio's start and end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Span = tuple[float, float]
"""Begin and end, CLOCK_MONOTONIC, in seconds."""


class Stamped(Protocol):
    """A sample knows when it was taken."""

    @property
    def monotonic_s(self) -> float:
        """CLOCK_MONOTONIC, in seconds."""


S = TypeVar("S", bound=Stamped)


def at(samples: Sequence[S], time_s: float, value: Callable[[S], float]) -> float:
    """Interpolate a value linearly; outside the samples, it is that of the nearest one.

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("no samples")
    if time_s <= samples[0].monotonic_s:
        return value(samples[0])
    for before, after in itertools.pairwise(samples):
        if time_s <= after.monotonic_s:
            share = (time_s - before.monotonic_s) / (after.monotonic_s - before.monotonic_s)
            return value(before) + share * (value(after) - value(before))
    return value(samples[-1])


def increase(samples: Sequence[S], span: Span, counter: Callable[[S], float]) -> float:
    """Return by how much a counter grew over a span, interpolated to its ends."""
    begin_s, end_s = span
    return at(samples, end_s, counter) - at(samples, begin_s, counter)
