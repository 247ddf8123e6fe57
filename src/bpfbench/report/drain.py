# SPDX-License-Identifier: Apache-2.0
"""Drain rates for the eye and for programs: one table per event size and format; one JSON document.

JSON (`schema` counts incompatible changes; new keys may come without one):

    schema         1
    method, machine, image, ...   the circumstances (bpfbench.drain.circumstances)
    rows[]         none of an emulated machine; setup, event_bytes, format, ringbuf_bytes, attach,
                   events_per_s, bytes_per_s, cpu_ns_per_event: {median, min, max, n} over repetitions, or null,
                   kernel_ns_per_event: waiting, busy, full, other -> the same, or null where it was not taken
    measurements[] every repetition's own: case, started_at, result, reason (why it does not count, else null)

`bytes_per_s` is of the events as the contract has them (156 or 4252 bytes), whatever they take in ring and output.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import Box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bpfbench import units
from bpfbench.model import EMULATED_REMARK
from bpfbench.model.drain import DrainResult, KernelTime, Measured
from bpfbench.report import wording
from bpfbench.report.write.terminal import ASCII_RULE, GAP, RULE


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters that not every terminal can show."""

    plus_minus: str
    box: Box


UNICODE, ASCII = Glyphs("\N{PLUS-MINUS SIGN}", RULE), Glyphs("+-", ASCII_RULE)
SCHEMA = 1
"""Version of the JSON document. History: 1 (first)."""

STATES = tuple(field.name.removesuffix("_ns") for field in dataclasses.fields(KernelTime))
"""What an event can meet on the kernel side."""

ON_CPU_MIN = 0.9
"""A tracer that was on its CPU for less of the time was held up."""

WAKE_UP_S = 20e-6
"""What stopping and letting go on takes of CPU time, about; it hides the rest where a burst is not much longer."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A value over repetitions."""

    median: float
    min: float
    max: float
    n: int


@dataclass(frozen=True, slots=True)
class Row:
    """One setup in one configuration, over its repetitions that count."""

    setup: str
    event_bytes: int
    format: str
    ringbuf_bytes: int
    attach: str
    events_per_s: Spread | None
    cpu_ns_per_event: Spread | None
    kernel_ns_per_event: dict[str, Spread] | None
    coarse: bool
    """Most bursts were seen as a whole only."""
    on_cpu: float | None
    """The share of the draining time that the tracer was on a CPU; None where bursts are too short to tell."""

    @property
    def bytes_per_s(self) -> Spread | None:
        """The same rate in bytes of events."""
        rate, size = self.events_per_s, self.event_bytes
        return rate and Spread(rate.median * size, rate.min * size, rate.max * size, rate.n)


_Key = tuple[str, int, str, int, str]


def rows(measured: Sequence[Measured]) -> tuple[Row, ...]:
    """Put the repetitions together, in the order in which sizes, formats, rings and hooks were first asked for."""
    found: dict[_Key, list[DrainResult]] = {}
    for item in measured:
        case = item.case
        config = case.config
        key = (case.setup, case.event_bytes, config.format.value, config.ringbuf_bytes or 0, config.attach.value)
        found.setdefault(key, [])
        if item.result is not None and item.reason is None:
            found[key].append(item.result)
    return tuple(_row(key, found[key]) for key in sorted(found, key=lambda key: key[1:]))


def _row(key: _Key, results: Sequence[DrainResult]) -> Row:
    kernel = [dataclasses.asdict(result.kernel) for result in results if result.kernel is not None]
    times = {state: _spread([taken[f"{state}_ns"] for taken in kernel]) for state in STATES}
    return Row(
        *key,
        events_per_s=_spread([result.events_per_s for result in results]),
        cpu_ns_per_event=_spread([result.cpu_ns_per_event for result in results]),
        kernel_ns_per_event={state: spread for state, spread in times.items() if spread} or None,
        coarse=any(result.coarse for result in results),
        on_cpu=_on_cpu(results),
    )


def _times(n: int) -> str:
    return "1 repetition" if n == 1 else f"{n} repetitions"


def _spread(values: Sequence[float]) -> Spread | None:
    return Spread(statistics.median(values), min(values), max(values), len(values)) if values else None


def _on_cpu(results: Sequence[DrainResult]) -> float | None:
    long = [r for r in results if r.slots / r.events_per_s > 100 * WAKE_UP_S]
    shares = [min(1.0, r.cpu_ns_per_event * r.events_per_s / 1e9) for r in long]
    return statistics.median(shares) if shares else None


