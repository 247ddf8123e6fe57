# SPDX-License-Identifier: Apache-2.0
"""The roofline: everything that a tracer cannot be faster than, measured by tracers/roofline, in turns.

Repetition after repetition, each in an order of its own, so that a machine that drifts does so for all of them alike.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar

from bpfbench.errors import StepError
from bpfbench.inside.drain import least
from bpfbench.inside.drain.at_work import cpus_apart
from bpfbench.model import Attach, Format, TracerConfig
from bpfbench.model.drain import PAYLOAD_BYTES, TOOL_OF_BYTES, DrainSpec
from bpfbench.model.roofline import (
    CopySpeed,
    HookCost,
    LeastSpeed,
    Reading,
    RingSpeed,
    Roofline,
    RooflineSpec,
    Sink,
    SinkSpeed,
    WakeUp,
    Woken,
)

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
R = TypeVar("R", bound=Reading)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured at once."""

    kind: str
    of: str
    take: Callable[[], Reading]
    """Raises StepError where it cannot be taken."""

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.kind}: {self.of}" if self.of else self.kind


def measurements(spec: RooflineSpec, cpus: int, tmpfs: Path | None) -> Iterator[Measurement]:
    """Yield what is measured in one repetition."""
    own = Path(spec.output_dir)
    for sink, folder in {Sink.CACHED: own, Sink.DIRECT: own, Sink.TMPFS: tmpfs, Sink.NULL: own}.items():
        if folder:
            yield Measurement("sink", str(sink), partial(_written, sink, folder))
            for size, form in product(TOOL_OF_BYTES, Format):
                tracer = _least(size, form, spec.output_dir)
                yield Measurement("least", f"{size} B, {form}, {sink}", partial(_drained, tracer, sink, folder))
    for size, tool in TOOL_OF_BYTES.items():
        yield Measurement("copy", f"{size} B", partial(_read, ("copy", size, RING_BYTES), _copy(size)))
        for producers in dict.fromkeys((0, 1, cpus)):
            for woken in Woken if producers else (Woken.NEVER,):
                words = ("ring", size, _payload_bytes(size) or 0, RING_BYTES, producers, woken, RING_MS)
                of = f"{tool}'s events, producers: {producers}, woken: {woken}"
                yield Measurement("ring", of, partial(_read, words, _ring(size, producers, woken)))
    yield Measurement("wake-up", "", partial(_read, ("wake", WAKE_UPS), _wake_up))
    for hook in HOOKS:
        yield Measurement("hook", hook, partial(_read, ("hook", hook, HOOKED_READS), _hook(hook)))


def _payload_bytes(size: int) -> int | None:
    return PAYLOAD_BYTES if size > PAYLOAD_BYTES else None


def _least(size: int, form: Format, output_dir: str) -> DrainSpec:
    """Describe the least tracer of such events."""
    config = TracerConfig(Attach.TRACEPOINT, form, RING_BYTES, payload_bytes=_payload_bytes(size))
    return DrainSpec("least", TOOL_OF_BYTES[size], config, (), output_dir, TIMEOUT_S, TIMEOUT_S, kernel_events=0)


def _drained(spec: DrainSpec, sink: Sink, folder: Path) -> LeastSpeed:
    return least.measure(spec, cpus_apart(os.sched_getaffinity(0)), sink, folder)


def _written(sink: Sink, folder: Path) -> SinkSpeed:
    with least.output(sink, folder) as (path, way):
        return _read(("sink", path, SINK_BYTES.get(sink, SINK_BYTES_USUAL), CHUNK_BYTES, way), _sink(sink))


def run(spec: RooflineSpec) -> Roofline:
    """Measure everything, as often as is asked for. What fails once is absent, with the reason."""
    cpus = len(os.sched_getaffinity(0))
    tmpfs = _tmpfs()
    planned = list(measurements(spec, cpus, tmpfs))
    absent = {} if tmpfs else {f"sink: {Sink.TMPFS}": "no tmpfs is mounted where it could be written"}
    if cpus == 1:
        planned = [own for own in planned if own.kind in ("sink", "copy", "hook")]
        absent |= dict.fromkeys(
            ("least", "ring", "wake-up"), "it takes 2 CPUs, one for the producer and one for the consumer"
        )
    order = random.Random(spec.seed)  # noqa: S311 - the same for a seed everywhere
    readings: dict[str, list[Reading]] = {own.name: [] for own in planned}
    for _ in range(spec.repetitions):
        order.shuffle(planned)
        for own in planned:
            if own.name not in absent:
                try:
                    readings[own.name].append(own.take())
                except StepError as error:
                    absent[own.name] = error.message
    found = [reading for name, own in readings.items() if name not in absent for reading in own]
    return Roofline(
        least=tuple(own for own in found if isinstance(own, LeastSpeed)),
        sinks=tuple(own for own in found if isinstance(own, SinkSpeed)),
        copies=tuple(own for own in found if isinstance(own, CopySpeed)),
        rings=tuple(own for own in found if isinstance(own, RingSpeed)),
        wake_ups=tuple(own for own in found if isinstance(own, WakeUp)),
        hooks=tuple(own for own in found if isinstance(own, HookCost)),
        absent=absent,
    )


def _read(words: Sequence[object], reading: Callable[[Values], R]) -> R:
    """Call the program with these words, and return what its numbers come to."""
    try:
        done = subprocess.run(
            (least.PROGRAM, *map(str, words)), capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StepError(str(error)) from None
    if done.returncode != 0:
        raise StepError(done.stderr.strip() or f"it ended with status {done.returncode}")
    return reading({name: float(value) for name, value in json.loads(done.stdout).items()})


def _per_s(count: float, values: Values) -> float:
    return 1e9 * count / values["ns"]


def _sink(sink: Sink) -> Callable[[Values], SinkSpeed]:
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
