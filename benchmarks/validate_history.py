#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates the rule of steps on simulated series of runs with known truths. Prints the tables of docs/validation.md.

    python benchmarks/validate_history.py [--histories 2000] [--seed 1]

A simulated run is one value: a level, and noise of its own with an SD of 1.

false: nothing changed, and a step is told, in a series by itself, and in any of a history of 12.
found: one step after the first runs, in one of 12 series, is told.
right: of those found, at the very run.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from bpfbench.analysis.changepoints import cut
from bpfbench.analysis.questions.history import steps

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Array]

SERIES = 12
LENGTHS = (6, 10, 20, 60)
STEPS = (2.0, 3.0, 5.0)
SIDES = ((6, 3), (6, 6), (12, 3), (12, 6), (20, 10))


def normal(rng: np.random.Generator, runs: int) -> Array:
    """Noise as it is in books."""
    return np.asarray(rng.normal(0, 1, runs))


def heavy(rng: np.random.Generator, runs: int) -> Array:
    """Student's t with 3 degrees of freedom, of SD 1: some runs are far off."""
    return np.asarray(rng.standard_t(3, runs) / math.sqrt(3))


def louder(rng: np.random.Generator, runs: int) -> Array:
    """Noise that becomes three times as large for the last fifth of the runs, at one mean."""
    return np.asarray(rng.normal(0, 1, runs) * np.where(np.arange(runs) < 0.8 * runs, 1, 3))


def drifting(rng: np.random.Generator, runs: int) -> Array:
    """Noise of which half is inherited from the run before."""
    found = rng.normal(0, 1, runs)
    for at in range(1, runs):
        found[at] = 0.5 * found[at - 1] + math.sqrt(0.75) * found[at]
    return np.asarray(found)


NOISE: dict[str, Draw] = {"normal": normal, "heavy": heavy, "louder": louder, "drifting": drifting}


def false(draw: Draw, runs: int, series: int, histories: int, seed: int) -> float:
    """Return the share of histories of nothing in which a step is told, in per cent."""
    rng = np.random.default_rng(seed)
    told = (any(steps(draw(rng, runs).tolist(), cut, series) for _ in range(series)) for _ in range(histories))
    return 100 * sum(told) / histories


def found(size: float, before: int, after: int, histories: int, seed: int) -> tuple[float, float]:
    """Return how often a step is told, and of those how often at the very run, in per cent."""
    rng = np.random.default_rng(seed)
    level = np.repeat([0.0, size], [before, after])
    told = [steps((level + normal(rng, len(level))).tolist(), cut, SERIES) for _ in range(histories)]
    some = [own for own in told if own]
    right = sum(any(step.at == before for step in own) for own in some)
    return 100 * len(some) / histories, 100 * right / len(some) if some else math.nan


def tables(histories: int, seed: int) -> Iterator[str]:
    """Yield the lines of both tables."""
    yield f"| noise | {' | '.join(f'{runs} runs' for runs in LENGTHS)} | 12 series of 20 |"
    yield f"| --- | {' | '.join(['---:'] * (len(LENGTHS) + 1))} |"
    for name, draw in NOISE.items():
        alone = [f"{false(draw, runs, 1, histories, seed):.1f}" for runs in LENGTHS]
        yield f"| {name} | {' | '.join(alone)} | {false(draw, 20, SERIES, histories // 4, seed):.1f} |"
    yield ""
    yield f"| runs before, after | {' | '.join(f'{size:g} SD' for size in STEPS)} |"
    yield f"| --- | {' | '.join(['---:'] * len(STEPS))} |"
    for before, after in SIDES:
        each = (found(size, before, after, histories // 2, seed) for size in STEPS)
        yield f"| {before}, {after} | {' | '.join(f'{told:.0f} ({right:.0f})' for told, right in each)} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for line in tables(given.histories, given.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
