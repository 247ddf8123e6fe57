# SPDX-License-Identifier: Apache-2.0
"""The answer for programs: which setup for which need.

Data:

    kernels[]     kernel, needs[], all_round or null
    needs[]       need, title, metric, margin, outcome (best, equal, depends, undecided, alone), named[], possible[],
                  leader, rounds, rounds_needed (null: more than anybody runs), cases (over which the mean
                  is), contenders[], turned[], then[]
    contenders[]  setup, standing (leader, equal, worse, open), low and high (of its means over the cases),
                  over_vanilla {change, low, high, rounds} or null, behind {change, low, high, rounds} or null
    turned[]      case, better[]: where the leader is known to be beaten
    then[]        what else decides between those that are equal: quality, outcome, rounds, margin, of[], left[]
    all_round     rates[] {rate_iops, burst_ios, duty_percent, events_per_s, holding[], in_each_trial[] (those who
                  saved as much in each), open[]}, floor_percent, answer
                  (as in needs[], or null)

Changes are in per cent, but of fidelity in points; an end that is not known is null. Intervals hold at every look and
for all setups at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from bpfbench.analysis.gaps import Gap
from bpfbench.analysis.questions.needs import AllRound, Answer, Answers
from bpfbench.analysis.questions.preference import among_equals
from bpfbench.report.documents.needs import contest

SCHEMA = 1
"""Version of the data. History: 1 (first)."""


def data(found: Sequence[Answers]) -> dict[str, Any]:
    """Return answers for programs."""
    return {
        "kernels": [
            {
                "kernel": own.kernel,
                "needs": [_need(own, answer) for answer in own.needs],
                "all_round": None if own.all_round is None else _rates(own, own.all_round),
            }
            for own in found
        ]
    }


def _need(found: Answers, answer: Answer) -> dict[str, Any]:
    decision = answer.decision
    return {
        "need": answer.need.key,
        "title": answer.need.title,
        "metric": answer.need.metric.key,
        "margin": answer.margin,
        "outcome": decision.outcome,
        "named": decision.named,
        "possible": decision.possible,
        "leader": decision.leader,
        "rounds": decision.rounds,
        "rounds_needed": decision.rounds_needed,
        "cases": [contest(case) for case in decision.contested],
        "contenders": [_contender(answer, setup) for setup in decision.whole.order],
        "turned": [{"case": contest(case), "better": who} for case, who in decision.turned.items()],
        "then": among_equals(found, answer),
    }


def _contender(answer: Answer, setup: str) -> dict[str, Any]:
    decision, worth = answer.decision, answer.worth[setup]
    behind = decision.whole.gaps.get((setup, decision.leader))
    return {
        "setup": setup,
        "standing": decision.whole.standing(setup),
        "low": worth.low,
        "high": worth.high,
        "over_vanilla": _gap(answer, worth.over_vanilla),
        "behind": _gap(answer, behind),
    }


def _gap(answer: Answer, gap: Gap | None) -> dict[str, Any] | None:
    if gap is None:
        return None
    ends = answer.need.changes(gap.interval)
    known = not answer.need.is_constant(gap)
    low, high = (end if known and isfinite(end) else None for end in (ends.low, ends.high))
    return {"change": answer.need.change(gap.mean), "low": low, "high": high, "rounds": gap.rounds}


def _rates(whole: Answers, found: AllRound) -> dict[str, Any]:
    return {
        "floor_percent": found.rates[0].floor_percent,
        "rates": [
            {
                **own.pace._asdict(),
                "events_per_s": own.events_per_s,
                "holding": own.holding,
                "in_each_trial": own.in_each,
                "open": own.open,
            }
            for own in found.rates
        ],
        "answer": None if found.answer is None else _need(whole, found.answer),
    }
