# SPDX-License-Identifier: Apache-2.0
"""Intervals, and comparisons with three answers: surely true, surely false, cannot be told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """All values from `low` to `high`, both included; a number known exactly has the two alike."""

    low: float = -math.inf
    high: float = math.inf

    def within(self, low: float, high: float) -> bool | None:
        """Tell whether a value of this interval lies between two bounds."""
        if low <= self.low and self.high <= high:
            return True
        return False if self.high < low or high < self.low else None

    def exceeds(self, bound: float) -> bool | None:
        """Tell whether a value of this interval is larger than a bound. A tie, however well known, is not told."""
        return True if self.low > bound else False if self.high < bound else None

    def minus(self, other: Interval) -> Interval:
        """Subtract. Infinite minus infinite is taken as unbounded."""
        low, high = self.low - other.high, self.high - other.low
        return Interval(-math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high)

    def over(self, other: Interval) -> Interval:
        """Divide by another interval; both hold no negative value."""
        low = 0.0 if math.isinf(other.high) or not self.low else self.low / other.high if other.high else math.inf
        high = math.inf if math.isinf(self.high) or not other.low else self.high / other.low
        return Interval(low, high)

    def times(self, factor: float) -> Interval:
        """Multiply by a positive number."""
        return Interval(self.low * factor, self.high * factor)


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """Kleene's conjunction: false if one is false, else unknown if one is unknown."""
    found = set(answers)
    return False if False in found else None if None in found else True


def at_least(wanted: int, answers: Sequence[bool | None]) -> bool | None:
    """Tell whether so many of the answers are true, whatever those that are unknown turn out to be."""
    true, unknown = answers.count(True), answers.count(None)
    if true >= wanted:
        return True
    return None if true + unknown >= wanted else False
