# SPDX-License-Identifier: Apache-2.0
"""The roofline: everything that a tracer cannot be faster than, measured by tracers/roofline, in turns.

Repetition after repetition, each in an order of its own, so that a machine that drifts does so for all of them alike.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.model import Attach
from bpfbench.model.drain import PAYLOAD_BYTES, TOOL_OF_BYTES
from bpfbench.model.roofline import (
    CopySpeed,
    HookCost,
    Reading,
    RingSpeed,
    Roofline,
    RooflineSpec,
    Sink,
    SinkSpeed,
    WakeUp,
    Woken,
)

PROGRAM = "/bpfbench/tracers/roofline/roofline"

CHUNK_BYTES = 2**16
"""Of one write: a tracer's output buffer, by the contract."""
SINK_BYTES = {Sink.NULL: 2**40}
SINK_BYTES_USUAL = 2**28
RING_BYTES = 2**22
"""What is copied comes from as much memory, and from the caches where a ring's records would."""
RING_MS = 300
WAKE_UPS = 500
HOOKED_READS = 20_000
TIMEOUT_S = 60.0
"""For one measurement, which takes less than 2 s where nothing is emulated."""

HOOKS = tuple(hook for hook in Attach if hook is not Attach.AUTO)

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured at once: the words that the program is called with, and what its numbers come to."""

    name: str
    words: tuple[object, ...]
    reading: Callable[[Values], Reading]
    file: Path | None = None
    """What it writes, which is deleted after it."""


def measurements(spec: RooflineSpec, cpus: int, tmpfs: Path | None) -> Iterator[Measurement]:
    """Yield what is measured in one repetition."""
    places = {Sink.CACHED: Path(spec.output_dir), Sink.DIRECT: Path(spec.output_dir), Sink.TMPFS: tmpfs}
    words: tuple[object, ...]
    for sink in Sink:
        folder = places.get(sink)
        file = folder / "roofline" if folder else None
        if file or sink is Sink.NULL:
            way = "direct" if sink is Sink.DIRECT else "cached"
            words = ("sink", file or sink, SINK_BYTES.get(sink, SINK_BYTES_USUAL), CHUNK_BYTES, way)
            yield Measurement(f"sink: {sink}", words, _sink(sink), file)
    for size, tool in TOOL_OF_BYTES.items():
        yield Measurement(f"copy: {size} B", ("copy", size, RING_BYTES), _copy(size))
        payload = PAYLOAD_BYTES if size > PAYLOAD_BYTES else 0
        for producers in dict.fromkeys((0, 1, cpus)):
            for woken in Woken if producers else (Woken.NEVER,):
                words = ("ring", size, payload, RING_BYTES, producers, woken, RING_MS)
                name = f"ring: {tool}'s events, producers: {producers}, woken: {woken}"
                yield Measurement(name, words, _ring(size, producers, woken))
    yield Measurement("wake-up", ("wake", WAKE_UPS), _wake_up)
    for hook in HOOKS:
        yield Measurement(f"hook: {hook}", ("hook", hook, HOOKED_READS), _hook(hook))


def run(spec: RooflineSpec) -> Roofline:
    """Measure everything, as often as is asked for. What fails once is absent, with the reason."""
    cpus = len(os.sched_getaffinity(0))
    tmpfs = _tmpfs()
    planned = list(measurements(spec, cpus, tmpfs))
    absent = {} if tmpfs else {f"sink: {Sink.TMPFS}": "no tmpfs is mounted where it could be written"}
    if cpus == 1:
        planned = [own for own in planned if own.words[0] in ("sink", "copy", "hook")]
        absent |= dict.fromkeys(("ring", "wake-up"), "it takes 2 CPUs, one for the producer and one for the consumer")
    order = random.Random(spec.seed)  # noqa: S311 - the same for a seed everywhere
    readings: dict[str, list[Reading]] = {own.name: [] for own in planned}
    for _ in range(spec.repetitions):
        order.shuffle(planned)
        for own in planned:
            if own.name not in absent:
                try:
                    readings[own.name].append(own.reading(_values(own)))
                except StepError as error:
                    absent[own.name] = error.message
    found = [reading for name, own in readings.items() if name not in absent for reading in own]
    return Roofline(
        sinks=tuple(own for own in found if isinstance(own, SinkSpeed)),
        copies=tuple(own for own in found if isinstance(own, CopySpeed)),
        rings=tuple(own for own in found if isinstance(own, RingSpeed)),
        wake_ups=tuple(own for own in found if isinstance(own, WakeUp)),
        hooks=tuple(own for own in found if isinstance(own, HookCost)),
        absent=absent,
    )


def _values(own: Measurement) -> Values:
    argv = (PROGRAM, *map(str, own.words))
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StepError(str(error)) from None
    finally:
        if own.file:
            own.file.unlink(missing_ok=True)
    if done.returncode != 0:
        raise StepError(done.stderr.strip() or f"it ended with status {done.returncode}")
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def _per_s(count: float, values: Values) -> float:
    return 1e9 * count / values["ns"]


def _sink(sink: Sink) -> Callable[[Values], Reading]:
    return lambda values: SinkSpeed(sink, _per_s(values["bytes"], values))


def _copy(size: int) -> Callable[[Values], Reading]:
    return lambda values: CopySpeed(size, _per_s(values["records"], values))


def _ring(size: int, producers: int, woken: Woken) -> Callable[[Values], Reading]:
    def reading(values: Values) -> Reading:
        consumed, produced = (_per_s(values[name], values) for name in ("consumed", "produced"))
        return RingSpeed(size, producers, woken, consumed, produced)

    return reading


def _wake_up(values: Values) -> Reading:
    taken = values["waking_ns"] - values["silent_ns"]
    return WakeUp(taken, values["latency_p50_ns"], values["latency_p99_ns"])


def _hook(hook: str) -> Callable[[Values], Reading]:
    return lambda values: HookCost(hook, values["hooked_ns"] - values["bare_ns"])


def _tmpfs() -> Path | None:
    """Return where a tmpfs is mounted that everybody has."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    kinds = {words[1]: words[2] for words in mounts}
    return next((Path(place) for place in ("/dev/shm", "/tmp", "/run") if kinds.get(place) == "tmpfs"), None)  # noqa: S108