def to_json(measured: Sequence[Measured], circumstances: Mapping[str, Any]) -> str:
    """Write everything as one JSON document."""
    shown = () if circumstances["machine"].get("emulated") else rows(measured)
    document = {
        "schema": SCHEMA,
        **circumstances,
        "rows": [_row_json(row) for row in shown],
        "measurements": [dataclasses.asdict(item) for item in measured],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _row_json(row: Row) -> dict[str, Any]:
    rate, size = row.bytes_per_s, dataclasses.asdict(row)
    return {**size, "bytes_per_s": rate and dataclasses.asdict(rate)}


def render(measured: Sequence[Measured], circumstances: Mapping[str, Any], console: Console) -> None:
    """Print a table per event size and format."""
    order = {name: place for place, name in enumerate(circumstances["wanted"]["setups"])}
    facts, image, wanted = circumstances["machine"], circumstances["image"], circumstances["wanted"]
    _say(console, "How fast user space drains the ring, and what an event costs", style="bold")
    _say(
        console,
        f"{facts['host']} ({facts['cpus']} CPUs, {facts['cpu_model']}), kernel {_kernel(facts)}, image "
        f"{image['name']} {image['key'][:8]}, {_times(wanted['repetitions'])}, method {circumstances['method']}",
    )
    if facts.get("emulated"):
        whole = sum(item.reason is None for item in measured)
        _say(console, f"{EMULATED_REMARK} Every event was accounted for in {whole} of {_times(len(measured))}.")
    else:
        _print_rates(rows(measured), order, console)
    failed = [item for item in measured if item.reason is not None]
    if failed:
        console.print()
        _say(console, f"Not counted ({len(failed)})", style="bold")
        for item in failed:
            _say(console, f"{item.case.name}: {item.reason}")


def _print_rates(found: Sequence[Row], order: Mapping[str, int], console: Console) -> None:
    kinds: dict[tuple[int, str, str], list[Row]] = {}
    for row in found:
        kinds.setdefault((row.event_bytes, row.format, row.attach), []).append(row)
    for (size, form, attach), these in kinds.items():
        console.print()
        _say(console, f"Events of {size} bytes, {form}, by {attach}", style="bold")
        setups = sorted({row.setup for row in these}, key=lambda name: order[name])
        _print(console, _table(these, setups, console))
    console.print()
    for line in _legend(found):
        _say(console, line, style="dim")


def _kernel(facts: Mapping[str, Any]) -> str:
    """Name the kernel that was measured on: that of the virtual machine, if it was one."""
    kernels = facts.get("kernels") or {"": {"release": facts["kernel"]}}
    return ", ".join(kernel["release"] for kernel in kernels.values())


def _table(these: Sequence[Row], setups: Sequence[str], console: Console) -> Table:
    rings = sorted({row.ringbuf_bytes for row in these})
    glyphs = ASCII if console.options.ascii_only else UNICODE
    table = Table(box=glyphs.box, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    table.add_column(Text("\nsetup"), no_wrap=True)
    for number, ring in enumerate(rings):
        title = "events/s" if number == 0 else ""
        table.add_column(Text(f"{title}\n{units.size(ring)}"), justify="right", no_wrap=True)
    for title in ("MB/s\nbest", "CPU, ns\nper event", "kernel, ns\nwaiting", "\nbusy", "\nfull", "\nother"):
        table.add_column(Text(title), justify="right", no_wrap=True)
    for setup in setups:
        own = {row.ringbuf_bytes: row for row in these if row.setup == setup}
        table.add_row(*_line(setup, [own.get(ring) for ring in rings], glyphs))
    return table


def _line(setup: str, by_ring: Sequence[Row | None], glyphs: Glyphs) -> Iterator[Text]:
    yield Text(wording.printable(setup))
    for row in by_ring:
        mark = ">" if row and row.coarse else ""
        yield _cell(row.events_per_s if row else None, _si, glyphs, mark)
    known = [row for row in by_ring if row is not None and row.events_per_s is not None]
    best = max(known, key=lambda row: row.events_per_s.median if row.events_per_s else 0.0, default=None)
    yield _cell(best.bytes_per_s if best else None, lambda value: _figure(value / 1e6), glyphs)
    # That of the largest ring: in a small one, stopping the tracer and letting it go on is a part of it.
    yield _cell(known[-1].cpu_ns_per_event if known else None, _figure, glyphs)
    kernel: dict[str, Spread] = next((row.kernel_ns_per_event for row in known if row.kernel_ns_per_event), {})
    for state in STATES:
        yield _cell(kernel.get(state), _figure, glyphs)


def _cell(spread: Spread | None, write: Callable[[float], str], glyphs: Glyphs, mark: str = "") -> Text:
    """Write the median above, half the range below."""
    if spread is None:
        return Text(wording.ABSENT)
    text = f"{mark}{write(spread.median)}"
    if spread.n > 1:
        text += f"\n{glyphs.plus_minus}{50 * (spread.max - spread.min) / spread.median:.0f}%"
    return Text(text)


def _si(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:
            return f"{_figure(value / size)} {unit}"
    return _figure(value)


def _figure(value: float) -> str:
    """Write three digits, and all those before the point."""
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def _legend(found: Sequence[Row]) -> Iterator[str]:
    yield (
        "Median of the repetitions, below it half the range. k, M: 1000, 1000000. Predicted fidelity = min(1, drain "
        "rate / event rate), for a tracer with a CPU of its own."
    )
    yield (
        "CPU: of the tracing process, at the largest ring. kernel: run time of the BPF programs where user space is "
        "waiting (and is woken up), where it is busy (the ring has events, and room), where the ring is full (the "
        "event is lost), and where the read is another process's."
    )
    if any(row.coarse for row in found):
        yield ">: at least; the library gives space back in large steps, so the time to wake up is in it."
    held_up = [row for row in found if row.on_cpu is not None and row.on_cpu < ON_CPU_MIN]
    if held_up:
        worst = min(held_up, key=lambda row: row.on_cpu or 0.0)
        share = 100 * (worst.on_cpu or 0.0)
        yield (
            f"Held up in {len(held_up)} of {len(found)} configurations, by the disk or by other programs: the tracer "
            f"was on its CPU less than {100 * ON_CPU_MIN:.0f} % of the time (worst: {share:.0f} %, "
            f"{worst.setup}, {worst.event_bytes} B, {worst.format}, ring {units.size(worst.ringbuf_bytes)}). There "
            "the library could be faster than this machine let it."
        )


def _say(console: Console, text: str, style: str = "") -> None:
    _print(console, Text(wording.printable(text), style=style))


def _print(console: Console, renderable: RenderableType) -> None:
    """Print without the blanks rich fills lines up with, so that the output can be pasted."""
    with console.capture() as written:
        console.print(renderable)
    for line in written.get().splitlines():
        text = Text.from_ansi(line)
        text.rstrip()
        console.print(text, soft_wrap=True)
