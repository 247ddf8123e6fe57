#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates the statistics on simulated blocks with known effects. Prints the tables of docs/validation.md.

    python benchmarks/validate_statistics.py [--studies 10000] [--seed 1]
    python benchmarks/validate_statistics.py --run RUN

A simulated study is n blocks of vanilla and six setups in random order. A trial's value is the product of

- what its block is worth: lognormal, SD 30 %, as from hour to hour on a shared machine;
- drift within the block: linear in the position, its slope normal, SD 0.5 % a trial;
- its setup's ratio to vanilla, which is the truth to be found;
- noise of its own, of one of three kinds (NOISES).

With --run, vanilla is compared with vanilla within a real run instead (statistics.control); best one of nothing else:
`bpfbench run quick --setups vanilla --repetitions 14`.

The functions under test are those that every report uses: compare.log_ratios' definition, statistics.test and holm.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bpfbench import store
from bpfbench.analysis import results
from bpfbench.analysis.inference import ALPHA, Interval, Paired, holm, ratios
from bpfbench.analysis.statistics import analyse, control

Array = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]

SIZES = (3, 5, 10, 20)
SETUPS = 6
TRUTH = 1.02

NOISES: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(0, 0.02, shape),
    "skewed": lambda rng, shape: rng.lognormal(np.log(0.02), 0.7, shape),
    "outliers": lambda rng, shape: (
        rng.normal(0, 0.02, shape) + (rng.random(shape) < 0.05) * rng.exponential(0.2, shape)
    ),
}
"""Of a trial's logarithm. skewed: what disturbs only ever slows down. outliers: 5 % of trials are hit by a mishap."""


def simulate(rng: np.random.Generator, studies: int, n: int, ratios: Sequence[float], noise: Noise) -> Array:
    """Return the log ratios to vanilla: studies x setups x blocks."""
    trials = len(ratios) + 1
    block = rng.normal(0, 0.3, (studies, 1, n))
    position = rng.permuted(np.broadcast_to(np.arange(trials)[:, None], (studies, trials, n)), axis=1)
    drift = rng.normal(0, 0.005, (studies, 1, n)) * position
    truth = np.log([1.0, *ratios])[:, None]
    logs = block + drift + truth + noise(rng, (studies, trials, n))
    return np.asarray(logs[:, 1:] - logs[:, :1], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Found:
    """Shares of simulated studies."""

    coverage: float
    """The 95 % interval holds the truth."""
    bootstrap_coverage: float | None
    bca_coverage: float
    """The same of the bias-corrected and accelerated bootstrap, which is not used; of a tenth of the studies."""
    false_positive: float
    """A setup that is like vanilla is found different, without correction."""
    false_positive_sign_flip: float
    family_error: float
    """Any of six setups like vanilla is found different, after Holm's correction."""
    power: float
    """A setup 2 % above vanilla is found different, without correction."""


def validate(rng: np.random.Generator, studies: int, n: int, noise: Noise) -> Found:
    """Simulate studies in which no setup differs, and studies in which one does."""
    null = simulate(rng, studies, n, [1.0] * SETUPS, noise)
    paired = ratios(null.reshape(-1, n).tolist())
    families = [paired[at : at + SETUPS] for at in range(0, len(paired), SETUPS)]
    first = [family[0] for family in families]
    logs = simulate(rng, studies, n, [TRUTH], noise)[:, 0]
    effect = ratios(logs.tolist())
    resampled = [item.bootstrap for item in effect if item.bootstrap is not None]
    return Found(
        coverage=_share(_holds(item.interval) for item in effect),
        bootstrap_coverage=_share(map(_holds, resampled)) if resampled else None,
        bca_coverage=bca_coverage(logs[: len(logs) // 10]),
        false_positive=_share(_below(item.p) for item in first),
        false_positive_sign_flip=_share(_below(item.p_sign_flip) for item in first),
        family_error=_share(any(map(_below, holm([item.p or 1.0 for item in family]))) for family in families),
        power=_share(_below(item.p) for item in effect),
    )


def bca_coverage(logs: Array) -> float:
    """Return the share of rows whose BCa interval of the mean holds the truth."""
    found = stats.bootstrap(
        (logs,), np.mean, axis=1, vectorized=True, n_resamples=1000, batch=100, method="BCa", rng=1
    ).confidence_interval
    return _share((found.low <= np.log(TRUTH)) & (np.log(TRUTH) <= found.high))


def needed(rng: np.random.Generator, studies: int, n: int, noise: Noise) -> tuple[float, float, float]:
    """Return the quartiles of how many repetitions studies of n blocks call for."""
    found: list[Paired] = ratios(simulate(rng, studies, n, [TRUTH], noise)[:, 0].tolist())
    low, middle, high = np.quantile([item.repetitions_needed or 0 for item in found], (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def _holds(interval: Interval | None) -> bool:
    return interval is not None and interval.low <= TRUTH <= interval.high


def _below(p: float | None) -> bool:
    return p is not None and p <= ALPHA


def _share(found: Iterable[bool]) -> float:
    return float(np.mean(list(found)))


def against_itself(run: Path) -> None:
    """Print what comes of vanilla against vanilla in a run."""
    found = [item for item in analyse(control(results.load(store.Run(run)))).statistics if item.paired]
    print("| workload | metric | n | ratio | 95 % interval | p | sign-flip | finding |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for item in found:
        paired = item.paired
        if paired is None or paired.interval is None:
            continue
        low, high = paired.interval.low, paired.interval.high
        name = f"{item.cell.workload.name}, {item.cell.workload.processes} processes"
        print(
            f"| {name} | {item.metric} | {paired.n} | {paired.ratio:.3f} | {low:.3f} to {high:.3f} | {paired.p:.3f} | "
            f"{paired.p_sign_flip:.3f} | {paired.finding} |"
        )
    tested = [item.paired for item in found if item.paired is not None and item.paired.p is not None]
    print(f"\n{sum(_below(paired.p) for paired in tested)} of {len(tested)} have p <= 0.05.")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", type=Path)
    given = parser.parse_args()
    if given.run is not None:
        against_itself(given.run)
        return
    rng = np.random.default_rng(given.seed)
    print(f"{given.studies} studies of each kind, seed {given.seed}; shares in per cent\n")
    print("| noise | n | interval covers | bootstrap | BCa | false positives | sign flips | family | power 2 % |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, noise in NOISES.items():
        for n in SIZES:
            found = validate(rng, given.studies, n, noise)
            shares = (
                found.coverage,
                found.bootstrap_coverage,
                found.bca_coverage,
                found.false_positive,
                found.false_positive_sign_flip,
                found.family_error,
                found.power,
            )
            cells = ["-" if share is None else f"{100 * share:.1f}" for share in shares]
            print(f"| {name} | {n} | {' | '.join(cells)} |")
    print("\nRepetitions called for at 2 % and 80 % power, quartiles over studies (normal noise):")
    for n in SIZES:
        print(
            f"  n = {n}: {', '.join(f'{value:.0f}' for value in needed(rng, given.studies // 10, n, NOISES['normal']))}"
        )


if __name__ == "__main__":
    main()
