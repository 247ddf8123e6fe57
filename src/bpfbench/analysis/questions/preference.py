# SPDX-License-Identifier: Apache-2.0
"""Which of several that will do is preferred, by the rule of decisions (decision.py), one quality after the other.

What is preferred comes first. Those whom that does not rule out go on to memory, and those whom memory does not rule
out to start-up, and then to size. Nobody is put before another by noise. Each quality is decided between all that will
do: intervals that hold for all at once hold for those that are left, whoever these are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bpfbench.analysis import metrics
from bpfbench.analysis.decision import Decision, Outcome, decide
from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.evidence import Quality
from bpfbench.analysis.questions.needs import Answer, Answers, Need
from bpfbench.analysis.results import Cell, Results
from bpfbench.model import Criteria

NEED_OF: Mapping[Quality, Need] = {
    Quality.OVERHEAD: needs.LATENCY,
    Quality.FIDELITY: needs.FIDELITY,
    Quality.CPU: replace(needs.CPU, metric=metrics.TRACER_CPU),
    Quality.MEMORY: needs.MEMORY,
    Quality.LATENCY: replace(needs.LATENCY, metric=metrics.LATENCY_P99),
    Quality.ENERGY: replace(needs.POWER, metric=metrics.ENERGY),
    Quality.STARTUP: needs.STARTUP,
    Quality.SIZE: needs.SIZE,
}
"""By what a quality is compared. At a rate of the target's own, overhead is what each I/O takes longer."""
AFTERWARDS = (Quality.MEMORY, Quality.STARTUP, Quality.SIZE)
"""What decides between those that are equal in what is wanted most."""


@dataclass(frozen=True, slots=True)
class Sieve:
    """What a quality says of those that were left."""

    quality: Quality
    outcome: Outcome
    rounds: int
    """That it is decided by, or not."""
    margin: float
    """Up to which differences do not matter, in per cent, or in points."""
    left: tuple[str, ...]
    """Those that it does not rule out."""
    of: tuple[str, ...]
    """Those that there were."""

    def called(self, names: Mapping[str, str]) -> Sieve:
        """Call those that were left, and were there, by other names."""
        left, of = (tuple(sorted(names[own] for own in given)) for given in (self.left, self.of))
        return replace(self, left=left, of=of)


def narrow(
    results: Results, near: Mapping[str, Mapping[str, Cell]], prefer: Quality, criteria: Criteria
) -> tuple[Sieve, ...]:
    """Narrow down who is preferred, until one is left, or nothing tells them apart.

    Args:
        results: of a run.
        near: of each candidate, by workload, the cell that stands for what is wanted.
        prefer: what is wanted most.
        criteria: up to which differences setups are equal.
    """
    asked = dict.fromkeys((prefer, *AFTERWARDS))
    decided = ((quality, _decide(results, near, NEED_OF[quality], criteria)) for quality in asked)
    return tuple(_sieved(tuple(near), decided, criteria))


def among_equals(found: Answers, answer: Answer) -> tuple[Sieve, ...]:
    """Say what else decides between those that are equal in a need; nothing where nobody is, or nothing else is known.

    Args:
        found: all that a run says of one kernel.
        answer: of that need.
    """
    known = (*found.needs, *([found.size] if found.size else []))
    by_need = {own.need: own.decision for own in known if own.need.metric is not answer.need.metric}
    decided = ((quality, by_need.get(NEED_OF[quality])) for quality in AFTERWARDS)
    equal = answer.decision.named if answer.decision.outcome is Outcome.EQUAL else ()
    return tuple(_sieved(equal, decided, answer.criteria))


def _sieved(
    left: tuple[str, ...], decided: Iterable[tuple[Quality, Decision[Any] | None]], criteria: Criteria
) -> Iterator[Sieve]:
    """Go through decisions between all, as long as several are left."""
    for quality, decision in decided:
        if len(left) < 2:
            return
        if decision is None or len(set(left) & set(decision.whole.order)) < 2:
            continue
        found = decision.among(left)
        out = set(found.whole.order) - set(found.named or found.possible)
        before, left = left, tuple(own for own in left if own not in out)
        yield Sieve(quality, found.outcome, found.rounds, NEED_OF[quality].margin(criteria), left, before)


def _decide(
    results: Results, near: Mapping[str, Mapping[str, Cell]], need: Need, criteria: Criteria
) -> Decision[str] | None:
    """Decide between candidates, each workload being a case; None where fewer than two have any value."""
    values = {
        name: {
            workload: blocks
            for workload, cell in cells.items()
            if (cell, need.metric) in results.samples
            and (blocks := results.samples[cell, need.metric].by_round(need.worth))
        }
        for name, cells in near.items()
    }
    known = {name: own for name, own in values.items() if own}
    if len(known) < 2:
        return None
    return decide(known, need.scaled(criteria), _noise(results, list(near.values()), need))


def _noise(results: Results, near: Sequence[Mapping[str, Cell]], need: Need) -> dict[str, float]:
    """By workload: the SD of the difference of two vanilla trials of a block, where it is known."""
    found = {}
    for workload, cell in (item for own in near for item in own.items()):
        sample = results.samples.get((cell.vanilla, need.metric))
        if sample and (sd := need.noise(sample)) is not None:
            found[workload] = sd
    return found
