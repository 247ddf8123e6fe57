# SPDX-License-Identifier: Apache-2.0
"""The samples of a trial, samples.csv: CPU, memory and power over time, as rates between samples."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bpfbench.analysis import metrics
from bpfbench.analysis.metrics import Metric
from bpfbench.errors import StoreError
from bpfbench.soundness import content

MOST_POINTS = 120
"""Per line: more are not seen in a figure of this size."""

Samples = Mapping[Metric, Sequence[tuple[float, float]]]
"""What was sampled beside one trial, as far as it was: metric -> seconds since the first sample, which is taken as fio
is started, and value."""
P = TypeVar("P")


def read(path: Path) -> Samples:
    """Read the samples of a trial; empty where it left none.

    Raises:
        StoreError: they cannot be read.
    """
    try:
        return _samples(list(csv.DictReader(io.StringIO(content(path).decode(), newline=""))))
    except FileNotFoundError:
        return {}
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not samples of a trial: {error}", "the file was edited or cut short") from error


def _samples(rows: Sequence[Mapping[str, str]]) -> Samples:
    system = [row for row in rows if row["what"] == "system"]
    if not system:
        return {}
    begin_s = _number(system[0]["monotonic_s"])
    times = [_number(row["monotonic_s"]) - begin_s for row in system]
    ticks = [(_number(row["total_ticks"]), 100 * _number(row["busy_ticks"])) for row in system]
    memory = [_number(row["memory_bytes"]) for row in system]
    joules = ((at - begin_s, joules) for at, joules in sorted(_packages(rows).items()))
    found = {
        metrics.CPU: _rates([(at, *counted) for at, counted in zip(times, ticks, strict=True)]),
        metrics.MEMORY: _thinned(list(zip(times, memory, strict=True))),
        metrics.POWER: _rates([(at, at, counted) for at, counted in joules if at >= 0]),
    }
    return {metric: points for metric, points in ((key, list(own)) for key, own in found.items()) if len(points) > 1}


def _packages(rows: Sequence[Mapping[str, str]]) -> dict[float, float]:
    """Joules of all CPU packages together, by time; a moment at which one was not read is left out."""
    found: defaultdict[float, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row["what"].startswith("package"):
            found[_number(row["monotonic_s"])][row["what"]] = _number(row["joules"])
    most = max(map(len, found.values()), default=0)
    return {at: sum(values.values()) for at, values in found.items() if len(values) == most}


def _number(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{text} is no sample")
    return found


def _rates(counters: Sequence[tuple[float, float, float]]) -> Iterator[tuple[float, float]]:
    """What a counter gained between samples, per unit of a clock, at the middle of the interval.

    Args:
        counters: seconds, the clock, the counter.
    """
    for (begin, clock, before), (end, later, after) in itertools.pairwise(_thinned(counters)):
        if later > clock:
            yield (begin + end) / 2, (after - before) / (later - clock)


def _thinned(points: Sequence[P]) -> Sequence[P]:
    return points[:: max(1, len(points) // MOST_POINTS)]
