# SPDX-License-Identifier: Apache-2.0
"""What a machine allows at all, by event size and format; and how near to it a setup comes.

After the roofline of Williams, Waterman and Patterson (2009): what each event has to pass is measured by itself, the
ring, one copy into the output buffer, and the place that the output goes to. Theirs overlap, so that the lowest roof
is the ceiling; a consumer of one thread passes them one after the other, so that their times add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from bpfbench.analysis.questions.drain import Drained, Range, over
from bpfbench.analysis.questions.ring_trials import ring_trial
from bpfbench.analysis.results import Cell, Results
from bpfbench.model import EVENT_TOOLS, Buffer, Consumers, Format, least_output_bytes
from bpfbench.model.drain import TOOL_OF_BYTES
from bpfbench.model.roofline import Roofline, Sink

AT_THE_CEILING = 0.8
"""A setup that reaches this share of its ceiling is bound by the machine, not by its own work."""


@dataclass(frozen=True, slots=True)
class Wall:
    """Something that every event has to pass."""

    name: str
    events_per_s: Range


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What limits events of a size, written in a format to a place."""

    event_bytes: int
    format: Format
    sink: Sink
    walls: tuple[Wall, ...]
    """The lowest first."""

    @property
    def events_per_s(self) -> Range:
        """What one thread can do that passes them all."""
        ranges = [wall.events_per_s for wall in self.walls]
        median, least, most = (1 / sum(1 / getattr(own, end) for own in ranges) for end in ("median", "min", "max"))
        return Range(median, least, most, min(own.n for own in ranges))

    @property
    def lowest(self) -> tuple[str, ...]:
        """The wall that takes the most time, and those that cannot be told from it: their ranges meet its."""
        return tuple(wall.name for wall in self.walls if wall.events_per_s.min <= self.walls[0].events_per_s.max)


@dataclass(frozen=True, slots=True)
class Share:
    """How near to its ceiling a setup comes, writing to a file in the page cache, as `bench drain` has it."""

    percent: Range
    """The least and the greatest that both ranges allow."""
    wall: tuple[str, ...]
    """The walls that bind it; empty: its own work does."""


def ceilings(roofline: Roofline) -> tuple[Ceiling, ...]:
    """Return the ceilings, those that are whole: for which ring, copy and sink were all measured."""
    found = []
    for size, form, sink in product(TOOL_OF_BYTES, Format, Sink):
        walls = tuple(_walls(roofline, size, form, sink))
        if len(walls) == 3:
            found.append(Ceiling(size, form, sink, tuple(sorted(walls, key=lambda wall: wall.events_per_s.median))))
    return tuple(found)


def _walls(roofline: Roofline, size: int, form: Format, sink: Sink) -> Iterator[Wall]:
    ways: dict[object, list[float]] = {}
    for ring in roofline.rings:
        if ring.event_bytes == size:
            ways.setdefault((ring.producers, ring.woken), []).append(ring.events_per_s)
    if rings := [found for rates in ways.values() if (found := over(rates))]:
        yield Wall("ring", max(rings, key=lambda found: found.median))
    if copies := over([copy.events_per_s for copy in roofline.copies if copy.event_bytes == size]):
        yield Wall("copy", copies)
    written = least_output_bytes(size, form)
    if sinks := over([own.bytes_per_s / written for own in roofline.sinks if own.sink is sink]):
        yield Wall(sink, sinks)


def share(row: Drained, found: Iterable[Ceiling]) -> Share | None:
    """Return how near to its ceiling a setup comes; None where either was not measured."""
    return _share(row.event_bytes, row.format, row.events_per_s, found)


def _share(event_bytes: int, form: str, rate: Range | None, found: Iterable[Ceiling]) -> Share | None:
    of = (event_bytes, form, Sink.CACHED)
    ceiling = next((own for own in found if (own.event_bytes, own.format, own.sink) == of), None)
    if ceiling is None or rate is None:
        return None
    most = ceiling.events_per_s
    percent = Range(
        100 * rate.median / most.median, 100 * rate.min / most.max, 100 * rate.max / most.min, min(rate.n, most.n)
    )
    return Share(percent, ceiling.lowest if percent.min >= 100 * AT_THE_CEILING else ())


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
        share = _share(config.event_bytes, str(config.format), rate, limits) if alone else None
        found.append(Saving(cell, rate, share, all(own.lost for own in known)))
    return tuple(found)
