# SPDX-License-Identifier: Apache-2.0
"""What a run makes of nothing: by how much two vanilla trials of one block differ.

Blocks with several vanilla trials show it. It is what a difference between setups must exceed to be one, whatever a few
pairs of theirs, alike by luck, seem to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy import stats

LEAST = 2
"""Blocks with two vanilla trials that an SD takes."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Of one metric under one workload."""

    n: int
    """Blocks it is known from."""
    sd: float
    """Of the difference between two trials that should not differ: of logarithms, or of what is not compared so."""

    def reach(self, blocks: int, confidence: float = 0.95) -> float:
        """Return what it makes of a mean difference over so many blocks, in `confidence` of all studies at most."""
        return float(stats.t.ppf((1 + confidence) / 2, self.n)) * self.sd / math.sqrt(blocks)


def noise(blocks: Iterable[Sequence[float]]) -> Noise | None:
    """Return the noise that blocks show; of each, the values of its vanilla trials. None where too few have two.

    The two are of random places in the block, so their difference is 0 on average, and its SD that about 0.
    """
    squares = [(values[0] - values[1]) ** 2 for values in blocks if len(values) > 1]
    if len(squares) < LEAST:
        return None
    return Noise(len(squares), math.sqrt(sum(squares) / len(squares)))
