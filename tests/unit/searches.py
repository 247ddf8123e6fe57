# SPDX-License-Identifier: Apache-2.0
"""Searches of a machine whose truth is known: what is saved and taken follows from a ring's size, and nothing else."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from bpfbench.analysis.gaps import BlockId
from bpfbench.analysis.questions import needs
from bpfbench.analysis.questions.tuning.aim import DEFAULT, Aim, Tried, fidelity, weigh
from bpfbench.analysis.questions.tuning.search import Dial, Space, at_random, last_round, next_block
from bpfbench.analysis.questions.tuning.validation import Validation, validate
from bpfbench.model import Criteria

AIM = Aim((needs.OVERHEAD, needs.MEMORY), (fidelity(99.0),), Criteria())
RINGS, POLLS = 6, 4
SPACE = Space(
    (Dial("ring", RINGS, ordered=True), Dial("poll", POLLS, ordered=True)),
    {
        DEFAULT if point == (1, 2) else f"ring{point[0]}-poll{point[1]}": point
        for point in itertools.product(range(RINGS), range(POLLS))
    },
)

Truth = Callable[[tuple[int, ...]], tuple[float, float, float]]
"""Of a point: what is saved in per cent, runtime, and memory."""


def useful(point: tuple[int, ...]) -> tuple[float, float, float]:
    """A ring of the fourth size saves all, and larger ones take memory."""
    return min(100.0, 40.0 + 20.0 * point[0]), 10.0, 2e6 * 2 ** point[0]


def useless(_: tuple[int, ...]) -> tuple[float, float, float]:
    """Nothing does anything."""
    return 99.5, 10.0, 2e6


class Machine:
    """Runs blocks."""

    def __init__(self, truth: Truth, seed: int) -> None:
        self._truth, self._random = truth, np.random.default_rng(seed)
        self.readings: dict[str, dict[str, dict[BlockId, float]]] = defaultdict(lambda: defaultdict(dict))
        self.blocks = 0

    def block(self, names: Sequence[str]) -> None:
        self.blocks += 1
        drift = math.exp(self._random.normal(0, 0.3))
        for name in names:
            saved, runtime_s, memory = self._truth(SPACE.points[name])
            own, noise = self.readings[name], np.exp(self._random.normal(0, [0.1, 0.02]))
            own["fidelity"][self.blocks, ""] = min(100.0, saved + (self._random.normal(0, 0.2) if saved < 100 else 0))
            own["overhead"][self.blocks, ""] = runtime_s * drift * noise[0]
            own["memory"][self.blocks, ""] = memory * noise[1]


def searched(truth: Truth, seed: int, blocks: int) -> dict[str, Tried]:
    """What a search of so many blocks knows."""
    machine, tried = Machine(truth, seed), dict[str, Tried]()
    for number in range(blocks):
        machine.block((DEFAULT, *next_block(SPACE, tried, frozenset(), 100 * seed + number, at_random)))
        tried = weigh(machine.readings, AIM)
    return tried


def validated(truth: Truth, seed: int, blocks: int = 10) -> Validation | None:
    """What a whole search comes to; None: nothing was worth validating."""
    last = last_round(searched(truth, seed, blocks), SPACE)
    if last is None:
        return None
    fresh = Machine(truth, 10_000 + seed)
    for _ in range(8):
        fresh.block(last.names)
        found = validate(fresh.readings, last, AIM)
        if found.is_decided:
            break
    return found
