# SPDX-License-Identifier: Apache-2.0
"""How fast user space drains the ring, and what an event costs: one table per event size, format and hook.

Data:

    method, machine, image, ...   the circumstances (bpfbench.run.drain.circumstances)
    rows[]         none of an emulated machine; setup, event_bytes, format, ringbuf_bytes, attach,
                   events_per_s, bytes_per_s, cpu_ns_per_event: {median, min, max, n} over repetitions, or null,
                   share: percent of the ceiling, over repetitions, and the walls it stands at, if any; or null,
                   kernel_ns_per_event: waiting, busy, full, other -> the same, or null where it was not taken
    measurements[] every repetition's own: case, started_at, result (with what the machine allowed right before and
                   right after), reason (why it does not count, else null)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bpfbench import units
from bpfbench.analysis.questions.drain import ON_CPU_MIN, STATES, Drained, drained
from bpfbench.analysis.questions.roofline import AT_THE_CEILING, Range, Share
from bpfbench.model import EMULATED_REMARK
from bpfbench.model.drain import Measured
from bpfbench.report.document import (
    ABSENT,
    ALWAYS,
    Block,
    Bullets,
    Column,
    Document,
    Field,
    Heading,
    Paragraph,
    Table,
    section,
)

SCHEMA = 4
"""Version of the data. History: 1 (first); 2 (in the envelope of all answers); 3 (roofline, shares); 4 (a row's own
share, of what the machine allowed beside it)."""

RARELY = 3
"""The importance of what is left out first where there is no room."""


def data(measured: Sequence[Measured], circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was measured, and what it comes to, for programs."""
    rows = () if circumstances["machine"].get("emulated") else drained(measured)
    return {**circumstances, "rows": rows, "measurements": measured}


def document(measured: Sequence[Measured], circumstances: Mapping[str, Any]) -> Document:
    """Describe what was measured."""
    return tuple(_blocks(measured, circumstances))


def _blocks(measured: Sequence[Measured], circumstances: Mapping[str, Any]) -> Iterator[Block]:
    facts, wanted = circumstances["machine"], circumstances["wanted"]
    yield from section("How fast user space drains the ring, and what an event costs", (where(circumstances),))
    if facts.get("emulated"):
        whole = sum(item.reason is None for item in measured)
        of = units.plural(len(measured), "repetition")
        yield Paragraph(f"{EMULATED_REMARK} Every event was accounted for in {whole} of {of}.")
    else:
        found = drained(measured)
        kinds = dict.fromkeys((row.event_bytes, row.format, row.attach) for row in found)
        for kind in kinds:
            yield Heading("Events of {} bytes, {}, by {}".format(*kind))
            rows = [row for row in found if (row.event_bytes, row.format, row.attach) == kind]
            yield _table(rows, wanted["setups"])
        yield Heading("How to read this")
        yield from (Paragraph(line, "fine") for line in _legend(found))
    if failed := tuple(f"{item.case.name}: {item.reason}" for item in measured if item.reason is not None):
        yield from section(f"Not counted ({len(failed)})", (), Bullets(failed))


def where(circumstances: Mapping[str, Any]) -> str:
    """Say what was measured where."""
    facts, image = circumstances["machine"], circumstances["image"]
    kernels = facts.get("kernels") or {"": {"release": facts["kernel"]}}  # of the virtual machine, if it was one
    return (
        f"{facts['host']} ({facts['cpus']} CPUs, {facts['cpu_model']}), kernel "
        f"{', '.join(kernel['release'] for kernel in kernels.values())}, image {image['name']} {image['key'][:8]}, "
        f"{units.plural(circumstances['wanted']['repetitions'], 'repetition')}, method {circumstances['method']}"
    )


