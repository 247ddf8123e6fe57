# SPDX-License-Identifier: Apache-2.0
"""Which setups and configurations fit what a user needs, and which of them to take.

Who fits is judged in candidates.py, which of them is preferred in preference.py. Where none fits, shortfall.py says
what each lacks, and what may help.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bpfbench.analysis.questions.candidates import Basis, Candidate, Fit, Wish
from bpfbench.analysis.questions.capacity import Observation
from bpfbench.analysis.questions.evidence import Quality
from bpfbench.analysis.questions.preference import Sieve, narrow
from bpfbench.analysis.questions.shortfall import Shortfall, command, shortfalls, tuning
from bpfbench.analysis.results import Results
from bpfbench.factors import KNOBS
from bpfbench.model import Criteria, TracerConfig, TunedValues


@dataclass(frozen=True, slots=True)
class Recommendation:
    """All candidates, the best first."""

    wish: Wish
    candidates: tuple[Candidate, ...]
    to_measure: str | None
    """The command that would measure what is not known; None where everything is, or nothing of the run has a rate."""
    unrated: tuple[str, ...] = ()
    """Targets of the run that no command drives at a rate."""
    steps: tuple[Sieve, ...] = ()
    """How the choice was made between those that do what is wanted; a candidate is called by its position."""
    shortfalls: tuple[Shortfall, ...] = ()
    """Where nobody does: what each setup lacks, the nearest first."""
    to_tune: str | None = None
    """Where nobody meets one of the requirements: the command that looks for a configuration which does."""

    @property
    def chosen(self) -> tuple[Candidate, ...]:
        """Those of the qualified that nothing tells apart from the best."""
        return tuple(self.candidates[int(name)] for name in self.steps[-1].left) if self.steps else self.qualified

    @property
    def qualified(self) -> tuple[Candidate, ...]:
        """Those that do what is wanted."""
        return tuple(candidate for candidate in self.candidates if candidate.fit.qualifies)


def recommend(
    results: Results, wish: Wish, bench: Iterable[Observation] = (), criteria: Criteria | None = None
) -> Recommendation:
    """Judge every configuration that a run has.

    Args:
        results: of a run.
        wish: what is needed.
        bench: of `bench drain`. Where given, fidelity is predicted from it: for a tracer with a CPU of its own.
        criteria: up to which differences setups are equal.
    """
    basis = Basis.of(results, bench)
    tuned = results.info.study.tuned if results.info else ()
    tools = {key: cells[0].tool for key, cells in basis.cells.items()}
    judged = (replace(basis.candidate(*key, wish), role=role_of(*key, tool, tuned)) for key, tool in tools.items())
    found = sorted(judged, key=lambda own: _order(own, wish))
    qualified = [own for own in found if own.fit.qualifies]
    steps = narrow(
        results, {str(at): own.near for at, own in enumerate(qualified)}, wish.prefer, criteria or Criteria()
    )
    # Who was left longest comes first; a candidate is called by its position from here on.
    last = {at: sum(str(at) in step.left for step in steps) for at in range(len(qualified))}
    order = sorted(last, key=lambda at: -last[at])
    places = {str(at): str(place) for place, at in enumerate(order)}
    ranked = [*(qualified[at] for at in order), *found[len(qualified) :]]
    open_ = [own for own in found if own.fit in (Fit.UNKNOWN, Fit.UNDECIDED)]
    return Recommendation(
        wish,
        tuple(ranked),
        command(basis, open_, wish) if open_ else None,
        tuple(target.name for target in basis.driven if not target.drive_at),
        tuple(step.called(places) for step in steps),
        () if qualified else shortfalls(basis, found, wish),
        tuning(basis, found, wish) if not qualified and _nobody_does(found) else None,
    )


def _nobody_does(found: Iterable[Candidate]) -> bool:
    """Tell whether one of the requirements is met by nobody, and known not to be by some."""
    fits: defaultdict[Quality, set[Fit]] = defaultdict(set)
    for judged in (judged for own in found for judged in own.assessments):
        fits[judged.requirement].add(judged.fit)
    return any(Fit.NO in own and not any(fit.qualifies for fit in own) for own in fits.values())


def role_of(setup: str, config: TracerConfig, tool: str, tuned: Iterable[TunedValues]) -> str:
    """Say whether a configuration is the tuned one or the default, of a setup that is there as both."""
    for own in tuned:
        if own.setup == setup:
            used = ((KNOBS[name], value) for name, value in own.values.items() if tool in KNOBS[name].tools)
            is_it = all(getattr(config, knob.field) == value for knob, value in used)
            return "tuned" if is_it else "default"
    return ""


def _order(own: Candidate, wish: Wish) -> tuple[object, ...]:
    sign = -1 if wish.prefer.higher_is_better else 1
    return (
        0 if own.fit.qualifies else own.fit.rank,
        sum(not assessment.fit.qualifies for assessment in own.assessments),
        sum(assessment.excess for assessment in own.assessments),
        own.preferred is None,
        sign * (own.preferred or 0.0),
        own.setup,
        own.config.ringbuf_bytes,
    )
