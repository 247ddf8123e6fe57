#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares ways to search for a configuration, and counts gains that are none. Prints the tables of docs/tune.md.

    pip install optuna==5.0.0 # which nothing else here needs
    python benchmarks/tune_search.py RUN [--searches 400] [--seed 1]

RUN has one setup in a full factorial of ringbuf_bytes, poll_ms and format, three rounds or more. A surface is fitted to
it: on the scale of each need an effect of the ring (linear between the sizes that were measured, for each format its
own) and one of the time-out, but for what is saved, which that has no part in. Searches then draw from that surface: a
trial's value is the surface's and the residual of a trial, drawn of all that were measured nearest by, so that what was
lost together stays together. What is wanted: 99.9 % saved, the least memory, and then the lowest overhead.

regret: by how many per cent the costs of what is chosen exceed those of what would be chosen if the surface were known,
        all together; of what in truth misses a limit, that of what misses none and costs the most.
A/A:    the surface is the default's everywhere. Whatever is called a gain then is an error.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import optuna
from numpy.typing import NDArray

from bpfbench import store
from bpfbench.analysis import results
from bpfbench.analysis.gaps import BlockId
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.evidence import Quality
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.tuning import search
from bpfbench.analysis.questions.tuning.aim import DEFAULT, Aim, Readings, Tried, fidelity, need_of, weigh
from bpfbench.analysis.questions.tuning.search import Dial, Propose, Space
from bpfbench.analysis.questions.tuning.validation import Gain, validate
from bpfbench.analysis.results import Sample
from bpfbench.model import Criteria, Format

Array = NDArray[np.float64]
RINGS = tuple(2**at for at in range(16, 25))
POLLS = (1, 3, 10, 30, 100, 300, 1000)
LOOKS = (3, 6, 9, 12, 18, 24)
SEARCH_TRIALS = VALIDATION_TRIALS = 160
"""Trials of 2.7 s, in 15 min."""


@dataclass(frozen=True)
class Surface:
    """What each configuration comes to, and how it scatters; a row per need of the aim, in their units."""

    aim: Aim
    space: Space
    true: Mapping[str, Array]
    residuals: Mapping[str, Array]
    """On the scales of the needs, a column per trial that was measured."""

    def draw(self, rng: np.random.Generator, name: str) -> Array:
        """Return what a trial comes to, by need, on their scales."""
        own = self.residuals[name]
        return np.asarray(self.true[name] + own[:, rng.integers(own.shape[1])])

    @property
    def alike(self) -> Surface:
        """The same of knobs without effect."""
        usual, scatter = self.true[DEFAULT], self.residuals[DEFAULT]
        return Surface(self.aim, self.space, dict.fromkeys(self.true, usual), dict.fromkeys(self.true, scatter))

    def known(self) -> dict[str, Tried]:
        """Return what a search would know that knew it all."""
        values: Readings = {
            name: {need.key: {(1, 1): unit(need.by_points, own[at])} for at, need in enumerate(self.aim.needs)}
            for name, own in self.true.items()
        }
        found = weigh(values, self.aim)
        exact = {n: tuple(Interval(ahead, ahead) for ahead in own.ahead) for n, own in found.items()}
        return {
            n: Tried(n, 99, own.miss, bool(own.miss == 0), own.ahead, (0.0,) * len(own.ahead), exact[n])
            for n, own in found.items()
        }


def unit(by_points: bool, scaled: float) -> float:
    """Return what a value on the scale of a need is in the unit of its metric."""
    return float(min(100.0, max(0.0, scaled)) if by_points else math.exp(-scaled))


def row(need: Need, sample: Sample, rounds: range) -> list[float]:
    """Return what a configuration came to by round; of one whose trial does not count, the mean of the others."""
    own = {number: value for (number, _), value in sample.by_round(need.worth).items()}
    return [own.get(number, fmean(own.values())) for number in rounds]


