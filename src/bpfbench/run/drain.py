# SPDX-License-Identifier: Apache-2.0
"""The drain rate of every setup: which configurations are measured, in what order, and how long it takes.

Independent of campaign.py: no fio, no run directory, and minutes instead of hours.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

from bpfbench import __version__, catalogue
from bpfbench.declare import plan
from bpfbench.errors import MachineError, StepError, UsageError
from bpfbench.machine import facts
from bpfbench.model import Study, Tool, TracerConfig, Waking
from bpfbench.model.drain import METHOD, PAYLOAD_BYTES, TOOL_OF_BYTES, Case, DrainSpec, Measured
from bpfbench.model.roofline import Roofline, RooflineSpec
from bpfbench.run import memory
from bpfbench.run.progress import Pace, ProgressReporter
from bpfbench.testbed.base import Sizes, Testbed

POLL_MS = 100
READY_S = 90.0
DRAIN_S = 120.0
KERNEL_EVENTS = 5000
KERNEL_RING_BYTES = 4 * 2**20
"""The ring, or that nearest to it, that the kernel side's run time is taken with."""

EVENT_SIZES = {tool: size for size, tool in TOOL_OF_BYTES.items()}

DISKS = Sizes(output=2**30)
"""Room that must be there for a tracer's output. The largest seen: 0.7 GB."""

ROOFLINE_S = 16.0
"""What one repetition of a roofline takes, on the same machine."""

SECONDS = {"bcc": 4.5, "bpftrace": 6.0}
SECONDS_USUAL = 3.4
"""What one configuration takes, to begin an estimate with; on the 2-CPU virtual machine this was developed on."""


def cases(study: Study) -> tuple[Case, ...]:
    """Return the cases of a study in their order: its setups, tools, hooks, formats and rings, crossed.

    Setups alternate within what they are compared in (repetition, size, format, ring), and everything comes again in
    another order in every repetition: this is what is done against a machine that drifts.
    """
    ordered: list[Case] = []
    for repetition in range(1, study.repetitions + 1):
        ordered += sorted(
            _once(study, repetition),
            key=lambda case: (
                _rank(study.seed, case.repetition, *case.group),
                _rank(study.seed, case.repetition, *case.group, case.called),
            ),
        )
    return tuple(ordered)


def _once(study: Study, repetition: int) -> Iterator[Case]:
    known, factors = catalogue.setups(study), study.factors
    kernel_ring = min(factors.ringbuf_bytes, key=lambda n: (abs(n.bit_length() - KERNEL_RING_BYTES.bit_length()), n))
    crossed = product(factors.setups, factors.attach, map(Tool, factors.tools), factors.format, factors.ringbuf_bytes)
    for setup, attach, tool, form, ring in crossed:
        payload = PAYLOAD_BYTES if tool is Tool.RW_TRACER_ALL else None
        config = TracerConfig(attach, form, ring, POLL_MS, payload)
        if not known[setup].refusal(tool, config):
            yield Case(repetition, setup, EVENT_SIZES[tool], config, ring == kernel_ring)
    yield from (replace(case, repetition=repetition) for case in tuned_cases(study))


def tuned_cases(study: Study) -> Iterator[Case]:
    """Yield setups as a study says that they are tuned, once, as far as they have one ring: that is what is drained.

    An event that wakes nobody waits for the poll time-out: what it costs the kernel side is not asked then.
    """
    known, factors = catalogue.setups(study), study.factors
    for own, attach, tool in product(study.tuned, factors.attach, map(Tool, factors.tools)):
        payload = PAYLOAD_BYTES if tool is Tool.RW_TRACER_ALL else None
        usual = TracerConfig(attach, factors.format[0], factors.ringbuf_bytes[0], POLL_MS, payload)
        config = plan.as_tuned(usual, own, tool)
        able = own.setup in factors.setups and not known[own.setup].refusal(tool, config)
        if able and config.rings_on(2) == 1:
            woken = config.wakeup in (Waking.ADAPTIVE, Waking.POLL)
            yield Case(1, own.setup, EVENT_SIZES[tool], config, with_kernel=woken, tuned=True)


