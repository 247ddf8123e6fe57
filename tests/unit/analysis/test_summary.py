# SPDX-License-Identifier: Apache-2.0
"""What a run amounts to: expected numbers are worked out by hand beside each case."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence

import pytest
from builders import (
    MIB,
    READ,
    make_config,
    make_failure,
    make_fio,
    make_load,
    make_record,
    make_summary,
    make_trial,
    make_usage,
)
from hypothesis import given
from hypothesis import strategies as st

from bpfbench.analysis import metrics
from bpfbench.analysis.results import Description, PaperRule, of
from bpfbench.analysis.summary import Group, Row, summarise
from bpfbench.model import Attach, Format, Record, Status, Tool, TracerConfig, Workload
from bpfbench.report import wording


def runtimes(setup: str, *seconds: float | None, config: TracerConfig | None = None) -> list[Record]:
    """One trial per block with these runtimes of fio; None is a failed trial."""
    trials = [make_trial(setup, block, config=config) for block in range(len(seconds))]
    return [
        make_failure(trial, "fio died") if value is None else make_record(trial, fio=make_fio(runtime_s=value))
        for trial, value in zip(trials, seconds, strict=True)
    ]


def only_group(records: Sequence[Record]) -> Group:
    (group,) = summarise(of(records)).groups
    return group


def row_of(records: Sequence[Record], setup: str) -> Row:
    (row,) = (row for row in only_group(records).rows if row.cell.setup == setup)
    return row


def assert_estimate(found: Description | None, mean: float, sd: float | None, n: int) -> None:
    assert found is not None
    assert found.mean == pytest.approx(mean, abs=1e-9)
    assert found.sd == (None if sd is None else pytest.approx(sd, abs=1e-4))
    assert found.n == n


class TestAgainstVanilla:
    def test_three_blocks(self) -> None:
        # Vanilla 10, 11, 12 and libbpf 11, 12.1, 14.4: ratios 1.1, 1.1, 1.2, whose product is 1.452; its cube root is
        # 1.13236. The logs are 0.09531, 0.09531, 0.18232: two alike and one 0.08701 off, so their SD is 0.08701 / root
        # of 3 = 0.050236, and exp(0.050236) is 1.051519.
        records = runtimes("vanilla", 10, 11, 12) + runtimes("libbpf", 11, 12.1, 14.4)
        row = row_of(records, "libbpf")
        assert row.samples[metrics.RUNTIME].spread.mean == pytest.approx(12.5)
        difference = row.samples[metrics.RUNTIME].change
        assert_estimate(difference, mean=100 * (1.452 ** (1 / 3) - 1), sd=5.1519, n=3)
        assert (row.n, row.n_paired) == (3, 3)

    def test_differences_are_paired_so_drift_between_blocks_does_not_count(self) -> None:
        # The machine slows down to a quarter; libbpf costs 10 % in each block.
        records = runtimes("vanilla", 10, 20, 40) + runtimes("libbpf", 11, 22, 44)
        difference = row_of(records, "libbpf").samples[metrics.RUNTIME].change
        assert_estimate(difference, mean=10.0, sd=0.0, n=3)

    @pytest.mark.parametrize(
        ("seconds", "verdict"),
        [
            # Vanilla is 10, 11, 12: mean 11, SD 1. Inconclusive from 10 to 12, both included.
            ((11, 12, 13), PaperRule.INCONCLUSIVE),
            ((9, 10, 11), PaperRule.INCONCLUSIVE),
            ((11, 12, 13.003), PaperRule.BEYOND),
            ((8.997, 10, 11), PaperRule.BEYOND),
        ],
    )
    def test_the_rule_at_its_boundary(self, seconds: tuple[float, ...], verdict: PaperRule) -> None:
        records = runtimes("vanilla", 10, 11, 12) + runtimes("libbpf", *seconds)
        assert row_of(records, "libbpf").samples[metrics.RUNTIME].rule is verdict

    def test_failed_vanilla_leaves_its_block_in_the_mean_but_not_in_the_difference(self) -> None:
        # Blocks 0 and 2 pair: 12 / 10 and 18 / 12, so 1.2 and 1.5. The mean is over all: (12 + 30 + 18) / 3.
        records = runtimes("vanilla", 10, None, 12) + runtimes("libbpf", 12, 30, 18)
        row = row_of(records, "libbpf")
        assert row.samples[metrics.RUNTIME].spread.mean == pytest.approx(20.0)
        # The logs of 1.2 and 1.5 lie 0.223144 apart; their SD is that / root of 2 = 0.157786, and exp of it 1.170915.
        difference = row.samples[metrics.RUNTIME].change
        assert_estimate(difference, mean=100 * (1.8**0.5 - 1), sd=17.0915, n=2)
        assert (row.n, row.n_paired) == (3, 2)

    def test_one_repetition_is_never_conclusive(self) -> None:
        records = runtimes("vanilla", 10) + runtimes("libbpf", 100)
        comparison = row_of(records, "libbpf").samples[metrics.RUNTIME]
        assert comparison.rule is PaperRule.NOT_ASSESSABLE
        assert_estimate(comparison.change, mean=900.0, sd=None, n=1)

    def test_without_any_vanilla_nothing_is_compared(self) -> None:
        row = row_of(runtimes("libbpf", 10, 11), "libbpf")
        comparison = row.samples[metrics.RUNTIME]
        assert (comparison.rule, comparison.change) == (PaperRule.NOT_ASSESSABLE, None)
        assert row.n_paired == 0

    def test_vanilla_is_not_compared_with_itself(self) -> None:
        own = row_of(runtimes("vanilla", 10, 11), "vanilla").samples[metrics.RUNTIME]
        assert (own.is_compared, own.rule, own.change) == (False, None, None)

    def test_a_second_setup_without_tracer_is_compared_like_any_other(self) -> None:
        control = [
            dataclasses.replace(r, trial=dataclasses.replace(r.trial, setup="control"))
            for r in runtimes("vanilla", 10, 11, 13)
        ]
        records = runtimes("vanilla", 10, 11, 12) + control
        assert row_of(records, "control").samples[metrics.RUNTIME].rule is PaperRule.INCONCLUSIVE

    def test_half_and_double_are_no_difference(self) -> None:
        # The arithmetic mean of -50 % and +100 % would be +25 %. The logs lie 2 ln 2 apart: SD root of 2 * ln 2 =
        # 0.980258, and exp of it 2.66514.
        records = runtimes("vanilla", 10, 10) + runtimes("libbpf", 5, 20)
        difference = row_of(records, "libbpf").samples[metrics.RUNTIME].change
        assert_estimate(difference, mean=0.0, sd=100 * (math.exp(2**0.5 * math.log(2)) - 1), n=2)

    @pytest.mark.parametrize(("vanilla", "traced"), [(0.0, 5.0), (5.0, 0.0), (0.0, 0.0), (-1.0, 5.0), (5.0, -1.0)])
    def test_a_pair_with_a_value_that_is_not_positive_is_left_out(self, vanilla: float, traced: float) -> None:
        def loads(setup: str, *percents: float) -> list[Record]:
            return [
                make_record(make_trial(setup, block), load=make_load(cpu_percent=percent))
                for block, percent in enumerate(percents)
            ]

        alone = row_of(loads("vanilla", vanilla) + loads("libbpf", traced), "libbpf")
        assert alone.samples[metrics.CPU].change is None
        row = row_of(loads("vanilla", vanilla, 10) + loads("libbpf", traced, 11), "libbpf")
        assert_estimate(row.samples[metrics.CPU].change, mean=10.0, sd=None, n=1)
        # Of this metric only: the mean has both, and the other metrics have both pairs.
        assert row.samples[metrics.CPU].spread.n == 2
        assert_estimate(row.samples[metrics.RUNTIME].change, mean=0.0, sd=0.0, n=2)
        assert row.n_paired == 2

    def test_several_vanilla_trials_of_a_pair_count_by_their_geometric_mean(self) -> None:
        # The root of 5 * 20 is 10.
        records = runtimes("vanilla", 5) + runtimes("vanilla", 20) + runtimes("libbpf", 11)
        assert_estimate(row_of(records, "libbpf").samples[metrics.RUNTIME].change, 10.0, None, n=1)

    def test_vanilla_of_another_session_is_no_pair(self) -> None:
        # Block 0 is whole; block 1 was interrupted after vanilla, and libbpf ran at half the speed the day after.
        records = [
            *runtimes("vanilla", 10, 10),
            *runtimes("libbpf", 11),
            make_record(make_trial("libbpf", 1), fio=make_fio(runtime_s=22), session="2"),
        ]
        row = row_of(records, "libbpf")
        assert_estimate(row.samples[metrics.RUNTIME].change, mean=10.0, sd=None, n=1)
        assert (row.n, row.n_paired) == (2, 1)
        # The mean and the rule know no pairs. Vanilla's SD is 0.
        assert row.samples[metrics.RUNTIME].spread.mean == pytest.approx(16.5)
        assert row.samples[metrics.RUNTIME].rule is PaperRule.BEYOND

    def test_each_trial_is_paired_with_vanilla_of_its_own_session(self) -> None:
        # Not what a plan asks for, but unambiguous: vanilla ran again in the second session.
        records = [
            record
            for session, slowness in (("1", 1), ("2", 3))
            for record in (
                make_record(make_trial(), fio=make_fio(runtime_s=10 * slowness), session=session),
                make_record(
                    dataclasses.replace(make_trial("libbpf"), id=f"libbpf-{session}"),
                    fio=make_fio(runtime_s=11 * slowness),
                    session=session,
                ),
            )
        ]
        row = row_of(records, "libbpf")
        assert_estimate(row.samples[metrics.RUNTIME].change, mean=10.0, sd=0.0, n=2)
        assert row.n_paired == 2

    def test_blocks_of_one_session_are_still_told_apart(self) -> None:
        records = [*runtimes("vanilla", 10), make_record(make_trial("libbpf", 1))]
        row = row_of(records, "libbpf")
        assert row.samples[metrics.RUNTIME].change is None
        assert row.n_paired == 0

    def test_every_metric_vanilla_has(self) -> None:
        vanilla = make_record(
            make_trial(),
            fio=make_fio(throughput_mib_per_s=400, latency_us=10),
            load=make_load(cpu_percent=20, memory_mib=300),
        )
        traced = make_record(
            make_trial("libbpf"),
            fio=make_fio(throughput_mib_per_s=300, latency_us=12),
            load=make_load(cpu_percent=30, memory_mib=330),
        )
        row = row_of([vanilla, traced], "libbpf")
        wanted = {metrics.THROUGHPUT: -25.0, metrics.LATENCY: 20.0, metrics.CPU: 50.0, metrics.MEMORY: 10.0}
        found = {metric: row.samples[metric].change for metric in wanted}
        assert {metric: d.mean for metric, d in found.items() if d} == pytest.approx(wanted)
        assert row.samples[metrics.THROUGHPUT].spread.mean == 300 * MIB

    @given(
        vanilla=st.lists(st.floats(0.1, 1e5), min_size=1, max_size=6),
        factor=st.floats(0.1, 10),
    )
    def test_a_constant_factor_is_found_whatever_the_drift(self, vanilla: list[float], factor: float) -> None:
        records = runtimes("vanilla", *vanilla) + runtimes("libbpf", *(factor * seconds for seconds in vanilla))
        difference = row_of(records, "libbpf").samples[metrics.RUNTIME].change
        assert difference is not None
        assert difference.mean == pytest.approx(100 * (factor - 1), abs=1e-6)

    @given(st.lists(st.tuples(st.floats(0.1, 1e5), st.floats(0.1, 1e5)), min_size=1, max_size=6))
    def test_swapping_the_sides_gives_the_reciprocal(self, pairs: list[tuple[float, float]]) -> None:
        # No side is favoured, whatever the noise: the arithmetic mean of the percentages is above 0 on both.
        ones, others = [one for one, _ in pairs], [other for _, other in pairs]

        def difference(vanilla: list[float], traced: list[float]) -> Description:
            records = runtimes("vanilla", *vanilla) + runtimes("libbpf", *traced)
            found = row_of(records, "libbpf").samples[metrics.RUNTIME].change
            assert found is not None
            return found

        there, back = difference(ones, others), difference(others, ones)
        assert (1 + there.mean / 100) * (1 + back.mean / 100) == pytest.approx(1.0, rel=1e-9)
        assert (there.sd, there.n) == (back.sd, back.n)

    def test_noise_alone_is_no_difference(self) -> None:
        # Both sides lognormal with SD 0.3. The mean of 2000 logs of ratios has the SD 0.3 * root of (2 / 2000), 0.95 %;
        # the arithmetic mean of the percentages would come to 100 * (exp(0.3^2) - 1), +9.4 %.
        noise = random.Random(1)
        vanilla, traced = ([10 * noise.lognormvariate(0, 0.3) for _ in range(2000)] for _ in range(2))
        records = runtimes("vanilla", *vanilla) + runtimes("libbpf", *traced)
        difference = row_of(records, "libbpf").samples[metrics.RUNTIME].change
        assert difference is not None
        assert abs(difference.mean) < 3 * 0.95

    @given(st.lists(st.floats(0.1, 1e5), min_size=2, max_size=6))
    def test_vanilla_against_vanilla_is_inconclusive(self, seconds: list[float]) -> None:
        records = runtimes("vanilla", *seconds) + runtimes("libbpf", *seconds)
        comparison = row_of(records, "libbpf").samples[metrics.RUNTIME]
        assert comparison.rule is PaperRule.INCONCLUSIVE
        assert comparison.change is not None
        assert comparison.change.mean == pytest.approx(0.0, abs=1e-9)


class TestFidelity:
    def test_percentages_are_of_the_events_intercepted(self) -> None:
        # fio counts 1000; the tracer also saw 40 of fio's own reads: 780 saved + 208 + 52 lost of 1040 intercepted.
        trial = make_trial("libbpf")
        summary = make_summary(trial, saved=780, lost={"ring_full": 208, "map_full": 52})
        row = row_of([make_record(trial, fio=make_fio(ios=1000), summary=summary)], "libbpf")
        wanted = {
            metrics.FIO_IOS: 1000,
            metrics.INTERCEPTED: 1040,
            metrics.SAVED_PERCENT: 75.0,
            metrics.LOST_PERCENT: 25.0,
        }
        assert {metric: row.samples[metric].spread.mean for metric in wanted} == pytest.approx(wanted)
        by_cause = {cause: found.mean for cause, found in row.lost_percent_by_cause.items() if found}
        assert by_cause == pytest.approx(
            {"ring_full": 20.0, "map_full": 5.0, "recursion": 0.0, "missed": 0.0, "output_error": 0.0}
        )

    def test_a_cause_that_cannot_be_counted_is_absent_not_zero(self) -> None:
        trial = make_trial("bpftrace")
        summary = make_summary(trial, lost={"recursion": None}, unavailable={"recursion": "bpftrace does not tell"})
        row = row_of([make_record(trial, summary=summary)], "bpftrace")
        assert row.lost_percent_by_cause["recursion"] is None
        assert row.uncounted == {"recursion": "bpftrace does not tell"}

    def test_no_percentage_of_no_events(self) -> None:
        trial = make_trial("libbpf")
        row = row_of([make_record(trial, summary=make_summary(trial, saved=0))], "libbpf")
        assert row.samples[metrics.SAVED].spread.mean == 0
        assert metrics.SAVED_PERCENT not in row.samples
        assert metrics.LOST_PERCENT not in row.samples

    @given(saved=st.integers(0, 10**9), lost=st.integers(0, 10**9))
    def test_saved_and_lost_make_a_whole(self, saved: int, lost: int) -> None:
        trial = make_trial("libbpf")
        row = row_of([make_record(trial, summary=make_summary(trial, saved=saved, lost={"ring_full": lost}))], "libbpf")
        if saved + lost:
            shares = row.samples[metrics.SAVED_PERCENT].spread.mean + row.samples[metrics.LOST_PERCENT].spread.mean
            assert shares == pytest.approx(100.0)


class TestResources:
    def test_what_the_tracer_burned(self) -> None:
        # 1 s user + 2 s system in 10 s of fio: 30 % of one CPU. 1500 events intercepted in 10 s: 150 a second.
        trial = make_trial("libbpf")
        record = make_record(
            trial,
            fio=make_fio(runtime_s=10),
            summary=make_summary(trial, saved=1000, lost={"ring_full": 500}),
            usage=make_usage(user_s=1, system_s=2),
        )
        row = row_of([record], "libbpf")
        wanted = {
            metrics.TRACER_CPU: 30.0,
            metrics.TRACER_USER: 1.0,
            metrics.TRACER_SYSTEM: 2.0,
            metrics.OFFERED: 150.0,
            metrics.OUTPUT: 156_000,
        }
        assert {metric: row.samples[metric].spread.mean for metric in wanted} == pytest.approx(wanted)

    def test_vanilla_has_no_tracer_to_measure(self) -> None:
        row = row_of(runtimes("vanilla", 10, 11), "vanilla")
        assert not {metrics.TRACER_CPU, metrics.PSS_PEAK, metrics.SAVED, metrics.OFFERED} & set(row.samples)

    def test_a_metric_some_trials_lack_tells_how_many_have_it(self) -> None:
        sizes = (4 * MIB, None, 6 * MIB)
        records = [
            make_record(make_trial("libbpf", block), usage=make_usage(pss_peak_bytes=size))
            for block, size in enumerate(sizes)
        ]
        row = row_of(records, "libbpf")
        assert row.n == 3
        assert (row.samples[metrics.PSS_PEAK].spread.mean, row.samples[metrics.PSS_PEAK].spread.n) == (5 * MIB, 2)


class TestWhatCounts:
    def test_failed_and_invalid_trials_are_kept_and_never_averaged_in(self) -> None:
        records = [
            *runtimes("vanilla", 10, 11, 12),
            make_record(make_trial("bcc", 0), fio=make_fio(runtime_s=13)),
            make_failure(make_trial("bcc", 1), "no READY within 90 s"),
            make_failure(make_trial("bcc", 2), "saved 5, but the output holds 4", Status.INVALID),
        ]
        row = row_of(records, "bcc")
        assert (row.n, row.n_failed, row.n_invalid, row.n_paired) == (1, 1, 1, 1)
        assert_estimate(row.samples[metrics.RUNTIME].spread, mean=13.0, sd=None, n=1)
        excluded = summarise(of(records)).excluded
        assert [(e.trial.id, e.status, e.reason) for e in excluded] == [
            ("read-rw-tracer-bcc-2", Status.FAILED, "no READY within 90 s"),
            ("read-rw-tracer-bcc-3", Status.INVALID, "saved 5, but the output holds 4"),
        ]

    def test_a_setup_without_any_ok_trial_keeps_its_row_without_numbers(self) -> None:
        row = row_of(runtimes("vanilla", 10, 11) + runtimes("bcc", None, None), "bcc")
        assert (row.n, row.n_failed) == (0, 2)
        assert (row.samples, row.lost_percent_by_cause) == ({}, {})

    def test_nothing_ended_ok(self) -> None:
        records = runtimes("vanilla", None) + runtimes("bcc", None)
        summary = summarise(of(records))
        assert [(row.cell.setup, row.n) for row in summary.groups[0].rows] == [("vanilla", 0), ("bcc", 0)]
        assert len(summary.excluded) == 2

    def test_empty_run(self) -> None:
        summary = summarise(of([]))
        assert (summary.groups, summary.excluded) == ((), ())

    def test_excluded_trials_come_in_the_order_of_the_plan(self) -> None:
        records = runtimes("bcc", None, None, None)
        assert [e.trial.block for e in summarise(of(records[::-1])).excluded] == [0, 1, 2]

    @given(st.randoms(use_true_random=False))
    def test_the_order_of_the_records_does_not_matter(self, shuffler: random.Random) -> None:
        records = [
            *runtimes("vanilla", 10.1, 11.3, 12.7),
            *runtimes("libbpf", 10.9, None, 14.2),
            *runtimes("bcc", 10.2, 11.8, 12.1),
        ]
        shuffled = shuffler.sample(records, len(records))
        assert summarise(of(shuffled)) == summarise(of(records))


class TestArrangement:
    def test_vanilla_is_first_and_setups_follow_the_order_of_the_catalogue_then_their_names(self) -> None:
        setups = ("own", "libbpf", "mine", "vanilla", "ebpf-go", "bcc")
        records = [make_record(make_trial(setup)) for setup in setups]
        rows = only_group(records).rows
        assert [row.cell.setup for row in rows] == ["vanilla", "bcc", "libbpf", "ebpf-go", "mine", "own"]

    def test_vanilla_has_a_row_even_if_it_never_ran(self) -> None:
        assert [(row.cell.setup, row.n) for row in only_group(runtimes("bcc", 10)).rows] == [("vanilla", 0), ("bcc", 1)]

    def test_workloads_and_tools_are_groups_of_their_own(self) -> None:
        small = Workload("read", 1, MIB)
        write = Workload("write", 4, MIB)
        records = [
            make_record(make_trial(tool=tool, workload=workload))
            for workload in (READ, write, small)
            for tool in (Tool.RW_TRACER_ALL, Tool.SYSCOUNT)
        ]
        groups = summarise(of(records)).groups
        assert [(group.workload, group.tool) for group in groups] == [
            (workload, tool) for workload in (small, READ, write) for tool in (Tool.SYSCOUNT, Tool.RW_TRACER_ALL)
        ]

    def test_trials_are_compared_within_their_group_only(self) -> None:
        # Vanilla of the other workload runs in a block of the same number; it must not be taken for this one's.
        write = Workload("write", 4, MIB)
        other = make_record(make_trial(workload=write), fio=make_fio(runtime_s=1))
        groups = summarise(of([other, *runtimes("vanilla", 10), *runtimes("libbpf", 11)])).groups
        (row,) = (row for group in groups for row in group.rows if row.cell.setup == "libbpf")
        difference = row.samples[metrics.RUNTIME].change
        assert difference is not None
        assert difference.mean == pytest.approx(10.0)

    def test_crossed_configurations_are_rows_of_one_vanilla(self) -> None:
        small, large = make_config(ringbuf_bytes=65536), make_config(ringbuf_bytes=1048576)
        records = [
            *runtimes("vanilla", 10, 10),
            *runtimes("libbpf", 13, 13, config=large),
            *runtimes("libbpf", 12, 12, config=small),
            *runtimes("bcc", 11, 11, config=small),
        ]
        group = only_group(records)
        rows = [row for row in group.rows if row.cell.config]
        assert [(row.cell.setup, row.cell.config.ringbuf_bytes) for row in rows if row.cell.config] == [
            ("bcc", 65536),
            ("libbpf", 65536),
            ("libbpf", 1048576),
        ]
        for row, percent in zip(rows, (10, 20, 30), strict=True):
            assert_estimate(row.samples[metrics.RUNTIME].change, mean=percent, sd=0, n=2)
        assert group.varying == ("ringbuf_bytes",)
        assert group.common == {"attach": Attach.KPROBE, "format": Format.BINARY, "poll_ms": 100}

    def test_a_group_with_vanilla_alone_has_no_configuration(self) -> None:
        group = only_group(runtimes("vanilla", 10))
        assert (group.varying, group.common) == ((), {})

    def test_kernels_are_never_averaged_over(self) -> None:
        records = [
            make_record(dataclasses.replace(make_trial(setup, block), kernel=kernel))
            for block, kernel in enumerate(("trixie", "sid"))
            for setup in ("vanilla", "libbpf")
        ]
        groups = summarise(of(records)).groups
        assert [group.kernel for group in groups] == ["sid", "trixie"]
        assert {row.n for group in groups for row in group.rows} == {1}
        assert [wording.heading(group).split(", ")[-1] for group in groups] == ["kernel sid", "kernel trixie"]
