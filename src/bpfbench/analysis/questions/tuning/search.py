# SPDX-License-Identifier: Apache-2.0
"""The search: which configurations are worth a trial next, and which of them come into the last round.

Configurations race. A block has the default and a few others: some that were never tried, some that look best so far
and were tried least. Who is new is proposed by Optuna (estimator.py, which alone needs it). Who is known to miss a
limit, or to be beaten in everything, is never tried again; who only looks bad is not, either, as long as others look
better. What looks best here was chosen for it, so nothing of it is a claim.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, combinations, islice

import numpy as np

from bpfbench.analysis.questions.tuning.aim import DEFAULT, Tried
from bpfbench.model.tuning import NEAREST, PLACES

NEW = 2
"""Of the places of a block, those for who was never tried, as long as there are some."""
FINAL_LEAST = 3
"""Who was tried less often is not chosen where others were not."""
LITTLE_MORE = 1.5
ERRORS = 1.5
"""Standard errors up to which a difference is taken for noise: nothing is claimed by it, so that it is no test."""
Knobs = tuple[str, ...]
"""One that is set back, and those that have to be set back with it."""


class Place(StrEnum):
    """Where one that was tried stands among those that come into question for the last round."""

    FRONT = "front"
    """It kept to the limits, and nobody who did beats it."""
    BEHIND = "behind-the-front"
    """It kept to the limits, and is beaten."""
    MISSED = "missed-limits"
    """It missed one in some block."""
    LEFT_OUT = "left-out"
    """It does not come into question: it is ruled out, or was tried less often than others."""


@dataclass(frozen=True, slots=True)
class Dial:
    """A knob, as the search sees it."""

    name: str
    size: int
    """How many values it has."""
    ordered: bool


@dataclass(frozen=True)
class Space:
    """What can be tried. Values of a knob are called by their position, so a list of powers of two is a log scale."""

    dials: tuple[Dial, ...]
    points: Mapping[str, tuple[int, ...]]
    """Every configuration that may be tried, the default among them, by name."""

    def changed(self, name: str) -> int:
        """Return how many knobs differ from the default's."""
        return sum(own != usual for own, usual in zip(self.points[name], self.points[DEFAULT], strict=True))

    def set_back(self, name: str, failed: Collection[str] = ()) -> dict[Knobs, str]:
        """Return what a configuration is with each knob that differs set back to its default.

        Where that may not be, or is known to fail, as few others as need be are set back with it.
        """
        by_point = {point: own for own, point in self.points.items() if own not in failed}
        point, usual = self.points[name], self.points[DEFAULT]
        changed = [at for at in range(len(point)) if point[at] != usual[at]]

        def backs(at: int) -> Iterator[tuple[Knobs, str]]:
            others = [other for other in changed if other != at]
            for size in range(len(changed)):
                for more in combinations(others, size):
                    back = tuple(usual[i] if i == at or i in more else own for i, own in enumerate(point))
                    if back in by_point:
                        yield tuple(self.dials[i].name for i in (at, *more)), by_point[back]

        found = {knobs[0]: (knobs, back) for at in changed for knobs, back in islice(backs(at), 1)}
        by_name = {back: knobs for knobs, back in reversed(found.values())}  # one row of those that go together
        return {knobs: back for knobs, back in found.values() if by_name[back] == knobs}


@dataclass(frozen=True, slots=True)
class LastRound:
    """What is validated."""

    best: str
    nearest: tuple[str, ...]
    backs: Mapping[Knobs, str]
    """By knob: the best with that set back to its default, and others where it cannot be set back alone."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, the default first, each once."""
        return tuple(dict.fromkeys((DEFAULT, self.best, *self.nearest, *self.backs.values())))


def out(tried: Mapping[str, Tried]) -> frozenset[str]:
    """Return those that are known not to be the best: a limit is missed for sure, or another beats them for sure."""
    missing = {name for name, own in tried.items() if own.keeps is False}
    if len(missing) == len(tried):
        missing = set()  # then who misses the least is looked for
    keeping = [own for own in tried.values() if own.keeps is not False]
    beaten = {name for name, own in tried.items() if any(other.surely_beats(own) for other in keeping)}
    return frozenset(missing | beaten)


def fronts(tried: Mapping[str, Tried]) -> list[list[str]]:
    """Return those that kept to the limits by their means: first who is beaten by nobody, then the rest alike."""
    keeping = [own for own in tried.values() if own.miss == 0]
    found: list[list[str]] = []
    while keeping:
        front = [own for own in keeping if not any(other.beats(own) for other in keeping)]
        found.append([own.name for own in sorted(front, key=lambda own: own.ahead, reverse=True)])
        keeping = [own for own in keeping if own not in front]
    return found


def _missing(tried: Mapping[str, Tried]) -> list[str]:
    """Return the others, who missed the least first."""
    return [own.name for own in sorted(tried.values(), key=lambda own: own.miss) if own.miss > 0]


