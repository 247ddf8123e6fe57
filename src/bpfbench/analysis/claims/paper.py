# SPDX-License-Identifier: Apache-2.0
"""What the paper knows of its subjects: the numbers it prints, and what it says in words, as data/paper.toml has them.

A number printed of a setup is exact; `others_at_most` and `others_at_least` bound those that have none. Who reaches an
extreme is named, so all others are short of it: bounds are open ends. Words that rank setups or cases count where
numbers leave a comparison open; where the two disagree, the numbers stand.

What comes of it is a check of our transcription against the paper's own statements, and evidence of nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bpfbench.analysis.claims.evidence import SAVED, Known, Missing, Quantity, Scale, Subject
from bpfbench.analysis.claims.predicate import read
from bpfbench.analysis.inference import Interval
from bpfbench.model import VANILLA

MIB = 2**20

PRINTED_AS = {
    "throughput_bytes_per_s": ("throughput_mib_s", MIB),
    "memory_bytes": ("memory_mib", MIB),
    "latency_mean_us": ("latency_printed_ms", 1.0),  # remark.py says why that is the unit
}
"""How paper.toml calls what vanilla came to, and its unit in the metric's, where they differ."""

OPEN = 1e-9
"""How far an open end is from its bound, in parts of it."""


@dataclass(frozen=True, slots=True)
class PaperEvidence:
    """What the paper knows."""

    data: Mapping[str, Any]
    ranked: frozenset[tuple[str, Subject, Subject]]
    """Of this quantity the one subject has more than the other."""
    kprobes: bool = True

    def level(self, quantity: Quantity, subject: Subject) -> Known | Missing:
        """Return a quantity itself."""
        return _known(self._level(quantity, subject))

    def factor(self, quantity: Quantity, subject: Subject) -> Known | Missing:
        """Return a quantity over vanilla's."""
        return _known(self._factor(quantity, subject))

    def contrast(self, quantity: Quantity, one: Subject, other: Subject, *, over_vanilla: bool) -> Known | Missing:
        """Compare two cells by their numbers, or where these leave it open, by what is said in words."""
        if quantity.scale is Scale.DIFFERENCE:
            found = self._level(quantity, one).minus(self._level(quantity, other))
        elif quantity.scale is Scale.SPREAD:
            found = Interval()
        elif over_vanilla or one.case == other.case:
            found = self._factor(quantity, one).over(self._factor(quantity, other))
        else:
            found = self._level(quantity, one).over(self._level(quantity, other))
        return _known(self._in_words(found, quantity, one, other))

    def stricter(self, statements: int) -> PaperEvidence:
        """Printed numbers get no wider."""
        del statements
        return self

    def _in_words(self, found: Interval, quantity: Quantity, one: Subject, other: Subject) -> Interval:
        if found.exceeds(quantity.neutral) is not None or found.low == found.high:
            return found
        if (quantity.key, one, other) in self.ranked:
            return Interval(quantity.neutral + OPEN, max(found.high, quantity.neutral + OPEN))
        if (quantity.key, other, one) in self.ranked:
            return Interval(min(found.low, quantity.neutral - OPEN), quantity.neutral - OPEN)
        return found

    def _level(self, quantity: Quantity, subject: Subject) -> Interval:
        if quantity is SAVED:
            printed = self.data[subject.workload].get("saved_percent", {})
            return _bounds(printed.get(subject.tool, {}), subject.setup, 0.0, 100.0)
        vanilla = self.data["vanilla"].get(subject.workload)
        if vanilla is None:
            return Interval(0.0)
        key, unit = PRINTED_AS.get(quantity.key, (quantity.key, 1.0))
        base = vanilla[key]["mean"] * unit
        return _exactly(base) if subject.setup == VANILLA else self._factor(quantity, subject).times(base)

    def _factor(self, quantity: Quantity, subject: Subject) -> Interval:
        tools = self.data[subject.workload].get("factor_over_vanilla", {})
        return _bounds(tools.get(subject.tool, {}).get(quantity.key, {}), subject.setup, 0.0, math.inf)


def paper_evidence(data: Mapping[str, Any]) -> PaperEvidence:
    """Take the paper's numbers and words; `data` is paper.toml."""
    said = (*data["words"]["order"], *data["words"]["across"])
    words = [read({key: value for key, value in own.items() if key != "section"}) for own in said]
    ranked = ((own.quantity.key, one, other) for own in words for group in own.groups() for one, other in group)
    return PaperEvidence(data, frozenset(ranked))


def _bounds(printed: Mapping[str, Any], setup: str, least: float, most: float) -> Interval:
    """Read what is printed of a setup; `least` and `most` are what is possible at all."""
    if setup in printed:
        own = printed[setup]
        return _between(*own) if isinstance(own, list) else _exactly(own)
    between = _between(printed.get("others_at_least", -math.inf), printed.get("others_at_most", math.inf))
    return Interval(max(least, between.low), min(most, between.high))


def _between(low: float, high: float) -> Interval:
    """All values between two bounds, which are none of them."""
    return Interval(low * (1 + OPEN), high * (1 - OPEN)) if low < high else Interval(low, high)


def _exactly(value: float) -> Interval:
    return Interval(value, value)


def _known(interval: Interval) -> Known:
    return Known(interval, interval.low if interval.low == interval.high else None, None)
