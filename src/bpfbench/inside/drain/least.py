# SPDX-License-Identifier: Apache-2.0
"""What the least that a tracer can do comes to: it copies each event once and writes it, and is measured as all are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.drain.at_work import AtWork, at_work, chosen, drain_repeatedly, refresh
from bpfbench.inside.tracer import DEFAULT_RINGBUF_BYTES
from bpfbench.model import TARGET_COMM, least_output_bytes
from bpfbench.model.drain import DrainSpec
from bpfbench.model.roofline import LeastSpeed, Roofline, Sink

PROGRAM = "/bpfbench/tracers/roofline/roofline"

BUFFER_BYTES = 2**18
"""It writes as much at once."""


def measure(spec: DrainSpec, cpus: dict[str, Set[int]], sink: Sink, folder: Path) -> LeastSpeed:
    """Measure it with such events and such a ring as a tracer has.

    Args:
        spec: of the tracer; its setup and command count for nothing here.
        cpus: as the tracer has them.
        sink: where its output goes.
        folder: where that is a file.

    Raises:
        StepError: it could not be measured.
    """
    with output(sink, folder) as (path, way):
        rate = _rate(spec, cpus, sink, path, way)
    return LeastSpeed(spec.config.event_bytes, spec.config.format, sink, rate)


@contextlib.contextmanager
def output(sink: Sink, folder: Path) -> Iterator[tuple[Path, str]]:
    """Say where the program is to write, and how, as it is told; on leaving, what was written is deleted."""
    file = folder / "roofline"
    try:
        yield Path(sink) if sink is Sink.NULL else file, "direct" if sink is Sink.DIRECT else "cached"
    finally:
        file.unlink(missing_ok=True)


def beside(spec: DrainSpec, cpus: dict[str, Set[int]], sinks: Iterable[Sink]) -> Roofline:
    """Measure it beside a tracer, for each of these. What cannot be measured is absent, with the reason."""
    found, absent = [], {}
    for sink in sinks:
        try:
            found.append(measure(spec, cpus, sink, Path(spec.output_dir)))
        except StepError as error:
            absent[f"least: {spec.config.event_bytes} B, {spec.config.format}, {sink}"] = error.message
    return Roofline(least=tuple(found), absent=absent)


def _rate(spec: DrainSpec, cpus: dict[str, Set[int]], sink: Sink, path: Path, way: str) -> float:
    config = spec.config
    event_bytes = least_output_bytes(config.event_bytes, config.format)
    ring_bytes = config.ringbuf_bytes or DEFAULT_RINGBUF_BYTES
    words = (TARGET_COMM, config.event_bytes, config.payload_bytes or 0, ring_bytes, event_bytes, path, way)
    if sink in (Sink.CACHED, Sink.TMPFS):
        refresh(path.parent, config)
    with at_work(spec, (PROGRAM, "least", *map(str, words)), cpus) as found:
        drain_repeatedly(found)
        status = found.traced.stop(spec.drain_s)
    if status != 0:
        raise StepError(found.traced.last_message())
    if sink is not Sink.NULL:
        _check(found, event_bytes, path)
    if not (bursts := chosen(found.bursts)):
        raise StepError(f"all {len(found.bursts)} bursts were disturbed")
    return 1e9 * sum(burst.events for burst in bursts) / sum(burst.ns for burst in bursts)


def _check(run: AtWork, event_bytes: int, path: Path) -> None:
    """Raise StepError where it has not written what it had to, in whole buffers."""
    due = run.producer.reads * event_bytes // BUFFER_BYTES * BUFFER_BYTES
    if (size := path.stat().st_size) != due:
        raise StepError(f"it wrote {size} bytes where {due} were due")
