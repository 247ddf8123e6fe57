# SPDX-License-Identifier: Apache-2.0
"""What the paper knows: the numbers it prints, and what it says in words, as data/paper.toml has them.

A number printed of a setup is exact; `others_at_most` and `others_at_least` bound those that have none. Who reaches an
extreme is named, so all others are short of it: bounds are open ends. Words that rank setups or tasks count where
numbers leave a comparison open; where the two disagree, the numbers stand.

What comes of it is a check of our transcription against the paper's own statements, and evidence of nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.claims.claim import read
from bpfbench.analysis.questions.claims.witness import SAVED, Contestant, Known, Measure, Scale
from bpfbench.model import VANILLA

MIB = 2**20

PRINTED_AS = {
    "throughput_bytes_per_s": ("throughput_mib_s", MIB),
    "memory_bytes": ("memory_mib", MIB),
    "latency_mean_us": ("latency_printed_ms", 1.0),  # the remarks in paper.toml say why that is the unit
}
"""How paper.toml calls what vanilla came to, and its unit in the metric's, where they differ."""

OPEN = 1e-9
"""How far an open end is from its bound, in parts of it."""


@dataclass(frozen=True, slots=True)
class PaperWitness:
    """What the paper knows."""

    data: Mapping[str, Any]
    ranked: frozenset[tuple[str, Contestant, Contestant]]
    """Of this measure the one contestant has more than the other."""
    kprobes: bool = True

    def level(self, measure: Measure, contestant: Contestant) -> Known:
        """Return a measure itself."""
        return _known(self._level(measure, contestant))

    def contrast(self, measure: Measure, one: Contestant, other: Contestant, *, over_vanilla: bool) -> Known:
        """Compare two cells by their numbers, or where these leave it open, by what is said in words."""
        if measure.scale is Scale.DIFFERENCE:
            found = self._level(measure, one).minus(self._level(measure, other))
        elif measure.scale is Scale.SPREAD:
            found = Interval()
        elif over_vanilla or one.task == other.task:
            found = self._factor(measure, one).over(self._factor(measure, other))
        else:
            found = self._level(measure, one).over(self._level(measure, other))
        return _known(self._in_words(found, measure, one, other))

    def stricter(self, statements: int) -> PaperWitness:
        """Printed numbers get no wider."""
        del statements
        return self

    def _in_words(self, found: Interval, measure: Measure, one: Contestant, other: Contestant) -> Interval:
        if found.exceeds(measure.neutral) is not None or found.low == found.high:
            return found
        if (measure.key, one, other) in self.ranked:
            return Interval(measure.neutral + OPEN, max(found.high, measure.neutral + OPEN))
        if (measure.key, other, one) in self.ranked:
            return Interval(min(found.low, measure.neutral - OPEN), measure.neutral - OPEN)
        return found

    def _level(self, measure: Measure, contestant: Contestant) -> Interval:
        if measure is SAVED:
            printed = self.data[contestant.workload].get("saved_percent", {})
            return _bounds(printed.get(contestant.tool, {}), contestant.setup, 0.0, 100.0)
        vanilla = self.data["vanilla"].get(contestant.workload)
        if vanilla is None:
            return Interval(0.0)
        key, unit = PRINTED_AS.get(measure.key, (measure.key, 1.0))
        base = vanilla[key]["mean"] * unit
        return self._factor(measure, contestant).times(base)

    def _factor(self, measure: Measure, contestant: Contestant) -> Interval:
        if contestant.setup == VANILLA:
            return _exactly(1.0)
        tools = self.data[contestant.workload].get("factor_over_vanilla", {})
        return _bounds(tools.get(contestant.tool, {}).get(measure.key, {}), contestant.setup, 0.0, math.inf)


def paper_witness(data: Mapping[str, Any]) -> PaperWitness:
    """Take the paper's numbers and words; `data` is paper.toml."""
    said = (*data["words"]["order"], *data["words"]["across"])
    words = [read({key: value for key, value in own.items() if key != "section"}) for own in said]
    ranked = ((own.measure.key, one, other) for own in words for group in own.groups() for one, other in group)
    return PaperWitness(data, frozenset(ranked))


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