def _table(rows: Sequence[Drained], setups: Sequence[str]) -> Table:
    rings = sorted({row.ringbuf_bytes for row in rows})
    columns = (
        Column("setup", is_text=True),
        *(Column("rate", units.size(ring)) for ring in rings),
        Column("MB/s", "best"),
        Column("of the", "ceiling"),
        Column("CPU, ns", "per event"),
        *(Column("kernel", state, importance=RARELY if state == "other" else ALWAYS) for state in STATES),
    )
    own = {(row.setup, row.ringbuf_bytes): row for row in rows}
    known = [setup for setup in setups if any(row.setup == setup for row in rows)]
    lines = (_line(setup, [own.get((setup, ring)) for ring in rings]) for setup in known)
    return Table(columns, tuple(map(tuple, lines)))


def _line(setup: str, by_ring: Sequence[Drained | None]) -> Iterator[Field]:
    yield Field(setup)
    for row in by_ring:
        yield ranged(row.events_per_s if row else None, per_s, ">" if row and row.coarse else "")
    known = [row for row in by_ring if row is not None and row.events_per_s is not None]
    best = max(known, key=lambda row: row.bytes_per_s.median if row.bytes_per_s else 0.0, default=None)
    yield ranged(best.bytes_per_s if best else None, lambda rate: figure(rate / 1e6))
    yield _share(best.share if best else None)
    # That of the largest ring: in a small one, stopping the tracer and letting it go on is a part of it.
    yield ranged(known[-1].cpu_ns_per_event if known else None, figure)
    kernel: dict[str, Range] = next((row.kernel_ns_per_event for row in known if row.kernel_ns_per_event), {})
    for state in STATES:
        yield ranged(kernel.get(state), figure)


def _share(own: Share | None) -> Field:
    """Write the share of the ceiling: the least and the greatest that it may be, and the walls it stands at."""
    if own is None:
        return Field(ABSENT)
    least, most = (f"{end:.0f}" for end in (own.percent.min, own.percent.max))
    return Field(
        figure(own.percent.median), detail="\n".join((f"{least}..{most}", *(f"at {wall}" for wall in own.wall)))
    )


def ranged(found: Range | None, write: Callable[[float], str], mark: str = "") -> Field:
    """Write the median, and half the range below it."""
    if found is None:
        return Field(ABSENT)
    half = f"±{50 * (found.max - found.min) / found.median:.0f}%" if found.n > 1 else ""
    return Field(f"{mark}{write(found.median)}", detail=half)


def per_s(value: float) -> str:
    """Write a rate in thousands or millions."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:
            return f"{figure(value / size)} {unit}"
    return figure(value)


def figure(value: float) -> str:
    """Write three digits, and all those before the point."""
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def _legend(found: Sequence[Drained]) -> Iterator[str]:
    yield (
        "rate: events/s, by the size of the ring. Median of the repetitions, below it half the range. k, M: 1000, "
        "1000000. Predicted fidelity = min(1, drain rate / event rate), for a tracer with a CPU of its own."
    )
    yield (
        "ceiling: the best rate as a share of that of the least that a tracer of one thread can do, which copies each "
        "event once and writes it, measured in the same way right before and right after. Median of the repetitions, "
        f"below it the least and the greatest. Where even the least is {100 * AT_THE_CEILING:.0f} %, the machine is "
        "the limit, at what is named; else the setup's own work."
    )
    yield (
        "CPU: of the tracing process, at the largest ring. kernel: run time of the BPF programs, ns per event, where "
        "user space is waiting (and is woken up), where it is busy (the ring has events, and room), where the ring is "
        "full (the event is lost), and where the read is another process's."
    )
    if any(row.coarse for row in found):
        yield ">: at least; the library gives space back in large steps, so the time to wake up is in it."
    if held_up := [row for row in found if row.held_up]:
        worst = min(held_up, key=lambda row: row.on_cpu or 0.0)
        yield (
            f"Held up in {len(held_up)} of {len(found)} configurations, by the disk or by other programs: the tracer "
            f"was on its CPU less than {100 * ON_CPU_MIN:.0f} % of the time (worst: {100 * (worst.on_cpu or 0.0):.0f} "
            f"%, {worst.setup}, {worst.event_bytes} B, {worst.format}, ring {units.size(worst.ringbuf_bytes)}). "
            "There the library could be faster than this machine let it."
        )
