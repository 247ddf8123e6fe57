#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates the rule of decision.py on simulated studies with known truths. Prints the tables of docs/validation.md.

    python benchmarks/validate_answer.py [--studies 2000] [--rounds 30] [--seed 1]
    python benchmarks/validate_answer.py --run RUN

A simulated study has six setups and four cases. In each round each case has one block: what a block is worth cancels,
so a value is its setup's true ratio, and noise of its own. A study is read after each round, and ends when it is
decided, or with the last; who is ruled out takes part no longer, as in a run. The margin is 5 %, and 0 where all are
alike: there every statement is an error.

excluded: a setup that has the best true mean is ruled out, at any look.
false: any wrong statement at any look: who is ruled out is within the margin of the best, who is named is not, or it
       depends on the case where it does not.
disjoint: two studies of one truth end with names of which none is in both.

With --run, noise is drawn from a run's own blocks: the differences of two vanilla trials of one block, in its runtime.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bpfbench import store
from bpfbench.analysis import metrics, results
from bpfbench.analysis.decision import Decision, Outcome, decide
from bpfbench.analysis.gaps import BlockId, Values

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]

SETUPS = ("aya-async", "aya-sync", "bcc", "bpftrace", "ebpf-go", "libbpf")
CASES = ("read small", "read all", "write small", "write all")
MARGIN = math.log1p(0.05)


def machine(scales: Sequence[float], kind: str) -> Draw:
    """Return noise with these SDs of a trial's logarithm by case."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        sd = np.asarray(scales)[:, None]
        if kind == "one noisy":
            sd = sd * np.array([1, 1, 5, 1, 1, 1])[:, None, None]
        if kind == "heavy":
            return np.asarray(rng.standard_t(3, shape) / math.sqrt(3) * sd)
        noise = rng.normal(0, 1, shape) * sd
        if kind == "mishaps":
            noise += (rng.random(shape) < 0.05) * rng.exponential(4, shape) * sd
        return np.asarray(noise)

    return draw


NOISES: dict[str, Draw] = {
    "this machine": machine((0.2, 0.15, 0.05, 0.05), "normal"),
    "this machine, heavy tails": machine((0.2, 0.15, 0.05, 0.05), "heavy"),
    "this machine, mishaps": machine((0.2, 0.15, 0.05, 0.05), "mishaps"),
    "this machine, bcc 5 times as noisy": machine((0.2, 0.15, 0.05, 0.05), "one noisy"),
    "quiet server": machine((0.01, 0.01, 0.01, 0.01), "normal"),
    "quiet server, bcc 5 times as noisy": machine((0.01, 0.01, 0.01, 0.01), "one noisy"),
    "quiet server, mishaps": machine((0.01, 0.01, 0.01, 0.01), "mishaps"),
}

TRUTHS: dict[str, Array] = {
    "all alike": np.zeros((6, 4)),
    "one best by 10 %": np.log1p(np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.0]))[:, None] * np.ones(4),
    "one best by 3 %": np.log1p(np.array([0.03, 0.03, 0.03, 0.03, 0.03, 0.0]))[:, None] * np.ones(4),
    "one best by 5.5 %": np.log1p(np.array([0.055, 0.055, 0.055, 0.055, 0.055, 0.0]))[:, None] * np.ones(4),
    "a field": np.log1p(np.array([0.02, 0.04, 0.5, 0.3, 0.01, 0.0]))[:, None] * np.ones(4),
    "it depends": np.log1p(
        np.array([[0.5] * 4, [0.5] * 4, [0.9] * 4, [0.9] * 4, [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.3, 0.3]])
    ),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What one study came to."""

    last: Decision[str]
    excluded: bool
    false: bool
    rounds: int


