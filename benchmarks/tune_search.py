#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares ways to search for a configuration, and counts gains that are none. Prints the tables of docs/tune.md.

    python benchmarks/tune_search.py RUN [--searches 400] [--seed 1]

RUN is one of `tune`, of one setup: each configuration that it tried is beside the default. A surface of all that may be
tried is fitted to it, whatever knobs it turned; it is known best where RUN tried most. On the scale of each need it is
a sum: what the default comes to, and what each knob's value adds to that; neighbours among the values of an ordered
knob are drawn to each other, others to the default. What is saved is a sum that is cut off at 100 %: a trial that saved
all says that it is no less. Searches then draw from that surface: a trial's value is the surface's and the residual of
a trial, drawn of those that the surface says to save about as much, so that what was lost together stays together. What
is wanted is what RUN was asked for.

regret: by how many per cent the costs of what is chosen exceed those of what would be chosen if the surface were known,
        all together; of what in truth misses a limit, that of what misses none and costs the most.
A/A:    the surface is the default's everywhere. Whatever is called a gain then is an error.
step:   the same on a machine that changes once, for the better, at the first fresh block or at a random one: before it,
        everything takes 1.5 times as much, and loses 5 points more. Noise of two vanilla trials is given as in a run.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from bpfbench import store
from bpfbench.analysis import inference
from bpfbench.analysis.gaps import BlockId
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.tuning import search
from bpfbench.analysis.questions.tuning.aim import DEFAULT, Aim, Readings, Tried, weigh
from bpfbench.analysis.questions.tuning.estimator import most_promising
from bpfbench.analysis.questions.tuning.search import Dial, Propose, Space
from bpfbench.analysis.questions.tuning.tuned import TunedSetup
from bpfbench.analysis.questions.tuning.validation import Gain, validate
from bpfbench.model.tuning import PLACES
from bpfbench.model.tuning import SEARCH_TRIALS as BLOCK_TRIALS
from bpfbench.run import tune

Array = NDArray[np.float64]
LOOKS = (3, 6, 9, 12, 18, 24)
SEARCH_TRIALS = VALIDATION_TRIALS = 160
"""Trials of 2.7 s, in 15 min."""
SMOOTH, DRAWN = 2.0, 0.03
"""How strongly a value is drawn to its neighbours, and one without such to the default: as by so many trials."""
POOL = 24
"""Trials whose residuals are drawn from."""
STEP_POINTS, STEP_TIMES = 5.0, 1.5
"""By how much less is saved before a machine changes, and by how much more is taken."""
ITERATIONS = 100
"""Until what is cut off does not change any more."""


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

    @cached_property
    def known(self) -> dict[str, Tried]:
        """What a search would know that knew it all."""
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

    @cached_property
    def best(self) -> Tried:
        """What it would choose, by the rule of `search.last_round`, which is not made for as many as there are."""
        least = min(own.miss for own in self.known.values())
        left = [own for own in self.known.values() if own.miss <= search.LITTLE_MORE * least]
        for at in range(len(self.aim.minimise)):
            most = max(own.ahead[at] for own in left)
            left = [own for own in left if most - own.ahead[at] <= 1]
        return min(left, key=lambda own: (self.space.changed(own.name), [-ahead for ahead in own.ahead]))

    @cached_property
    def worst(self) -> float:
        """By how much what keeps to the limits and costs the most is beyond that."""
        return max((self.beyond(own) for own in self.known.values() if own.miss == 0), default=0.0)

    def beyond(self, own: Tried) -> float:
        """Say by how many per cent costs exceed those of the best, all together."""
        margins = [need.scaled(self.aim.criteria) for need in self.aim.minimise]
        lacks = zip(self.best.ahead, own.ahead, margins, strict=True)
        return sum(100 * math.expm1(max(0.0, (its - ahead) * margin)) for its, ahead, margin in lacks)

    def regret(self, name: str) -> float:
        """Return that of what was chosen."""
        own = self.known[name]
        return self.worst if own.miss > self.best.miss else self.beyond(own)


