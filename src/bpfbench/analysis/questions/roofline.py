# SPDX-License-Identifier: Apache-2.0
"""What a machine allows at all, by event size and format; and how near to it a run's tracers come.

The ceiling is measured, as the rate of the least that a tracer of one thread can do: it copies each event once and
writes it. What it takes with its output thrown away is one wall, ring and copy; what it takes more is the other, the
output. After the roofline of Williams, Waterman and Patterson (2009), but for one thing: a consumer of one thread
passes its walls one after the other, so that their times add up.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from bpfbench.analysis.questions.ring_trials import ring_trial
from bpfbench.analysis.results import Cell, Results
from bpfbench.model import EVENT_TOOLS, Buffer, Consumers, Format
from bpfbench.model.drain import TOOL_OF_BYTES
from bpfbench.model.roofline import Roofline, Sink

AT_THE_CEILING = 0.8
"""A setup that reaches this share of its ceiling is bound by the machine, not by its own work."""

RING_AND_COPY = "ring and copy"


@dataclass(frozen=True, slots=True)
class Range:
    """A value over repetitions."""

    median: float
    min: float
    max: float
    n: int


def over(values: Sequence[float]) -> Range | None:
    """Put the values of repetitions together; None without any."""
    return Range(statistics.median(values), min(values), max(values), len(values)) if values else None


@dataclass(frozen=True, slots=True)
class Wall:
    """Something that every event has to pass, and how long that takes."""

    name: str
    ns: Range


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What limits events of a size, written in a format to a place."""

    event_bytes: int
    format: Format
    sink: Sink
    events_per_s: Range
    walls: tuple[Wall, ...]
    """That which takes the most time first."""

    @property
    def highest(self) -> tuple[str, ...]:
        """The wall that takes the most time, and those that cannot be told from it: their ranges meet its."""
        return tuple(wall.name for wall in self.walls if wall.ns.max >= self.walls[0].ns.min)


@dataclass(frozen=True, slots=True)
class Share:
    """How near to its ceiling a setup comes, writing to a file in the page cache."""

    percent: Range
    """Where both were measured in turns, as by `bench drain`: over repetitions, each with the ceiling of its own time.
    Else the least and the greatest that both ranges allow."""
    wall: tuple[str, ...]
    """The walls that bind it; empty: its own work does."""


def ceilings(roofline: Roofline) -> tuple[Ceiling, ...]:
    """Return the ceilings whose walls are known, too: output thrown away was measured as well."""
    found = []
    for size, form, sink in product(TOOL_OF_BYTES, Format, Sink):
        whole, thrown_away = (_least(roofline, size, form, place) for place in (sink, Sink.NULL))
        if whole and thrown_away:
            walls = sorted(_walls(sink, whole, thrown_away), key=lambda wall: -wall.ns.median)
            found.append(Ceiling(size, form, sink, whole, tuple(walls)))
    return tuple(found)


def _least(roofline: Roofline, size: int, form: Format, sink: Sink) -> Range | None:
    of = (size, form, sink)
    return over([own.events_per_s for own in roofline.least if (own.event_bytes, own.format, own.sink) == of])


def _walls(sink: Sink, whole: Range, thrown_away: Range) -> Iterator[Wall]:
    passing = _ns(thrown_away)
    yield Wall(RING_AND_COPY, passing)
    if sink is not Sink.NULL:
        all_of_it = _ns(whole)
        ends = ((all_of_it.median, passing.median), (all_of_it.min, passing.max), (all_of_it.max, passing.min))
        median, least, most = (max(0.0, one - other) for one, other in ends)
        yield Wall(sink, Range(median, least, most, min(whole.n, thrown_away.n)))


def _ns(rate: Range) -> Range:
    return Range(1e9 / rate.median, 1e9 / rate.max, 1e9 / rate.min, rate.n)


def ceiling_of(event_bytes: int, form: str, found: Iterable[Ceiling]) -> Ceiling | None:
    """Return the ceiling of such events, written into the page cache; None where it is not known."""
    of = (event_bytes, form, Sink.CACHED)
    return next((own for own in found if (own.event_bytes, own.format, own.sink) == of), None)


def share(percent: Range, ceiling: Ceiling) -> Share:
    """Say at which walls a share of a ceiling stands."""
    return Share(percent, ceiling.highest if percent.min >= 100 * AT_THE_CEILING else ())


def _apart(rate: Range, ceiling: Ceiling) -> Share:
    """Return the share of a ceiling that was measured at another time."""
    most = ceiling.events_per_s
    median, least, greatest = (
        100 * ratio for ratio in (rate.median / most.median, rate.min / most.max, rate.max / most.min)
    )
    return share(Range(median, least, greatest, min(rate.n, most.n)), ceiling)


@dataclass(frozen=True, slots=True)
class Saving:
    """What a tracer of a run drained, beside what the machine allows."""

    cell: Cell
    events_per_s: Range | None
    """What it drained while the target ran; None: its rings hold all that it saved, so that it may have come after."""
    share: Share | None
    """None: that, or nothing was measured of events of its size, or it has more threads than a ceiling is for."""
    at_its_limit: bool
    """Whether it lost events in each of them: what all save that is offered says nothing of what they could."""


def savings(results: Results, roofline: Roofline) -> tuple[Saving, ...]:
    """Set beside the ceilings what full tracers with a ring drained, beside targets on real machines."""
    limits, found = ceilings(roofline), []
    for cell in results.cells:
        config, records = cell.config, results.counted(cell)
        if config is None or cell.tool not in EVENT_TOOLS or cell.emulated or not cell.is_full:
            continue
        known = [own for own in (ring_trial(cell, record) for record in records) if own and own.runtime_s]
        if not known:
            continue
        drained = [(own.saved - own.tracer.slots) / own.runtime_s for own in known]
        rate = over(drained) if min(drained) > 0 else None
        alone = config.consumers is Consumers.ONE and config.buffer is Buffer.RING
        ceiling = ceiling_of(config.event_bytes, str(config.format), limits) if alone else None
        own_share = _apart(rate, ceiling) if rate and ceiling else None
        found.append(Saving(cell, rate, own_share, all(own.lost for own in known)))
    return tuple(found)