def fitted(run: Path, aim: Aim) -> Surface:
    """Fit a surface to a run."""
    found = results.load(store.Run(run))
    samples = {
        cell.config: [found.samples[cell, need.metric] for need in aim.needs] for cell in found.cells if cell.config
    }
    rounds = range(1, max(max(own.rounds) for of in samples.values() for own in of) + 1)
    scaled = {
        config: np.array([row(need, own, rounds) for need, own in zip(aim.needs, of, strict=True)])
        for config, of in samples.items()
    }
    block = np.mean(list(scaled.values()), axis=0)  # every configuration is in every block
    block[[need.by_points for need in aim.needs]] = 0.0  # who loses nothing does so in every block
    means = {config: own.mean(axis=1) for config, own in scaled.items()}
    rest = {config: (own - block) - (own - block).mean(axis=1, keepdims=True) for config, own in scaled.items()}
    scatter = math.sqrt(block.shape[1] / (block.shape[1] - 1))
    rings = sorted({config.ringbuf_bytes or 0 for config in means})
    polls = sorted({config.poll_ms or 0 for config in means})

    def mean_of(**values: object) -> Array:
        kept = [own for config, own in means.items() if all(getattr(config, key) == it for key, it in values.items())]
        return np.asarray(np.mean(kept, axis=0))

    by_ring = {form: np.array([mean_of(format=form, ringbuf_bytes=ring) for ring in rings]) for form in Format}
    by_poll = np.array([mean_of(poll_ms=poll) - mean_of() for poll in polls])

    def between(x: float, known: list[int], values: Array) -> Array:
        at = [math.log2(own) for own in known]
        return np.array([np.interp(math.log2(x), at, column) for column in values.T])

    true, residuals, points = {}, {}, {}
    for place in itertools.product(range(len(Format)), range(len(RINGS)), range(len(POLLS))):
        form, ring, poll = list(Format)[place[0]], RINGS[place[1]], POLLS[place[2]]
        usual = (form, ring, poll) == (Format.TEXT, 2**18, 100)
        name = DEFAULT if usual else f"{form}-{ring}-{poll}"
        near_ring = min(rings, key=lambda own: abs(math.log2(own / ring)))
        near = [rest[c] for c in means if c.format is form and c.ringbuf_bytes == near_ring]
        points[name] = place
        true[name] = between(ring, rings, by_ring[form]) + between(poll, polls, by_poll) * [
            not need.by_points for need in aim.needs
        ]
        residuals[name] = np.concatenate(near, axis=1) * scatter
    dials = (
        Dial("format", 2, ordered=False),
        Dial("ring", len(RINGS), ordered=True),
        Dial("poll", len(POLLS), ordered=True),
    )
    return Surface(aim, Space(dials, points), true, residuals)


class Simulated:
    """A run of simulated blocks."""

    def __init__(self, surface: Surface, rng: np.random.Generator) -> None:
        self._surface, self._rng = surface, rng
        self.readings: dict[str, dict[str, dict[BlockId, float]]] = {}
        self.blocks = 0

    def block(self, names: tuple[str, ...]) -> None:
        """Run a block; what it is worth cancels."""
        self.blocks += 1
        for name in names:
            own = self.readings.setdefault(name, defaultdict(dict))
            for need, value in zip(self._surface.aim.needs, self._surface.draw(self._rng, name), strict=True):
                own[need.key][self.blocks, 0] = unit(need.by_points, value)


ASKED_MOST = 40
"""Proposals that are known already are asked for again so often."""


def by_optuna(space: Space, tried: Mapping[str, Tried], new: Collection[str], places: int, seed: int) -> list[str]:
    """Propose what Optuna's tree-structured Parzen estimator takes for the most promising.

    Its study is made anew for each block from what is known by then: a configuration that is tried again has other
    means than it was told with before, and Optuna forgets nothing.
    """
    spread = {
        dial.name: optuna.distributions.IntDistribution(0, dial.size - 1)
        if dial.ordered
        else optuna.distributions.CategoricalDistribution(range(dial.size))
        for dial in space.dials
    }
    aims = len(tried[DEFAULT].ahead) if DEFAULT in tried else 1
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    study = optuna.create_study(directions=["minimize"] * aims, sampler=sampler)
    for own in tried.values():
        params = dict(zip(spread, space.points[own.name], strict=True))
        values, limits = [-ahead for ahead in own.ahead], {"limits": own.miss}
        told = optuna.trial.create_trial(params=params, distributions=spread, values=values, constraints=limits)
        study.add_trial(told)
    by_point = {point: name for name, point in space.points.items()}
    found: list[str] = []
    for _ in range(ASKED_MOST):
        asked = study.ask(spread)
        name = by_point.get(tuple(asked.params[dial.name] for dial in space.dials))
        if name is not None and name in new and name not in found:
            found.append(name)
        else:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
        if len(found) == min(places, len(new)):
            return found
    left = [name for name in new if name not in found]
    return found + search.at_random(space, tried, left, places - len(found), seed)