def ranked(tried: Mapping[str, Tried]) -> list[str]:
    """Put them in order by their means: who keeps to the limits first, front behind front, then by what is missed."""
    return [*chain.from_iterable(fronts(tried)), *_missing(tried)]


def repeated(tried: Mapping[str, Tried], places: int) -> tuple[str, ...]:
    """Return who is tried again: of those that look best, who was tried least."""
    ruled_out = out(tried)
    left = [name for name in ranked(tried) if name not in ruled_out and name != DEFAULT][: 2 * places]
    return tuple(sorted(left, key=lambda name: tried[name].rounds)[:places])


Propose = Callable[["Space", Mapping[str, Tried], Collection[str], int, int], list[str]]
"""Returns so many of these new configurations of a space, by what was tried, and a seed."""


def at_random(_: Space, __: Mapping[str, Tried], new: Collection[str], places: int, seed: int) -> list[str]:
    """Propose each with the same probability: where Optuna thinks of too few, and what it is compared with."""
    left = list(new)
    return [left[at] for at in np.random.default_rng(seed).permutation(len(left))[:places]]


def next_block(
    space: Space, tried: Mapping[str, Tried], failed: Collection[str], seed: int, propose: Propose
) -> tuple[str, ...]:
    """Return who comes into the next block beside the default; nobody: there is nothing left to find out.

    Args:
        space: what may be tried.
        tried: what is known so far.
        failed: those of which a trial failed.
        seed: of this block.
        propose: who thinks of new ones.
    """
    again = repeated(tried, PLACES - NEW)
    new = [name for name in space.points if name != DEFAULT and name not in tried and name not in failed]
    fresh = propose(space, tried, new, PLACES - len(again), seed)
    if len(fresh) < PLACES - len(again):
        again = repeated(tried, PLACES - len(fresh))
    return (*fresh, *again)


def last_round(tried: Mapping[str, Tried], space: Space, failed: Collection[str] = ()) -> LastRound | None:
    """Return what is to be validated; None where nothing looks better than the default by more than the margin.

    Of those that kept to the limits, who is within a margin of the best in what is wanted most, or cannot be told to be
    beyond it, goes on to what is wanted next; of who is left, the one with the fewest changes is chosen. Where nobody
    kept to them, who missed them by little more than the best did is looked at. Who is known to fail is nobody's
    set-back.
    """
    sound = contenders(tried)
    least = min(own.miss for own in sound.values())
    left = [own for own in sound.values() if own.miss <= LITTLE_MORE * least]
    for at in range(len(left[0].ahead)):
        best = max(left, key=lambda own: own.ahead[at])
        left = [own for own in left if best.ahead[at] - own.ahead[at] <= 1 + _noise(best, own, at)]
    chosen = min(left, key=lambda own: (space.changed(own.name), [-ahead for ahead in own.ahead])).name
    if chosen == DEFAULT:
        return None
    return LastRound(chosen, _nearest(sound, chosen), space.set_back(chosen, failed))


def contenders(tried: Mapping[str, Tried]) -> dict[str, Tried]:
    """Return the default, and who else comes into question: who is not ruled out, and was tried as often as others."""
    ruled_out = out(tried) - {DEFAULT}
    known = {name: own for name, own in tried.items() if name not in ruled_out}
    most = max((own.rounds for name, own in known.items() if name != DEFAULT), default=0)
    return {n: own for n, own in known.items() if n == DEFAULT or own.rounds >= min(FINAL_LEAST, most)}


def places(tried: Mapping[str, Tried]) -> dict[str, Place]:
    """Say of each that was tried where it stands."""
    sound = contenders(tried)
    found = dict.fromkeys(tried, Place.LEFT_OUT)
    for at, front in enumerate(fronts(sound)):
        found |= dict.fromkeys(front, Place.BEHIND if at else Place.FRONT)
    return found | dict.fromkeys(_missing(sound), Place.MISSED)


def _nearest(sound: Mapping[str, Tried], chosen: str) -> tuple[str, ...]:
    """Return those nearest to the chosen on the front; where it has too few, on the next; last, who misses least."""
    found: list[str] = []
    for part in (*fronts(sound), *([name] for name in _missing(sound))):
        others = (name for name in part if name not in (DEFAULT, chosen))
        near = sorted(others, key=lambda name: _distance(sound[name], sound[chosen]))
        found += near[: NEAREST - len(found)]
    return tuple(found)


def _noise(one: Tried, other: Tried, at: int) -> float:
    """Return what may be noise in a difference between two, in margins."""
    return ERRORS * math.hypot(one.error[at], other.error[at])


def _distance(one: Tried, other: Tried) -> float:
    pairs = zip((one.miss, *one.ahead), (other.miss, *other.ahead), strict=True)
    return sum(abs(own - its) for own, its in pairs)
