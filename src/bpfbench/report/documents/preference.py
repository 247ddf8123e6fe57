# SPDX-License-Identifier: Apache-2.0
"""What decides between several that will do, in words: of recommendations, and of setups that are equal in a need."""

from __future__ import annotations

from collections.abc import Sequence

from bpfbench.analysis.decision import Outcome
from bpfbench.analysis.questions.evidence import Quality
from bpfbench.analysis.questions.preference import Sieve
from bpfbench.report.wording import listed
from bpfbench.units import plural


def step(own: Sieve, names: Sequence[str]) -> str:
    """Say what one quality makes of those that there were, without a full stop.

    Args:
        own: what it says.
        names: of those that are left.
    """
    what, others = own.quality.word, len(own.of) - len(own.left)
    unit = "%" if own.quality is not Quality.FIDELITY else "point" if own.margin == 1 else "points"
    margin = f"{own.margin:g} {unit}"
    match own.outcome:
        case Outcome.BEST:
            text = f"{names[0]} is the best in {what}, by more than {margin}"
        case Outcome.EQUAL:
            text = f"{listed(names)} are equal in {what}, within {margin}"
        case Outcome.DEPENDS:
            text = f"{what} depends on the workload, between {listed(names)}"
        case _:
            text = f"{what} cannot tell {listed(names)} apart in {plural(own.rounds, 'round')}"
    worse = f"; {'1 other is' if others == 1 else f'{others} others are'} worse" if others and len(names) > 1 else ""
    return f"{text}{worse}"
