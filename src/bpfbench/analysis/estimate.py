# SPDX-License-Identifier: Apache-2.0
"""Mean and standard deviation of repeated measurements."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a metric came to, in the metric's unit."""

    mean: float
    sd: float | None
    """Sample standard deviation (n - 1 in the denominator); None for a single value."""
    n: int
    """Values behind it: less than the row's n where some trials lack the metric."""


def estimate(values: Iterable[float | None]) -> Estimate | None:
    """Mean and SD of the values present, or None if there is none. A value that is not finite counts as absent."""
    present = [value for value in values if value is not None and math.isfinite(value)]
    if not present:
        return None
    sd = statistics.stdev(present) if len(present) > 1 else None
    return Estimate(statistics.fmean(present), sd, len(present))