def study(rng: np.random.Generator, truth: Array, draw: Draw, rounds: int) -> Told:
    """Run a study until it is decided, or has its last round."""
    logs = -(truth[:, :, None] + draw(rng, (len(SETUPS), len(CASES), rounds)))
    means = dict(zip(SETUPS, -truth.mean(axis=1), strict=True))
    best = max(means.values())
    margin = MARGIN if truth.any() else 0.0
    excluded = false = False
    lasts = dict.fromkeys(SETUPS, rounds)
    for n in range(2, rounds + 1):
        values: Values[str] = {
            setup: {case: blocks(own[: min(n, lasts[setup])]) for case, own in zip(CASES, of_setup, strict=True)}
            for setup, of_setup in zip(SETUPS, logs.tolist(), strict=True)
        }
        found = decide(values, margin)
        lasts |= {setup: min(n, lasts[setup]) for setup in found.whole.ruled_out}
        out = found.whole.ruled_out
        excluded |= any(setup in out for setup, mean in means.items() if mean == best)
        false |= any(means[setup] >= best - margin for setup in out)
        false |= any(means[setup] < best - margin - 1e-12 for setup in found.named)
        false |= bool(found.turned) and np.ptp(truth - truth.mean(axis=1, keepdims=True)) == 0
        if found.outcome is not Outcome.UNDECIDED:
            break
    return Told(found, excluded, false, n)


def blocks(values: Sequence[float]) -> dict[BlockId, float]:
    """Return values as those of one block a round."""
    return {(number, 0): value for number, value in enumerate(values)}


def tabulate(draws: dict[str, Draw], studies: int, rounds: int, seed: int) -> None:
    """Print one line for each noise and truth."""
    print("| noise | truth | excluded | false | disjoint | best, equal, depends, undecided | rounds |")
    print("| --- | --- | ---: | ---: | ---: | --- | ---: |")
    for noise, draw in draws.items():
        for name, truth in TRUTHS.items():
            rng = np.random.default_rng(seed)
            told = [study(rng, truth, draw, rounds) for _ in range(studies)]
            ends = Counter(own.last.outcome for own in told)
            pairs = list(zip(told[::2], told[1::2], strict=False))
            apart = sum(
                bool(a.last.named and b.last.named) and not set(a.last.named) & set(b.last.named) for a, b in pairs
            )
            kinds = (Outcome.BEST, Outcome.EQUAL, Outcome.DEPENDS, Outcome.UNDECIDED)
            print(
                f"| {noise} | {name} | {percent(sum(t.excluded for t in told), studies)}"
                f" | {percent(sum(t.false for t in told), studies)} | {percent(apart, len(pairs))}"
                f" | {', '.join(percent(ends[kind], studies) for kind in kinds)}"
                f" | {np.median([own.rounds for own in told]):.0f} |",
                flush=True,
            )


def percent(part: int, whole: int) -> str:
    """Write a share."""
    return f"{100 * part / whole:.1f} %"


def of_run(path: Path) -> Draw:
    """Return noise drawn from the vanilla twins of a run, by workload; a difference of two has twice the variance."""
    twins: defaultdict[str, list[float]] = defaultdict(list)
    for sample in results.load(store.Run(path)).measured:
        if sample.metric is metrics.RUNTIME and sample.cell.is_vanilla:
            for values in sample.by_block(logs=True).values():
                if len(values) == 2:
                    half = (values[0] - values[1]) / math.sqrt(2)
                    twins[sample.cell.workload.name] += [half, -half]
    pools = [np.asarray(own) for own in twins.values()]
    print(f"noise of {path.name}: SDs {', '.join(f'{pool.std():.3f}' for pool in pools)}, from {list(map(len, pools))}")

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        setups, cases, rounds = shape
        drawn = [rng.choice(pools[number % len(pools)], (setups, rounds)) for number in range(cases)]
        return np.stack(drawn, axis=1)

    return draw


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", type=Path)
    given = parser.parse_args()
    draws = NOISES if given.run is None else {given.run.name: of_run(given.run)}
    tabulate(draws, given.studies, given.rounds, given.seed)


if __name__ == "__main__":
    main()
