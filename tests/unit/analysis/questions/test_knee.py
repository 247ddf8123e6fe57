# SPDX-License-Identifier: Apache-2.0
"""Knees: of curves whose truth is known, and of records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from builders import make_config, make_delivery, make_failure, make_fio, make_record, make_summary, make_trial

from bpfbench.analysis.decision import decide
from bpfbench.analysis.gaps import BlockId
from bpfbench.analysis.questions.knee import COSTS, ORDERED, Knee, Turned, knee, knees, turned_up
from bpfbench.analysis.results import of
from bpfbench.model import Buffer, Consumers, Criteria, Format, ProgramTime, Record, Slots, Variant, Workload

NAMES = ("a", "b", "c", "d", "e")
MARGIN = 1.0
PACED = Workload("write", processes=4, bytes_per_process=1000 * 4096, rate_iops=2500)
WAKEUPS = ("never", "watermark:16384", "adaptive", "watermark:4096")
DELAYS_MS = {"adaptive": 4.0, "watermark:4096": 4.1, "watermark:16384": 10.0, "never": 1000.0}
LATENCIES_US = {"adaptive": 30.0, "watermark:4096": 20.0, "watermark:16384": 10.0, "never": 10.0}
NOISE = (1.0, 1.002, 0.998, 1.001, 0.999)


def found(worth: Sequence[float], sd: float, rounds: int, seed: int = 1) -> Knee:
    """The knee of values that are worth so much, more being better, in a machine that drifts."""
    random = np.random.default_rng(seed)
    drift = random.normal(0, 10, rounds)
    values: dict[str, dict[None, dict[BlockId, float]]] = {
        name: {None: {(at, ""): own + drift[at] + random.normal(0, sd) for at in range(rounds)}}
        for name, own in zip(NAMES, worth, strict=True)
    }
    return knee(decide(values, MARGIN).whole, NAMES)


class TestKnee:
    def test_where_it_is_plain_it_is_one_value(self) -> None:
        assert found((-9.0, -4.0, 0.0, 0.1, 0.0), sd=0.05, rounds=6) == Knee("c", "c")

    def test_a_value_at_the_margin_may_be_it(self) -> None:
        assert found((-9.0, -1.0, 0.0, 0.0, 0.0), sd=0.2, rounds=6) == Knee("b", "c")

    def test_noise_leaves_it_open(self) -> None:
        assert found((-9.0, -4.0, 0.0, 0.0, 0.0), sd=20.0, rounds=4) == Knee("a", None)

    @pytest.mark.parametrize("rounds", [1, 2])
    def test_few_rounds_tell_nothing(self, rounds: int) -> None:
        assert found((-9.0, -4.0, 0.0, 0.0, 0.0), sd=0.01, rounds=rounds) == Knee("a", None)

    def test_where_all_are_alike_the_smallest_is_enough(self) -> None:
        assert found((0.0,) * 5, sd=0.05, rounds=6) == Knee("a", "a")

    def test_a_curve_that_falls_again_has_its_knee_before(self) -> None:
        assert found((-9.0, 0.0, -9.0, -9.0, -9.0), sd=0.05, rounds=6) == Knee("b", "b")

    def test_the_truth_lies_between_its_ends_in_95_of_100_studies(self) -> None:
        worth, true = (-6.0, -2.0, -0.9, -0.2, 0.0), NAMES.index("c")
        wrong = 0
        for seed in range(200):
            own = found(worth, sd=0.7, rounds=5, seed=seed)
            ends = NAMES.index(own.first), NAMES.index(own.enough or NAMES[-1])
            wrong += not ends[0] <= true <= ends[1]
        assert wrong <= 10


class TestOrder:
    def test_wakeups_are_in_the_order_of_what_the_ring_holds(self) -> None:
        assert sorted(WAKEUPS, key=lambda own: turned_up("wakeup", own) or 0.0) == [
            "adaptive",
            "watermark:4096",
            "watermark:16384",
            "never",
        ]

    def test_what_has_no_place_in_it_is_left_out(self) -> None:
        assert turned_up("wakeup", "poll") is None
        assert turned_up("ringbuf_bytes", None) is None
        assert turned_up("ringbuf_bytes", 4096) == 4096

    def test_edges_are_on_or_off(self) -> None:
        assert [turned_up("epoll", own) for own in ("level", "edge", None)] == [0, 1, None]

    def test_knobs_that_are_words_have_none_but_these(self) -> None:
        assert set(ORDERED) == {"wakeup", "ringbuf_bytes", "poll_ms", "output_bytes", "epoll"}


class TestWaits:
    def test_it_is_what_fills_the_ring_up_to_the_watermark(self) -> None:
        config = make_config(wakeup="watermark:16800", poll_ms=1000)
        assert config.waits_ms(10_000) == pytest.approx(10)  # 100 slots of 168 bytes

    def test_the_poll_time_out_ends_it(self) -> None:
        assert make_config(wakeup="watermark:16800", poll_ms=3).waits_ms(10_000) == 3
        assert make_config(wakeup="never", poll_ms=10).waits_ms(10_000) == 10

    @pytest.mark.parametrize(
        "more",
        [
            {"wakeup": "adaptive"},
            {"wakeup": "poll"},
            {"rings": "cpu", "consumers": Consumers.RING},
            {"buffer": Buffer.PERF},
            {"records": Slots.VARIABLE},
            {"poll_ms": None},
        ],
        ids=str,
    )
    def test_where_more_decides_it_is_not_known(self, more: dict[str, object]) -> None:
        assert make_config(**{"wakeup": "watermark:4096", **more}).waits_ms(10_000) is None

    def test_what_settings_let_events_wait_is_that_and_what_fills_the_output_buffer(self) -> None:
        full_ms = 1000 * 2**16 / 156 / 10_000  # 42 ms
        for knobs, waits in (
            ({"wakeup": "adaptive"}, 0.0),
            ({"wakeup": "poll"}, 0.0),
            ({"wakeup": "never", "poll_ms": 30}, 30.0),
            ({"wakeup": "watermark:16800", "poll_ms": 1000}, 10.0),
            ({"wakeup": "watermark:16800", "poll_ms": 1000, "buffer": Buffer.PERF}, 1000.0),
        ):
            assert make_config(**knobs).delay_ms(10_000, cpus=2) == pytest.approx(waits + full_ms)
        text = make_config(format=Format.TEXT)  # 131 ms, of lines that are as short as they can be
        assert text.delay_ms(10_000, cpus=2) == pytest.approx(1000 * 2**16 / 50 / 10_000)
        each = make_config(rings="cpu", consumers=Consumers.RING)
        assert each.delay_ms(10_000, cpus=2) == pytest.approx(2 * full_ms)  # each has a buffer of its own

    def test_a_buffer_that_nothing_comes_to_is_written_after_a_time_out(self) -> None:
        assert make_config(poll_ms=100).delay_ms(5, cpus=2) == 100
        assert make_config(wakeup="never", poll_ms=100).delay_ms(None, cpus=2) == 100
        assert make_config(wakeup="watermark:4096").delay_ms(None, cpus=2) == 0  # at a rate that is high enough

    def test_nothing_fills_no_ring(self) -> None:
        assert make_config(wakeup="watermark:4096").waits_ms(0) is None


def ran(wakeup: str | None, block: int, variant: Variant = Variant.FULL, **knobs: object) -> Record:
    """A trial of what its wake-ups cost; without one, vanilla."""
    config = None if wakeup is None else make_config(wakeup=wakeup, variant=variant, poll_ms=1000, **knobs)
    trial = make_trial("vanilla" if wakeup is None else "libbpf", block, workload=PACED, config=config)
    trial = replace(trial, id=f"{trial.id}-{wakeup}-{variant}-{knobs}")
    latency_us = 8.0 if wakeup is None else LATENCIES_US[wakeup]
    noise = NOISE[(block + len(trial.id)) % len(NOISE)]
    own = make_record(trial, fio=make_fio(latency_us=latency_us * noise), summary=make_summary(trial, saved=100_000))
    if variant is Variant.RUN_TIME:
        own = replace(own, programs=(ProgramTime("exit", round(latency_us * 1e8 * noise), 1),))
    if variant is Variant.DELAY and wakeup is not None:
        own = replace(own, delivery=make_delivery(p99_ms=DELAYS_MS[wakeup] * noise))
    return own


def of_wakeups(blocks: int = 5, **knobs: object) -> list[Record]:
    variants = (Variant.FULL, Variant.RUN_TIME, Variant.DELAY)
    tracers = [ran(own, block, variant, **knobs) for block in range(blocks) for own in WAKEUPS for variant in variants]
    return [*(ran(None, block) for block in range(blocks)), *tracers]


def only(records: Sequence[Record]) -> Turned:
    (own,) = knees(of(records), Criteria())
    return own


class TestOfRecords:
    def test_each_cost_has_its_curve_and_its_knee(self) -> None:
        own = only(of_wakeups())
        assert own.knob == "wakeup"
        assert list(own.values) == ["adaptive", "watermark:4096", "watermark:16384", "never"]
        assert {curve.need.key for curve in own.curves} <= {need.key for need in COSTS}
        by_cost = {curve.need.key: curve for curve in own.curves}
        for cost in ("latency", "kernel"):
            assert by_cost[cost].knee == Knee("watermark:16384", "watermark:16384")
        assert list(by_cost["latency"].means.values()) == pytest.approx([30.0, 20.0, 10.0, 10.0], rel=0.01)
        assert by_cost["kernel"].means["adaptive"] == pytest.approx(30_000, rel=0.01)
        assert by_cost["delay"].knee == Knee("watermark:4096", "watermark:4096")
        assert by_cost["delay"].no_smaller_than == by_cost["delay"].no_larger_than == "watermark:4096"
        assert list(by_cost["delay"].means.values()) == pytest.approx([4.0, 4.1, 10.0, 1000.0], rel=0.01)
        assert "overhead" not in by_cost  # at a rate of its own, a target takes the time that this wants

    def test_of_the_delay_the_largest_value_is_looked_for_that_is_as_good_as_any(self) -> None:
        by_cost = {curve.need.key: curve for curve in only(of_wakeups(blocks=2)).curves}
        assert (by_cost["delay"].no_smaller_than, by_cost["delay"].no_larger_than) == (None, "never")
        assert (by_cost["latency"].no_smaller_than, by_cost["latency"].no_larger_than) == ("adaptive", None)

    def test_how_long_events_wait_is_worked_out_by_the_rate_offered(self) -> None:
        own = only(of_wakeups())
        slots = 4096 / 168
        assert own.waits_ms == pytest.approx(
            {"watermark:4096": slots / 10, "watermark:16384": 4 * slots / 10, "never": 1000}
        )  # 100,000 events in 10 s

    def test_other_knobs_are_kept_apart(self) -> None:
        small, large = of_wakeups(ringbuf_bytes=2**16), of_wakeups(ringbuf_bytes=2**20)
        turned = knees(of([*small, *large[5:]]), Criteria())
        assert sorted(own.knob for own in turned) == sorted(["wakeup"] * 2 + ["ringbuf_bytes"] * 4)

    def test_variants_that_do_less_have_no_part_in_it(self) -> None:
        idle = [ran(own, block, Variant.NO_CONSUMER) for block in range(5) for own in WAKEUPS]
        assert only([*of_wakeups(), *idle]).curves[-1].means == only(of_wakeups()).curves[-1].means

    def test_a_trial_that_is_not_ok_does_not_count(self) -> None:
        records = of_wakeups()
        failed = [make_failure(own.trial, "no") if own.trial.block == 1 else own for own in records]
        by_cost = {curve.need.key: curve for curve in only(failed).curves}
        assert max(by_cost["latency"].means.values()) < 31

    def test_a_knob_that_was_not_turned_has_none(self) -> None:
        assert knees(of([own for own in of_wakeups() if "never" in own.trial.id]), Criteria()) == ()

    def test_two_rounds_tell_nothing(self) -> None:
        for curve in only(of_wakeups(blocks=2)).curves:
            assert curve.knee == Knee("never" if curve.from_above else "adaptive", None)
            assert not any(math.isfinite(gap.interval.high) for gap in curve.contenders.gaps.values())

    def test_the_best_is_the_one_with_the_best_mean_however_few_rounds_are_shared(self) -> None:
        """The watermark of 4096 is well ahead of adaptive alone; those that are better share no round with it."""
        rounds = {"adaptive": (1,), "watermark:4096": (1,), "watermark:16384": (2,), "never": (2,)}
        records = [ran(None, block) for block in range(3)]
        records += [ran(own, block) for own, blocks in rounds.items() for block in blocks]
        (curve,) = (own for own in only(records).curves if own.need.key == "latency")
        assert curve.contenders.order[0] == "watermark:4096"
        assert curve.best == min(curve.means, key=curve.means.__getitem__)
        assert curve.means[curve.best] < 11