def unit(by_points: bool, scaled: float) -> float:
    """Return what a value on the scale of a need is in the unit of its metric."""
    return float(min(100.0, max(0.0, scaled)) if by_points else math.exp(-scaled))


@dataclass(frozen=True)
class Measured:
    """The trials of a run that have all that is wanted."""

    names: tuple[str, ...]
    """Of each the configuration."""
    blocks: tuple[BlockId, ...]
    values: Array
    """A row per need, on its scale."""

    @classmethod
    def of(cls, own: TunedSetup) -> Measured:
        """Take them from what a run knows of a setup."""
        needs = own.aim.needs
        found = own.readings(own.records, needs)
        common = {name: set.intersection(*(set(of.get(need.key, ())) for need in needs)) for name, of in found.items()}
        trials = [(name, block) for name in own.configs for block in sorted(common.get(name, ()))]
        rows = [[need.worth(found[name][need.key][block]) for need in needs] for name, block in trials]
        whole = [at for at, row in enumerate(rows) if None not in row]
        names, blocks = zip(*(trials[at] for at in whole), strict=True)
        return cls(names, blocks, np.array([rows[at] for at in whole], dtype=np.float64).T)


def columns(dials: Sequence[Dial], usual: Sequence[int]) -> list[tuple[int, int]]:
    """Return what has an effect: the place of each knob, and of each value that is not the default."""
    return [(at, value) for at, dial in enumerate(dials) for value in range(dial.size) if value != usual[at]]


def design(points: Sequence[Sequence[int]], effects: Sequence[tuple[int, int]]) -> Array:
    """Return a row per configuration, and a column per effect: 1 where the knob has that value."""
    return np.array([[float(point[at] == value) for at, value in effects] for point in points])


def drawn(dials: Sequence[Dial], usual: Sequence[int], effects: Sequence[tuple[int, int]]) -> Array:
    """Return rows by which effects are drawn: of an ordered knob to the next value's, else to none."""
    place = {effect: column for column, effect in enumerate(effects)}
    rows = []
    for at, dial in enumerate(dials):
        values = range(dial.size)
        pairs = pairwise(values) if dial.ordered else ((value, usual[at]) for value in values)
        for one, other in pairs:
            row = np.zeros(len(effects))
            for value, sign in ((one, 1.0), (other, -1.0)):
                if (at, value) in place:
                    row[place[at, value]] += sign
            rows.append(math.sqrt(SMOOTH if dial.ordered else DRAWN) * row)
    return np.array(rows)


def fit(own: Array, pull: Array, levels: Array, y: Array, most: float | None) -> tuple[Array, Array, Array]:
    """Fit a need: return levels, effects, and residuals, these as wide as if they had not been fitted to.

    Args:
        own: the design.
        pull: by what effects are drawn.
        levels: a column per level: of each block its own, or the same of all.
        y: what was measured.
        most: what cannot be exceeded; None: there is nothing such.
    """
    padded = np.concatenate((np.zeros((len(pull), levels.shape[1])), pull), axis=1)
    whole = np.concatenate((np.concatenate((levels, own), axis=1), padded))
    wanted = y.copy()
    for _ in range(1 if most is None else ITERATIONS):
        found, *_ = np.linalg.lstsq(whole, np.concatenate((wanted, np.zeros(len(pull)))), rcond=None)
        fitted = (whole @ found)[: len(y)]
        wanted = y if most is None else np.where(y >= most, np.maximum(most, fitted), y)
    rest = y - (fitted if most is None else np.minimum(most, fitted))
    taken = np.linalg.matrix_rank(np.concatenate((levels, own), axis=1))
    rest = rest * math.sqrt(len(y) / max(1, len(y) - taken))
    return np.asarray(found[: levels.shape[1]]), np.asarray(found[levels.shape[1] :]), rest


