# SPDX-License-Identifier: Apache-2.0
"""What this machine allows at all: the ceilings by event size and format, and what they were made of.

Data:

    method, machine, image, ...   the circumstances, as of `bench drain`
    roofline       every reading, and what is absent, with the reason
    ceilings[]     none of an emulated machine; event_bytes, format, sink, events_per_s: {median, min, max, n} over
                   repetitions; walls[]: name, ns of an event, that which takes the most first
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bpfbench.analysis.questions.roofline import RING_AND_COPY, Ceiling, ceilings, over
from bpfbench.model import EMULATED_REMARK, least_output_bytes
from bpfbench.model.roofline import Roofline, Sink, Woken
from bpfbench.report.document import Block, Bullets, Column, Document, Field, Paragraph, Table, section
from bpfbench.report.documents.drain import figure, per_s, ranged, where

SCHEMA = 2
"""Version of the data. History: 1 (first); 2 (a ceiling is measured whole, by the least tracer)."""


def data(roofline: Roofline, circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was measured, and what it comes to, for programs."""
    found = () if circumstances["machine"].get("emulated") else ceilings(roofline)
    return {**circumstances, "roofline": roofline, "ceilings": found}


def document(roofline: Roofline, circumstances: Mapping[str, Any]) -> Document:
    """Describe what was measured."""
    return tuple(_blocks(roofline, circumstances))


def _blocks(roofline: Roofline, circumstances: Mapping[str, Any]) -> Iterator[Block]:
    yield from section("What this machine allows at all", (where(circumstances),))
    if circumstances["machine"].get("emulated"):
        yield Paragraph(EMULATED_REMARK)
    else:
        yield _ceilings(ceilings(roofline))
        yield from (Paragraph(line, "fine") for line in _LEGEND)
        yield from section("What that is made of", (), _readings(roofline))
    if roofline.absent:
        yield from section(
            "Not measured", (), Bullets(tuple(f"{name}: {why}" for name, why in roofline.absent.items()))
        )


Row = tuple[Field, ...]

_WOKEN = {Woken.NEVER: "busily polling", Woken.ADAPTIVE: "woken"}

_LEGEND = (
    "ceiling: events/s of the least that a tracer of one thread can do, measured as `bench drain` measures setups: it "
    "copies each event once into a buffer of 256 KiB, and writes that. Most of its time is spent where it says; walls "
    "are named together whose ranges meet. Median of the repetitions, below it half the range.",
    "ring and copy: what it takes with its output thrown away. output: what it takes more. As text it writes as many "
    "bytes as an event takes at least: what formatting takes is a setup's own work, and in no wall.",
)


def _ceilings(found: Sequence[Ceiling]) -> Table:
    columns = (
        Column("event", "bytes"),
        Column("format", is_text=True),
        Column("output to", is_text=True),
        Column("bytes", "of output"),
        Column("ceiling", "events/s"),
        Column("mostly", is_text=True),
        Column("ring and", "copy, ns"),
        Column("output", "ns"),
    )
    return Table(columns, tuple(tuple(_ceiling(own)) for own in found))


def _ceiling(own: Ceiling) -> Iterator[Field]:
    walls = {wall.name: wall.ns for wall in own.walls}
    yield from (Field(str(own.event_bytes)), Field(own.format), Field(own.sink))
    yield Field(str(least_output_bytes(own.event_bytes, own.format)))
    yield ranged(own.events_per_s, per_s)
    yield Field(" or ".join("output" if name == own.sink else name for name in own.highest))
    for name in (RING_AND_COPY, own.sink):
        yield ranged(walls.get(name), figure)


def _readings(roofline: Roofline) -> Table:
    columns = (
        Column("what", is_text=True),
        Column("how", is_text=True),
        Column("found"),
        Column("offered"),
        Column("unit", is_text=True),
    )
    return Table(columns, tuple(_rows(roofline)))


def _rows(roofline: Roofline) -> Iterator[Row]:
    def row(
        what: str, how: str, found: list[float], write: Callable[[float], str], unit: str, offered: str = ""
    ) -> Row:
        return Field(what), Field(how), ranged(over(found), write), Field(offered), Field(unit)

    for sink in Sink:
        rates = [own.bytes_per_s / 1e6 for own in roofline.sinks if own.sink is sink]
        yield row("output", str(sink), rates, figure, "MB/s")
    for size in sorted({own.event_bytes for own in roofline.copies}):
        rates = [own.events_per_s for own in roofline.copies if own.event_bytes == size]
        yield row("copy", f"{size} bytes", rates, per_s, "events/s")
    for size, producers, woken in sorted({(own.event_bytes, own.producers, own.woken) for own in roofline.rings}):
        of = [o for o in roofline.rings if (o.event_bytes, o.producers, o.woken) == (size, producers, woken)]
        offered = statistics.median(own.produced_per_s for own in of)
        how = f"{size} bytes, {producers} CPU{'s' * (producers > 1)} producing, consumer {_WOKEN[woken]}"
        if not producers:
            how, offered = f"{size} bytes, full, nobody producing", 0.0
        yield row("ring", how, [own.events_per_s for own in of], per_s, "events/s", per_s(offered) if offered else "")
    for how, values in {
        "the call that wakes takes longer": [own.producer_ns for own in roofline.wake_ups],
        "until the consumer looks, median": [own.latency_p50_ns for own in roofline.wake_ups],
        "until the consumer looks, p99": [own.latency_p99_ns for own in roofline.wake_ups],
    }.items():
        yield row("wake-up", how, [value / 1e3 for value in values], figure, "us")
    for hook in dict.fromkeys(own.hook for own in roofline.hooks):
        pairs = [own.pair_ns for own in roofline.hooks if own.hook == hook]
        yield row("hook", f"{hook}, entry and exit, empty", pairs, figure, "ns")
