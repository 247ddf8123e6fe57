# SPDX-License-Identifier: Apache-2.0
"""Against vanilla: the difference paired within blocks, and the paper's rule on what is inconclusive.

The two answer different questions. The difference is the mean, over blocks, of what a tracer changed against the
vanilla trial that ran beside it, so a machine that drifts from block to block does not blur it. The rule is the
paper's: a mean that lies within vanilla's SD is inconclusive.

The mean is the geometric one, of the ratios, and favours neither side: two trials without a difference come out as
twice as fast as often as half as fast, which the arithmetic mean of the percentages would call +25 %.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bpfbench.analysis.estimate import Estimate, estimate
from bpfbench.analysis.metrics import Metric
from bpfbench.model import Record


class PaperRule(StrEnum):
    """What the paper's rule says about a mean. No verdict says that a difference is significant."""

    BEYOND = "beyond-vanilla-sd"
    INCONCLUSIVE = "inconclusive"
    """|mean - vanilla's mean| <= vanilla's SD."""
    NOT_ASSESSABLE = "not-assessable"
    """Vanilla has no SD: that needs 2 repetitions."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one row against vanilla."""

    difference_percent: Estimate | None
    """100 * (G - 1), where G is the geometric mean of value / vanilla's value over the pairs; None without a pair.

    Its SD is that of the logarithms of the ratios, in per cent likewise: 100 * (exp(SD) - 1). A pair with a value that
    is not positive is left out. None for a metric that is compared by its difference.
    """
    verdict: PaperRule
    difference: Estimate | None = None
    """Mean and SD of value - vanilla's value over the pairs, in the metric's unit, of a metric so compared."""


def compare(metric: Metric, trials: Iterable[Record], vanilla: Iterable[Record]) -> Comparison | None:
    """Compare a row's ok trials with the ok vanilla trials of the same group; None where the row lacks the metric."""
    trials, vanilla = tuple(trials), tuple(vanilla)
    values, base = [metric.read(record) for record in trials], [metric.read(record) for record in vanilla]
    own = estimate(values)
    if own is None:
        return None
    pairs = list(map(pairing, trials)), values, list(map(pairing, vanilla)), base
    verdict = judge(own, estimate(base))
    if metric.by_difference:
        return Comparison(None, verdict, estimate(differences(*pairs)))
    return Comparison(_in_percent(estimate(log_ratios(*pairs))), verdict)


def judge(own: Estimate, vanilla: Estimate | None) -> PaperRule:
    """Apply the paper's rule. The boundary itself is inconclusive."""
    if vanilla is None or vanilla.sd is None:
        return PaperRule.NOT_ASSESSABLE
    return PaperRule.INCONCLUSIVE if abs(own.mean - vanilla.mean) <= vanilla.sd else PaperRule.BEYOND


Pairing = tuple[str, int, str]
"""Host, block and session."""


def pairing(record: Record) -> Pairing:
    """What a trial must share with a vanilla trial to be paired with it.

    A block that an interruption split, or of which trials were run again, may have hours between its trials.
    """
    return record.trial.host, record.trial.block, record.session


def log_ratios(
    pairings: Sequence[Pairing],
    values: Sequence[float | None],
    vanilla_pairings: Sequence[Pairing],
    vanilla_values: Sequence[float | None],
) -> list[float | None]:
    """Return ln(value / vanilla's value) of each value; None without a pair, or where a side is not positive.

    Where several vanilla trials have the same pairing, their geometric mean is what is compared with.
    """
    return _less_vanilla(pairings, values, vanilla_pairings, vanilla_values, _log)


def differences(
    pairings: Sequence[Pairing],
    values: Sequence[float | None],
    vanilla_pairings: Sequence[Pairing],
    vanilla_values: Sequence[float | None],
) -> list[float | None]:
    """Return value - vanilla's value of each value; None without a pair.

    Where several vanilla trials have the same pairing, their arithmetic mean is what is compared with.
    """
    return _less_vanilla(pairings, values, vanilla_pairings, vanilla_values, lambda value: value)


def _less_vanilla(
    pairings: Sequence[Pairing],
    values: Sequence[float | None],
    vanilla_pairings: Sequence[Pairing],
    vanilla_values: Sequence[float | None],
    scale: Callable[[float | None], float | None],
) -> list[float | None]:
    scaled: defaultdict[Pairing, list[float | None]] = defaultdict(list)
    for pair, value in zip(vanilla_pairings, vanilla_values, strict=True):
        scaled[pair].append(scale(value))
    found = {pair: estimate(of_pair) for pair, of_pair in scaled.items()}
    base = {pair: of_pair.mean for pair, of_pair in found.items() if of_pair is not None}
    return [_difference(scale(value), base.get(pair)) for pair, value in zip(pairings, values, strict=True)]


def _log(value: float | None) -> float | None:
    return math.log(value) if value is not None and value > 0 else None


def _difference(value: float | None, base: float | None) -> float | None:
    # A difference of logarithms, not the logarithm of a quotient: with the sides swapped it is exactly the negative.
    return None if value is None or base is None else value - base


def _in_percent(ratios: Estimate | None) -> Estimate | None:
    """Slot an estimate over logarithms of ratios into a change in per cent."""
    if ratios is None:
        return None
    return Estimate(100 * math.expm1(ratios.mean), None if ratios.sd is None else 100 * math.expm1(ratios.sd), ratios.n)