def fitted(own: TunedSetup) -> Surface:
    """Fit a surface to what a run knows of a setup."""
    measured, space, needs = Measured.of(own), own.space, own.aim.needs
    usual = space.points[DEFAULT]
    effects = columns(space.dials, usual)
    rows, pull = design([space.points[name] for name in measured.names], effects), drawn(space.dials, usual, effects)
    numbers = {block: at for at, block in enumerate(dict.fromkeys(measured.blocks))}
    by_block = np.eye(len(numbers))[[numbers[block] for block in measured.blocks]]
    alone = np.ones((len(measured.names), 1))  # who loses nothing does so in every block
    fits = [
        fit(rows, pull, alone if need.by_points else by_block, y, 100.0 if need.by_points else None)
        for need, y in zip(needs, measured.values, strict=True)
    ]
    everything = design(list(space.points.values()), effects)
    values = np.array([levels.mean() + everything @ added for levels, added, _ in fits])
    rest = np.array([residuals for _, _, residuals in fits])
    saved = np.array([levels.mean() + rows @ added for levels, added, _ in fits])[0]  # the first limit is what is saved
    order = np.argsort(saved, kind="stable")
    pools = [rest[:, order[at : at + POOL]] for at in range(0, max(1, len(order) - POOL // 2), POOL)]
    middles = np.array([np.median(saved[order[at : at + POOL]]) for at in range(0, len(pools) * POOL, POOL)])
    nearest = np.abs(values[0][:, None] - middles[None, :]).argmin(axis=1)
    return Surface(
        own.aim,
        space,
        dict(zip(space.points, values.T, strict=True)),
        {name: pools[at] for name, at in zip(space.points, nearest, strict=True)},
    )


class Simulated:
    """A run of simulated blocks.

    Args:
        surface: drawn from.
        rng: by which.
        changes_at: the first block after the machine has changed; 0: it is the same all the time.
    """

    def __init__(self, surface: Surface, rng: np.random.Generator, changes_at: int = 0) -> None:
        self._surface, self._rng, self._changes_at = surface, rng, changes_at
        self._twins: defaultdict[str, list[list[float]]] = defaultdict(list)
        self.readings: dict[str, dict[str, dict[BlockId, float]]] = {}
        self.blocks = 0

    def block(self, names: tuple[str, ...]) -> None:
        """Run a block; but for a step in the machine, what it is worth cancels."""
        self.blocks += 1
        needs, before = self._surface.aim.needs, self.blocks < self._changes_at
        for name in names:
            own = self.readings.setdefault(name, defaultdict(dict))
            for need, value in zip(needs, self._surface.draw(self._rng, name), strict=True):
                lacking = (STEP_POINTS if need.by_points else math.log(STEP_TIMES)) if before else 0.0
                # what is saved is cut off first: a machine that loses more does so to those with room to spare, too
                value = min(100.0, value) if need.by_points else value
                own[need.key][self.blocks, 0] = unit(need.by_points, value - lacking)
        twins = np.array([self._surface.draw(self._rng, DEFAULT) for _ in range(2)]).T
        for need, pair in zip(needs, twins, strict=True):
            if need.metric.versus_vanilla:
                self._twins[need.key].append(pair.tolist())

    @property
    def noise(self) -> dict[str, float]:
        """The SD of the difference of two vanilla trials of a block, taken to scatter as the default does."""
        known = {key: inference.noise(pairs) for key, pairs in self._twins.items()}
        return {key: own.sd for key, own in known.items() if own is not None}


Method = Callable[[Surface, Mapping[str, Tried], int], tuple[str, ...]]


def racing(propose: Propose) -> Method:
    """Return the search as it is."""
    return lambda surface, tried, seed: search.next_block(surface.space, tried, frozenset(), seed, propose)


def factorial(surface: Surface, tried: Mapping[str, Tried], seed: int) -> tuple[str, ...]:
    """Try everything once, in random order, before anything is tried again."""
    new = [name for name in surface.space.points if name not in tried]
    first = search.at_random(surface.space, tried, new, PLACES, seed)
    again = sorted((own for own in tried.values() if own.name != DEFAULT), key=lambda own: own.rounds)
    return (*first, *(own.name for own in again[: PLACES - len(first)]))


METHODS = {
    "at random, the best repeated": racing(search.at_random),
    "Optuna's TPE, the best repeated": racing(most_promising),
    "full factorial, in random order": factorial,
}


def searched(surface: Surface, run: Simulated, method: str, seed: int) -> Iterator[dict[str, Tried]]:
    """Search, and yield after each block what is known by then."""
    tried: dict[str, Tried] = {}
    while True:
        run.block((DEFAULT, *METHODS[method](surface, tried, 1000 * seed + run.blocks + 1)))
        tried = weigh(run.readings, surface.aim)
        yield tried


def regrets(surface: Surface, method: str, seed: int) -> list[float]:
    """Return the regret of what would be chosen after so many blocks."""
    run = Simulated(surface, np.random.default_rng(seed))
    found = zip(range(1, max(LOOKS) + 1), searched(surface, run, method, seed), strict=False)
    return [surface.regret(chosen(tried, surface.space)) for number, tried in found if number in LOOKS]


def chosen(tried: Mapping[str, Tried], space: Space) -> str:
    """Return what a search would take."""
    last = search.last_round(tried, space)
    return last.best if last else DEFAULT


SEARCH_BLOCKS = SEARCH_TRIALS // BLOCK_TRIALS
STEPS: Mapping[str, Callable[[int], int]] = {
    "": lambda _: 0,
    ", a step before validation": lambda _: SEARCH_BLOCKS + 1,
    ", a step at any time": lambda seed: 2 + seed % (2 * SEARCH_BLOCKS),
}
"""By what is said of it: the block at which the machine changes in a search, by its seed."""


def gain(surface: Surface, method: str, seed: int, changes_at: int = 0) -> Gain:
    """Return what a whole search comes to, validation and all."""
    rng = np.random.default_rng(seed)
    run = Simulated(surface, rng, changes_at)
    blocks = zip(range(SEARCH_BLOCKS), searched(surface, run, method, seed), strict=False)
    *_, (_, tried) = blocks
    last = search.last_round(tried, surface.space)
    if last is None:
        return Gain.NONE
    fresh, members, left = Simulated(surface, rng, changes_at), last.names, VALIDATION_TRIALS
    fresh.blocks = run.blocks
    while left >= len(members) + 2:
        fresh.block(members)
        left -= len(members) + 2
        found = validate(fresh.readings, last, surface.aim, noise=fresh.noise)
        if found.is_decided:
            break
        members = found.members
    return found.gain


def told(surface: Surface, need: Need, at: int) -> str:
    """Say what a need comes to, by default and at best."""
    usual, best = (unit(need.by_points, surface.true[name][at]) for name in (DEFAULT, surface.best.name))
    return f"{need.key} {usual:.4g} by default, {best:.4g} at best"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--searches", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    (own,) = tune.read(store.Run(given.run))
    surface = fitted(own)
    seeds = range(given.seed, given.seed + given.searches)
    dials = ", ".join(f"{dial.name} {dial.size}" for dial in surface.space.dials)
    print(f"{own.setup}: {len(surface.space.points)} configurations of {dials}; best: {surface.best.name}")
    print("; ".join(told(surface, need, at) for at, need in enumerate(surface.aim.needs)), end="\n\n")
    print(f"| regret after so many blocks | {' | '.join(map(str, LOOKS))} |\n| --- |{' ---: |' * len(LOOKS)}")
    for method in METHODS:
        table = np.array([regrets(surface, method, seed) for seed in seeds])
        error = table.std(axis=0, ddof=1) / math.sqrt(len(table))
        cells = [f"{mean:.0f} ± {2 * sd:.0f}" for mean, sd in zip(table.mean(axis=0), error, strict=True)]
        print(f"| {method} | {' | '.join(cells)} |", flush=True)
    for (title, each), (step, at), method in product(
        (("A/A", surface.alike), ("the surface", surface)), STEPS.items(), METHODS
    ):
        ends = [gain(each, method, seed, at(seed)) for seed in seeds]
        shares = {kind: fmean(end is kind for end in ends) for kind in Gain}
        said = ", ".join(f"{kind} {100 * share:.1f} %" for kind, share in shares.items())
        print(f"{title}{step}, {method}: {said}", flush=True)


if __name__ == "__main__":
    main()
