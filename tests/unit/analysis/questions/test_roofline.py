# SPDX-License-Identifier: Apache-2.0
"""The ceiling of a machine: what one thread can do that passes ring, copy and output one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import make_config, make_fio, make_record, make_summary, make_trial

from bpfbench.analysis import results
from bpfbench.analysis.questions.drain import Drained, Range
from bpfbench.analysis.questions.roofline import Ceiling, ceilings, savings, share
from bpfbench.model import (
    EVENT_BYTES,
    Buffer,
    Consumers,
    Format,
    Record,
    Tool,
    Variant,
    least_output_bytes,
    ring_record_bytes,
)
from bpfbench.model.roofline import CopySpeed, RingSpeed, Roofline, Sink, SinkSpeed, Woken

MEASURED = Roofline(
    sinks=(SinkSpeed(Sink.CACHED, 156e6), SinkSpeed(Sink.CACHED, 2 * 156e6)),
    copies=(CopySpeed(156, 10e6), CopySpeed(156, 12e6)),
    rings=(
        RingSpeed(156, 0, Woken.NEVER, 20e6, 20e6),
        RingSpeed(156, 0, Woken.NEVER, 20e6, 20e6),
        RingSpeed(156, 1, Woken.ADAPTIVE, 4e6, 9e6),
    ),
)


def of(form: Format = Format.BINARY, measured: Roofline = MEASURED) -> Ceiling:
    return next(own for own in ceilings(measured) if own.format is form)


def drained(rate: float, event_bytes: int = 156) -> Drained:
    return Drained(
        "libbpf",
        event_bytes,
        "binary",
        4 << 20,
        "tracepoint",
        events_per_s=Range(rate, rate, rate, 2),
        cpu_ns_per_event=None,
        kernel_ns_per_event=None,
        coarse=False,
        on_cpu=None,
        bytes_per_s=None,
    )


def test_times_add_up() -> None:
    found = of().events_per_s
    assert found.median == pytest.approx(1 / (1 / 20e6 + 1 / 11e6 + 1 / 1.5e6))
    assert found.min == pytest.approx(1 / (1 / 20e6 + 1 / 10e6 + 1 / 1e6))
    assert found.max == pytest.approx(1 / (1 / 20e6 + 1 / 12e6 + 1 / 2e6))


def test_the_ring_counts_at_its_best() -> None:
    assert {wall.name: wall.events_per_s.median for wall in of().walls}["ring"] == 20e6


def test_the_wall_that_takes_the_most_time_is_named() -> None:
    assert of().lowest == (Sink.CACHED,)


def test_walls_that_cannot_be_told_apart_are_named_together() -> None:
    copies = (CopySpeed(156, 1.9e6), CopySpeed(156, 3e6))
    assert set(of(measured=replace(MEASURED, copies=copies)).lowest) == {Sink.CACHED, "copy"}


def test_without_one_of_the_walls_there_is_no_ceiling() -> None:
    assert ceilings(replace(MEASURED, rings=())) == ()
    assert ceilings(Roofline(absent={"all": "the program is not there"})) == ()


def test_text_is_taken_at_its_shortest() -> None:
    assert least_output_bytes(156, Format.TEXT) == 50
    assert least_output_bytes(4252, Format.TEXT) == 50 + 3 * 4096 - 1
    assert least_output_bytes(4252, Format.BINARY) == 4252


def test_a_share_is_as_uncertain_as_both() -> None:
    found = share(drained(0.5e6), ceilings(MEASURED))
    assert found is not None
    most = of().events_per_s
    assert found.percent.median == pytest.approx(50e6 / most.median)
    assert (found.percent.min, found.percent.max) == pytest.approx((50e6 / most.max, 50e6 / most.min))
    assert found.wall == (), "its own work binds it"


def test_who_reaches_the_ceiling_is_bound_by_the_machine() -> None:
    found = share(drained(of().events_per_s.max), ceilings(MEASURED))
    assert found is not None
    assert found.wall == (Sink.CACHED,)


def test_of_what_was_not_measured_there_is_no_share() -> None:
    assert share(drained(1e6, 4252), ceilings(MEASURED)) is None
    assert share(replace(drained(1e6), events_per_s=None), ceilings(MEASURED)) is None


def saved(setup: str, events: int, lost: int, **factors: object) -> list[Record]:
    """Three trials of 2 s beside reads."""
    found = []
    for block in range(3):
        trial = make_trial(setup, block, config=make_config(**factors))
        summary = make_summary(trial, saved=events, lost={"ring_full": lost})
        found.append(make_record(trial, fio=make_fio(runtime_s=2.0), summary=summary))
    return found


def test_what_a_run_drained_is_set_beside_the_ceiling_and_who_lost_nothing_is_not_at_its_limit() -> None:
    ceiling = of().events_per_s
    records = [*saved("libbpf", 2_000_000, 9), *saved("bcc", 1_000_000, 0)]
    bcc, libbpf = sorted(savings(results.of(records), MEASURED), key=lambda own: own.cell.setup)
    drained = (2_000_000 - slots()) / 2
    assert libbpf.events_per_s is not None
    assert libbpf.events_per_s.median == pytest.approx(drained)
    assert libbpf.share is not None
    assert libbpf.share.percent.median == pytest.approx(100 * drained / ceiling.median)
    assert libbpf.share.percent.n == 2, "of as many as the fewest are of"
    assert (libbpf.at_its_limit, bcc.at_its_limit) == (True, False)


def slots(ringbuf_bytes: int = make_config().ringbuf_bytes or 0) -> float:
    """How many events a ring holds."""
    return ringbuf_bytes / ring_record_bytes(EVENT_BYTES)


def test_what_rings_can_hold_may_have_been_drained_after_the_target_had_ended() -> None:
    size = 2**26
    (some,) = savings(results.of(saved("libbpf", 1_000_000, 9, ringbuf_bytes=size)), MEASURED)
    assert some.events_per_s is not None
    assert some.events_per_s.median == pytest.approx((1_000_000 - slots(size)) / 2)
    (none,) = savings(results.of(saved("libbpf", int(slots(size)), 9, ringbuf_bytes=size)), MEASURED)
    assert (none.events_per_s, none.share) == (None, None)


@pytest.mark.parametrize("factors", [{"rings": "2", "consumers": Consumers.RING}, {"buffer": Buffer.PERF}])
def test_no_ceiling_is_for_several_threads_or_perf_buffers(factors: dict[str, Any]) -> None:
    (own,) = savings(results.of(saved("libbpf", 2_000_000, 9, **factors)), MEASURED)
    assert own.events_per_s is not None
    assert own.share is None


def test_of_counts_variants_and_sizes_that_were_not_measured_there_is_no_share() -> None:
    assert savings(results.of(saved("libbpf", 10, 1, variant=Variant.NO_OUTPUT)), MEASURED) == ()
    assert savings(results.of([make_record(make_trial("libbpf", tool=Tool.SYSCOUNT))]), MEASURED) == ()
    (other,) = savings(results.of(saved("libbpf", 10, 1, payload_bytes=100)), MEASURED)
    assert other.share is None
