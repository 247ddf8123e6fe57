# SPDX-License-Identifier: Apache-2.0
"""The samples of a trial, samples.csv: CPU, memory and power over time, as rates between samples."""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bpfbench.errors import StoreError

MOST_POINTS = 120
"""Per line: more are not seen in a figure of this size."""


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity over time, seconds since the first sample, which is taken as fio is started."""

    seconds: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """What was sampled beside one trial. What was not is None."""

    cpu_percent: Series | None
    memory_bytes: Series | None
    power_w: Series | None


Rows = Sequence[dict[str, str]]
P = TypeVar("P")


def read(path: Path) -> Samples | None:
    """Read the samples of a trial; None where it left none.

    Raises:
        StoreError: they cannot be read.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return None
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: {error}") from error
    try:
        return _samples(rows)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not samples of a trial: {error}", "the file was edited or cut short") from error


def _samples(rows: Rows) -> Samples:
    system = [row for row in rows if row["what"] == "system"]
    if len(system) < 2:
        return Samples(None, None, None)
    begin_s = float(system[0]["monotonic_s"])
    times = [float(row["monotonic_s"]) for row in system]
    return Samples(
        cpu_percent=_rate(
            [
                (at - begin_s, float(row["total_ticks"]), float(row["busy_ticks"]))
                for at, row in zip(times, system, strict=True)
            ],
            scale=100,
        ),
        memory_bytes=_thinned(
            [(at - begin_s, float(row["memory_bytes"])) for at, row in zip(times, system, strict=True)]
        ),
        power_w=_rate(
            [(at - begin_s, at, joules) for at, joules in sorted(_packages(rows).items()) if at >= begin_s], scale=1
        ),
    )


def _packages(rows: Rows) -> dict[float, float]:
    """Joules of all CPU packages together, by time; a moment at which one was not read is left out."""
    found: defaultdict[float, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row["what"].startswith("package"):
            found[float(row["monotonic_s"])][row["what"]] = float(row["joules"])
    most = max(map(len, found.values()), default=0)
    return {at: sum(values.values()) for at, values in found.items() if len(values) == most}


def _rate(counters: Sequence[tuple[float, float, float]], *, scale: float) -> Series | None:
    """What a counter gained between samples, per unit of a clock, at the middle of the interval.

    Args:
        counters: seconds, the clock, the counter.
        scale: what to multiply it with.
    """
    points = []
    for (begin, clock, before), (end, later, after) in itertools.pairwise(_spaced(counters)):
        if later > clock:
            points.append(((begin + end) / 2, scale * (after - before) / (later - clock)))
    return _series(points)


def _thinned(points: Sequence[tuple[float, float]]) -> Series | None:
    return _series(_spaced(points))


def _spaced(points: Sequence[P]) -> Sequence[P]:
    return points[:: max(1, len(points) // MOST_POINTS)]


def _series(points: Sequence[tuple[float, float]]) -> Series | None:
    if len(points) < 2:
        return None
    seconds, values = zip(*points, strict=True)
    return Series(seconds, values)
