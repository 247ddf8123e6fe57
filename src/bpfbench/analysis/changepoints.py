# SPDX-License-Identifier: Apache-2.0
"""Where a series may have steps, by ruptures, which is an extra: places to be tested, and no statement."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import ruptures

from bpfbench.analysis.inference import NEGLIGIBLE


def cut(values: Sequence[float], least: int) -> list[int]:
    """Return the places at which a series begins to have another level.

    Levels are fitted by least squares, at a price for each: 2 ln n times the variance of noise, as by Schwarz's
    criterion where a level costs two numbers, its height and its place (PELT; Killick and others 2012). That variance
    is half the mean square of differences between neighbours (von Neumann 1941), which a step hardly enlarges.

    Args:
        values: in their order.
        least: how many a level has.
    """
    series = np.asarray(values, dtype=np.float64)
    if len(series) < 2 * least:
        return []
    centre, noise = float(series.mean()), math.sqrt(float(np.mean(np.diff(series) ** 2)) / 2)
    if noise <= NEGLIGIBLE * max(1.0, abs(centre)):
        return []
    # Scaled, as the library takes squares of sums: values far from 0 would lose their differences.
    fitted = ruptures.KernelCPD(kernel="linear", min_size=least).fit((series - centre) / noise)
    return [int(end) for end in fitted.predict(pen=2 * math.log(len(series)))[:-1]]