def racing(propose: Propose) -> Callable[[Surface, Mapping[str, Tried], int], tuple[str, ...]]:
    """Return the search as it is."""
    return lambda surface, tried, seed: search.next_block(surface.space, tried, frozenset(), seed, propose)


def factorial(surface: Surface, tried: Mapping[str, Tried], seed: int) -> tuple[str, ...]:
    """Try everything once, in random order, before anything is tried again."""
    rng = np.random.default_rng(seed)
    order = sorted((n for n in surface.space.points if n != DEFAULT), key=lambda _: rng.random())
    rounds = lambda name: tried[name].rounds if name in tried else 0  # noqa: E731
    return tuple(sorted(order, key=rounds)[: search.PLACES])


METHODS = {
    "Optuna's TPE, racing": racing(by_optuna),
    "random, racing": racing(search.at_random),
    "full factorial": factorial,
}


def regrets(surface: Surface, method: str, seed: int) -> list[float]:
    """Return the regret of what would be chosen after so many blocks."""
    known = surface.known()
    best = known[chosen(known, surface.space)]
    margins = [need.scaled(surface.aim.criteria) for need in surface.aim.minimise]

    def beyond(own: Tried) -> float:
        lacks = zip(best.ahead, own.ahead, margins, strict=True)
        return sum(100 * math.expm1(max(0.0, (its - ahead) * margin)) for its, ahead, margin in lacks)

    worst = max(beyond(own) for own in known.values() if own.miss == 0)
    run, found = Simulated(surface, np.random.default_rng(seed)), []
    tried: dict[str, Tried] = {}
    for number in range(1, max(LOOKS) + 1):
        names = METHODS[method](surface, tried, 1000 * seed + number)
        run.block((DEFAULT, *names))
        tried = weigh(run.readings, surface.aim)
        if number in LOOKS:
            own = known[chosen(tried, surface.space)]
            found.append(worst if own.miss > 0 else beyond(own))
    return found


def chosen(tried: Mapping[str, Tried], space: Space) -> str:
    """Return what a search would take."""
    last = search.last_round(tried, space)
    return last.best if last else DEFAULT


def gain(surface: Surface, method: str, seed: int) -> tuple[Gain, str]:
    """Return what a whole search comes to, validation and all, and which configuration it names."""
    rng = np.random.default_rng(seed)
    run, tried = Simulated(surface, rng), dict[str, Tried]()
    for number in range(1, SEARCH_TRIALS // (search.PLACES + 3) + 1):
        run.block((DEFAULT, *METHODS[method](surface, tried, 1000 * seed + number)))
        tried = weigh(run.readings, surface.aim)
    last = search.last_round(tried, surface.space)
    if last is None:
        return Gain.NONE, DEFAULT
    fresh, members, left = Simulated(surface, rng), last.names, VALIDATION_TRIALS
    fresh.blocks = run.blocks
    while left >= len(members) + 2:
        fresh.block(members)
        left -= len(members) + 2
        found = validate(fresh.readings, last, surface.aim, before=run.readings)
        if found.is_decided:
            break
        members = found.members
    return found.gain, found.chosen


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--searches", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    (work,) = {cell.workload for cell in results.load(store.Run(given.run)).cells}
    costs = tuple(need_of(quality, work) for quality in (Quality.MEMORY, Quality.OVERHEAD))
    surface = fitted(given.run, Aim(costs, (fidelity(99.9),), Criteria()))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seeds = range(given.seed, given.seed + given.searches)
    print(f"{len(surface.space.points)} configurations; best: {chosen(surface.known(), surface.space)}\n")
    print(f"| regret after so many blocks | {' | '.join(map(str, LOOKS))} |\n| --- |{' ---: |' * len(LOOKS)}")
    for method in METHODS:
        table = np.array([regrets(surface, method, seed) for seed in seeds])
        error = table.std(axis=0, ddof=1) / math.sqrt(len(table))
        cells = [f"{mean:.0f} ± {2 * sd:.0f}" for mean, sd in zip(table.mean(axis=0), error, strict=True)]
        print(f"| {method} | {' | '.join(cells)} |", flush=True)
    for title, own in (("A/A", surface.alike), ("the surface", surface)):
        for method in METHODS:
            ends = [gain(own, method, seed) for seed in seeds]
            shares = {kind: fmean(end is kind for end, _ in ends) for kind in Gain}
            said = ", ".join(f"{kind} {100 * share:.1f} %" for kind, share in shares.items())
            print(f"{title}, {method}: {said}", flush=True)


if __name__ == "__main__":
    main()
