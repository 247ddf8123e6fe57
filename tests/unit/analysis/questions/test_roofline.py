# SPDX-License-Identifier: Apache-2.0
"""The ceiling of a machine, its walls, and how near to it a run's tracers come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import make_config, make_fio, make_record, make_summary, make_trial

from bpfbench.analysis import results
from bpfbench.analysis.questions.roofline import RING_AND_COPY, Ceiling, Range, ceilings, savings, share
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
from bpfbench.model.roofline import LeastSpeed, Roofline, Sink


def least(*rates: float, sink: Sink = Sink.CACHED, form: Format = Format.BINARY) -> tuple[LeastSpeed, ...]:
    return tuple(LeastSpeed(156, form, sink, rate) for rate in rates)


MEASURED = Roofline(least=least(1e6, 1.5e6, 2e6) + least(10e6, 12.5e6, sink=Sink.NULL))


def of(measured: Roofline = MEASURED, sink: Sink = Sink.CACHED) -> Ceiling:
    return next(own for own in ceilings(measured) if own.sink is sink)


def test_the_ceiling_is_what_the_least_tracer_came_to() -> None:
    found = of().events_per_s
    assert (found.median, found.min, found.max, found.n) == (1.5e6, 1e6, 2e6, 3)


def test_what_it_takes_less_with_its_output_thrown_away_is_the_outputs() -> None:
    walls = {wall.name: wall.ns for wall in of().walls}
    assert walls[RING_AND_COPY].median == pytest.approx(1e9 / 11.25e6)
    output = walls[Sink.CACHED]
    assert output.median == pytest.approx(1e9 / 1.5e6 - 1e9 / 11.25e6)
    assert (output.min, output.max) == pytest.approx((500 - 100, 1000 - 80))
    assert [wall.name for wall in of(sink=Sink.NULL).walls] == [RING_AND_COPY]


def test_the_wall_that_takes_the_most_time_is_named() -> None:
    assert of().highest == (Sink.CACHED,)
    assert of(replace(MEASURED, least=least(9e6, 8e6) + least(10e6, 10e6, sink=Sink.NULL))).highest == (RING_AND_COPY,)


def test_walls_that_cannot_be_told_apart_are_named_together() -> None:
    wide = Roofline(least=least(4e6, 6e6) + least(9e6, 13e6, sink=Sink.NULL))
    assert set(of(wide).highest) == {Sink.CACHED, RING_AND_COPY}


def test_a_wall_takes_no_less_than_no_time() -> None:
    noisy = Roofline(least=least(9e6, 12e6) + least(10e6, 11e6, sink=Sink.NULL))
    assert min(wall.ns.min for wall in of(noisy).walls) == 0.0


def test_without_one_of_both_there_is_no_ceiling() -> None:
    assert ceilings(Roofline(least=least(1e6))) == ()
    assert ceilings(Roofline(absent={"all": "the program is not there"})) == ()


def test_text_is_taken_at_its_shortest() -> None:
    assert least_output_bytes(156, Format.TEXT) == 50
    assert least_output_bytes(4252, Format.TEXT) == 50 + 3 * 4096 - 1
    assert least_output_bytes(4252, Format.BINARY) == 4252


def test_who_reaches_the_ceiling_is_bound_by_the_machine() -> None:
    assert share(Range(95.0, 81.0, 101.0, 3), of()).wall == (Sink.CACHED,)
    assert share(Range(95.0, 79.0, 101.0, 3), of()).wall == (), "its own work binds it"


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
    percent = libbpf.share.percent
    assert (percent.min, percent.max) == pytest.approx((100 * drained / ceiling.max, 100 * drained / ceiling.min))
    assert percent.n == 3
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
