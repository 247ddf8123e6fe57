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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bpfbench.analysis.estimate import Estimate, estimate
from bpfbench.analysis.metrics import Metric
from bpfbench.model import Record


class Verdict(StrEnum):
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
    is not positive is left out.
    """
    verdict: Verdict


def compare(metric: Metric, trials: Iterable[Record], vanilla: Iterable[Record]) -> Comparison | None:
    """Compare a row's ok trials with the ok vanilla trials of the same group; None where the row lacks the metric."""
    trials, vanilla = tuple(trials), tuple(vanilla)
    own = estimate(metric.read(record) for record in trials)
    if own is None:
        return None
    base = _vanilla_logs(metric, vanilla)
    ratios = estimate(_log_ratio(_log(metric.read(record)), base.get(pairing(record))) for record in trials)
    return Comparison(_in_percent(ratios), judge(own, estimate(metric.read(record) for record in vanilla)))


def judge(own: Estimate, vanilla: Estimate | None) -> Verdict:
    """Apply the paper's rule. The boundary itself is inconclusive."""
    if vanilla is None or vanilla.sd is None:
        return Verdict.NOT_ASSESSABLE
    return Verdict.INCONCLUSIVE if abs(own.mean - vanilla.mean) <= vanilla.sd else Verdict.BEYOND


def pairing(record: Record) -> tuple[int, str]:
    """What a trial must share with a vanilla trial to be paired with it: the block and the session.

    A block that an interruption split, or of which trials were run again, may have hours between its trials.
    """
    return record.trial.block, record.session


def _vanilla_logs(metric: Metric, vanilla: Iterable[Record]) -> Mapping[tuple[int, str], float]:
    """The mean logarithm of the metric by pairing, which normally holds a single vanilla trial."""
    logs: defaultdict[tuple[int, str], list[float | None]] = defaultdict(list)
    for record in vanilla:
        logs[pairing(record)].append(_log(metric.read(record)))
    estimates = {pair: estimate(found) for pair, found in logs.items()}
    return {pair: found.mean for pair, found in estimates.items() if found is not None}


def _log(value: float | None) -> float | None:
    return math.log(value) if value is not None and value > 0 else None


def _log_ratio(value: float | None, base: float | None) -> float | None:
    # A difference of logarithms, not the logarithm of a quotient: with the sides swapped it is exactly the negative.
    return None if value is None or base is None else value - base


def _in_percent(ratios: Estimate | None) -> Estimate | None:
    """Turn an estimate over logarithms of ratios into a change in per cent."""
    if ratios is None:
        return None
    return Estimate(100 * math.expm1(ratios.mean), None if ratios.sd is None else 100 * math.expm1(ratios.sd), ratios.n)
