# SPDX-License-Identifier: Apache-2.0
"""Reads samples.csv of a trial: CPU, memory and power over time, as rates between samples."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
        return _samples([row for row in rows if row["what"] == "system"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not samples of a trial: {error}", "the file was edited or cut short") from error


def _samples(system: Rows) -> Samples:
    if len(system) < 2:
        return Samples(None, None, None)
    begin_s = float(system[0]["monotonic_s"])
    return Samples(
        cpu_percent=_rate(
            system, begin_s, lambda row: float(row["busy_ticks"]), lambda row: float(row["total_ticks"]), 100
        ),
        memory_bytes=_thinned([(float(row["monotonic_s"]) - begin_s, float(row["memory_bytes"])) for row in system]),
        power_w=None,
    )


def _rate(
    rows: Rows,
    begin_s: float,
    counter: Callable[[dict[str, str]], float],
    clock: Callable[[dict[str, str]], float],
    scale: float,
) -> Series | None:
    """What a counter gained between samples, per unit of a clock, at the middle of the interval."""
    step = max(1, len(rows) // MOST_POINTS)
    points = []
    for before, after in itertools.pairwise(rows[::step]):
        ticks = clock(after) - clock(before)
        if ticks > 0:
            middle = (float(before["monotonic_s"]) + float(after["monotonic_s"])) / 2 - begin_s
            points.append((middle, scale * (counter(after) - counter(before)) / ticks))
    return _series(points)


def _thinned(points: Sequence[tuple[float, float]]) -> Series | None:
    return _series(points[:: max(1, len(points) // MOST_POINTS)])


def _series(points: Sequence[tuple[float, float]]) -> Series | None:
    if len(points) < 2:
        return None
    seconds, values = zip(*points, strict=True)
    return Series(seconds, values)