def _rank(seed: int, *names: object) -> bytes:
    """Return what to sort by: random, but the same for a seed everywhere."""
    return hashlib.sha256(" ".join(map(str, (seed, *names))).encode()).digest()


def seconds_of(case: Case) -> float:
    """Estimate how long a case takes, before there is experience."""
    return SECONDS.get(case.setup, SECONDS_USUAL)


def planned(study: Study, testbed: Testbed) -> tuple[Case, ...]:
    """Return the cases of a study that is on the stage.

    Raises:
        MachineError: a CPU, room or memory is missing.
        UsageError: there is no case.
    """
    if testbed.cpus == 1:
        raise MachineError("the drain rate needs 2 CPUs, one to watch the tracer from; there is one")
    testbed.require_room(DISKS.output)
    if not (found := cases(study)):
        raise UsageError(f"option --attach: none of these setups can attach by {', '.join(study.factors.attach)}")
    hint = "choose smaller --ringbuf-bytes, or free memory"
    memory.require_rings(study, (case.config for case in found), testbed.cpus, hint, what="a tracer")
    return found


def measure(planned: Sequence[Case], testbed: Testbed, reporter: ProgressReporter) -> Iterator[Measured]:
    """Measure every case, and yield each when it is done. One that fails is kept with its reason."""
    pace = Pace(seconds_of)
    for number, case in enumerate(planned):
        reporter.measuring(case.name, number, len(planned), pace.left_s(planned[number:]))
        begin_s = time.monotonic()
        measured = _measure(case, testbed)
        pace.add(case, time.monotonic() - begin_s)
        reporter.measured(f"{number + 1}/{len(planned)} {_outcome(measured)}")
        yield measured


def roofline(testbed: Testbed, repetitions: int, seed: int) -> Roofline:
    """Measure what the machine allows at all. Where that fails, everything is absent, with the reason.

    Raises:
        MachineError: there is no room.
    """
    testbed.require_room(DISKS.output)
    try:
        return testbed.roofline(RooflineSpec(repetitions, seed, output_dir=""))
    except StepError as error:
        return Roofline(absent={"all": error.message})


def _measure(case: Case, testbed: Testbed) -> Measured:
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    spec = DrainSpec(
        setup=case.setup,
        tool=case.tool,
        config=case.config,
        tracer_command=(),
        output_dir="",
        ready_s=READY_S,
        drain_s=DRAIN_S,
        kernel_events=KERNEL_EVENTS if case.with_kernel else 0,
    )
    try:
        result = testbed.drain(spec)
    except StepError as error:
        return Measured(case, started_at, None, error.message)
    return Measured(case, started_at, result, "; ".join(result.problems) or None)


def _outcome(measured: Measured) -> str:
    if measured.result is None or measured.reason is not None:
        return f"{measured.case.name}: FAILED: {measured.reason}"
    rate, cpu_ns = measured.result.events_per_s, measured.result.cpu_ns_per_event
    return f"{measured.case.name}: {rate / 1e3:.1f} k events/s, {cpu_ns:.0f} ns of CPU per event"


def circumstances(testbed: Testbed) -> dict[str, Any]:
    """Return what a reader of the results needs to know of where they are from, ready for JSON."""
    besides = dict(testbed.facts)
    headers = besides.pop("headers_for_bcc")
    storage = facts.storage_facts({"output": testbed.output_dir})
    return {
        "method": METHOD,
        "bpfbench_version": __version__,
        "machine": {**besides, "storage": storage},
        "headers_for_bcc": headers,
        "image": {"name": testbed.image.name, "key": testbed.image.key, "versions": testbed.image.versions},
    }


def wanted(study: Study) -> dict[str, Any]:
    """Return what was asked for, ready for JSON."""
    return {
        "setups": (*study.factors.setups, *dict.fromkeys(case.called for case in tuned_cases(study))),
        "event_bytes": [EVENT_SIZES[Tool(tool)] for tool in study.factors.tools],
        "formats": study.factors.format,
        "ringbuf_bytes": study.factors.ringbuf_bytes,
        "repetitions": study.repetitions,
        "seed": study.seed,
        "attaches": study.factors.attach,
    }
