# SPDX-License-Identifier: Apache-2.0
"""Who is new in a block, by Optuna's tree-structured Parzen estimator: who imports this needs Optuna, an extra.

It learns which values the best of those that were tried have in common, and proposes what is likely to be like them
(docs/tune.md tells what that is worth). Nothing is kept: a study is made anew for each block, of what the records say
by then. So a proposal follows from these and the seed, whether a run was killed before it or not. And a configuration
that was repeated counts with all of its blocks, while a storage of Optuna's keeps what it was told first.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping

import optuna

from bpfbench.analysis.questions.tuning.aim import Tried
from bpfbench.analysis.questions.tuning.search import Space, at_random

ASKED_MOST = 40
"""So often it is asked for a block; as it knows nothing of what cannot be, it proposes that, too."""
SEEDS = 2**32
"""How many it knows."""


def most_promising(space: Space, tried: Mapping[str, Tried], new: Collection[str], places: int, seed: int) -> list[str]:
    """Propose what the estimator takes for the most promising; what it does not think of is drawn at random."""
    if len(new) <= places:
        return list(new)
    with warnings.catch_warnings(action="ignore"):  # what Optuna will change is nothing that a user can mend
        found = _asked(space, tried, frozenset(new), places, seed)
    left = [name for name in new if name not in found]
    return found + at_random(space, tried, left, places - len(found), seed)


def _asked(space: Space, tried: Mapping[str, Tried], new: frozenset[str], places: int, seed: int) -> list[str]:
    """Return so many new ones that it proposes, or fewer."""
    spread: dict[str, optuna.distributions.BaseDistribution] = {
        dial.name: optuna.distributions.IntDistribution(0, dial.size - 1)
        if dial.ordered
        else optuna.distributions.CategoricalDistribution(range(dial.size))
        for dial in space.dials
    }
    study = _study(space, tried, spread, seed)
    by_point = {point: name for name, point in space.points.items()}
    found: list[str] = []
    for _ in range(ASKED_MOST):
        asked = study.ask(spread)
        name = by_point.get(tuple(asked.params[dial.name] for dial in space.dials))
        if name is None or name not in new or name in found:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
            continue
        found.append(name)
        if len(found) == places:
            break
    return found


def _study(
    space: Space,
    tried: Mapping[str, Tried],
    spread: dict[str, optuna.distributions.BaseDistribution],
    seed: int,
) -> optuna.Study:
    """Return a study, in memory, of all that was tried: costs to be low, and limits as constraints."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    aims = max((len(own.ahead) for own in tried.values()), default=1)
    sampler = optuna.samplers.TPESampler(seed=seed % SEEDS, multivariate=True)
    study = optuna.create_study(directions=["minimize"] * aims, sampler=sampler)
    for own in tried.values():
        params = dict(zip(spread, space.points[own.name], strict=True))
        values, limits = [-ahead for ahead in own.ahead], {"limits": own.miss}
        told = optuna.trial.create_trial(params=params, distributions=spread, values=values, constraints=limits)
        study.add_trial(told)
    return study
