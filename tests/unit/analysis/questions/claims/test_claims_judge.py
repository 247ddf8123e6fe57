# SPDX-License-Identifier: Apache-2.0
"""What evidence makes a claim reproduced, not reproduced, inconclusive."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pytest
from builders import READ, make_fio, make_record, make_trial
from hypothesis import given
from hypothesis import strategies as st
from judged import CLAIMS, RW, WRITE, judged, some_run, tracer, two

from bpfbench import catalogue
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.claims.claim import Claim, More, Predicate, Ranking, Within
from bpfbench.analysis.questions.claims.judge import ClaimVerdict, judge
from bpfbench.analysis.questions.claims.paper import paper_witness
from bpfbench.analysis.questions.claims.run import run_witness
from bpfbench.analysis.questions.claims.witness import (
    RUNTIME,
    RUNTIME_SPREAD,
    SAVED,
    Contestant,
    Known,
    Measure,
    Missing,
    Task,
    Witness,
)
from bpfbench.model import Record, Tool, Workload
from bpfbench.report.documents import claims as report


class TestVerdicts:
    def test_reproduced_through_drift_that_only_pairing_sees_through(self) -> None:
        judgement = judged(some_run(), Within(RUNTIME, ("read",), RW, ("libbpf",), 1.05, 1.15))
        assert judgement.verdict is ClaimVerdict.REPRODUCED
        found = judgement.statements[0].found
        assert isinstance(found, Known)
        assert found.n == 3
        # 1.1, 1.111 and 1.089: the logarithms 0.09531, 0.10526, 0.08526 have the mean 0.09528 and the SD 0.01000;
        # Student's t is 4.3027 with 2 degrees of freedom, so 0.09528 +- 4.3027 * 0.01 / root of 3 = +- 0.02484.
        assert found.estimate == pytest.approx(1.09996, abs=1e-5)
        assert (found.interval.low, found.interval.high) == pytest.approx((1.07298, 1.12763), abs=1e-4)

    def test_setups_are_compared_with_each_other_within_blocks(self) -> None:
        order = Ranking(RUNTIME, ("read",), RW, (("bcc",), ("libbpf",)))
        reverse = Ranking(RUNTIME, ("read",), RW, (("libbpf",), ("bcc",)))
        assert judged(some_run(), order).verdict is ClaimVerdict.REPRODUCED
        assert judged(some_run(), reverse).verdict is ClaimVerdict.NOT_REPRODUCED

    def test_an_interval_across_the_limit_is_inconclusive(self) -> None:
        judgement = judged(some_run(), Within(RUNTIME, ("read",), RW, ("libbpf",), low=1.1))
        assert judgement.verdict is ClaimVerdict.INCONCLUSIVE
        assert judgement.deciding == judgement.statements

    def test_shares_are_compared_by_their_difference_and_stay_shares(self) -> None:
        records = [tracer("libbpf", block, saved=saved) for block, saved in enumerate((1000, 999, 1000))]
        level = run_witness(records).level(SAVED, Contestant("read", Tool.RW_TRACER, "libbpf"))
        assert isinstance(level, Known)
        assert level.interval.high == 100.0
        nothing = [tracer("bcc", block, saved=0) for block in range(3)]
        order = Ranking(SAVED, ("read",), RW, (("libbpf",), ("bcc",)))
        assert judged([*records, *nothing], order).verdict is ClaimVerdict.REPRODUCED

    def test_places_share_no_block_and_are_compared_as_independent_samples(self) -> None:
        def blocks(workload: Workload, seconds: tuple[float, ...], first: int) -> list[Record]:
            return [
                make_record(make_trial(block=first + number, workload=workload), fio=make_fio(runtime_s=runtime_s))
                for number, runtime_s in enumerate(seconds)
            ]

        records = [*blocks(READ, (10.0, 11.0, 12.0), 0), *blocks(WRITE, (40.0, 42.0, 44.0), 3)]
        slower = More(RUNTIME, (Task("write"), Task("read")), ("vanilla",))
        assert judged(records, slower).verdict is ClaimVerdict.REPRODUCED
        faster = More(RUNTIME, (Task("read"), Task("write")), ("vanilla",))
        assert judged(records, faster).verdict is ClaimVerdict.NOT_REPRODUCED

    def test_enough_cells_are_enough(self) -> None:
        most = Within(SAVED, ("read",), RW, ("libbpf", "bcc"), low=90, enough=1)
        assert judged(some_run(), most).verdict is ClaimVerdict.REPRODUCED
        assert (
            judged(some_run(), Within(SAVED, ("read",), RW, ("bcc",), low=10), most).verdict is ClaimVerdict.REPRODUCED
        )
        assert judged(some_run(), dataclasses.replace(most, enough=2)).verdict is ClaimVerdict.NOT_REPRODUCED

    def test_any_of_several_must_be_farther_inside_than_one_that_is_named(self) -> None:
        # libbpf is 1.073 to 1.128: surely above 1.07 by the interval for one, not by that for any of two.
        named = Within(RUNTIME, ("read",), RW, ("libbpf",), low=1.07, high=1.15)
        any_of_two = dataclasses.replace(named, setups=("libbpf", "bcc"), enough=1)
        assert judged(some_run(), named).verdict is ClaimVerdict.REPRODUCED
        assert judged(some_run(), any_of_two).verdict is ClaimVerdict.INCONCLUSIVE

    def test_an_order_in_enough_places(self) -> None:
        order = Ranking(SAVED, ("read", "write"), RW, (("libbpf",), ("bcc",)), enough=1)
        assert judged(some_run(), order).verdict is ClaimVerdict.REPRODUCED
        assert judged(some_run(), dataclasses.replace(order, enough=2)).verdict is ClaimVerdict.NOT_TESTABLE

    def test_one_false_statement_is_enough_whatever_else_is_missing(self) -> None:
        order = Ranking(SAVED, ("read", "mixed"), RW, (("bcc",), ("libbpf",)))
        assert judged(some_run(), order).verdict is ClaimVerdict.NOT_REPRODUCED

    def test_one_of_many_comparisons_must_be_farther_off(self) -> None:
        # Just outside the 95 % interval: enough against a claim of one statement, not of one among many.
        limit = Within(RUNTIME, ("read",), RW, ("libbpf",), high=1.07)
        assert judged(some_run(), limit).verdict is ClaimVerdict.NOT_REPRODUCED
        many = (limit, *[Within(SAVED, ("read",), RW, ("libbpf",), low=0)] * 9)
        assert judged(some_run(), *many).verdict is ClaimVerdict.INCONCLUSIVE


TIED = (0.0, 0.0, 0.0, 0.0)
NOISE = (0.04, -0.05, 0.06, -0.02)
CLEAR = (0.20, 0.21, 0.19, 0.20)


class TestWhatIsToldApart:
    @pytest.mark.parametrize("measure", [RUNTIME, SAVED], ids=lambda measure: measure.name)
    def test_an_order_takes_strict_evidence(self, measure: Measure) -> None:
        order = Ranking(measure, ("read",), RW, (("bcc",), ("libbpf",)))
        reverse = Ranking(measure, ("read",), RW, (("libbpf",), ("bcc",)))
        assert judged(two(CLEAR), order).verdict is ClaimVerdict.REPRODUCED
        assert judged(two(CLEAR), reverse).verdict is ClaimVerdict.NOT_REPRODUCED
        for either in (order, reverse):
            assert judged(two(NOISE), either).verdict is ClaimVerdict.INCONCLUSIVE

    def test_a_tie_is_no_order_either_way_however_well_it_is_known(self) -> None:
        for tiers in ((("bcc",), ("libbpf",)), (("libbpf",), ("bcc",))):
            assert judged(two(TIED), Ranking(SAVED, ("read",), RW, tiers)).verdict is ClaimVerdict.INCONCLUSIVE

    def test_each_step_of_an_order_must_be_told_apart(self) -> None:
        records = [*two(CLEAR), *[tracer("ebpf-go", block, 11.0 + block, saved=500) for block in range(4)]]
        order = Ranking(SAVED, ("read",), RW, (("bcc",), ("libbpf",), ("ebpf-go",)))
        judgement = judged(records, order)
        assert judgement.verdict is ClaimVerdict.INCONCLUSIVE
        assert [statement.subject for statement in judgement.deciding] == ["read rw-tracer libbpf saved - ebpf-go"]

    @pytest.mark.parametrize(
        ("there", "verdict", "reverse"),
        [
            ((10.0, 10.1, 9.9), ClaimVerdict.INCONCLUSIVE, ClaimVerdict.INCONCLUSIVE),
            ((10.4, 9.8, 10.2), ClaimVerdict.INCONCLUSIVE, ClaimVerdict.INCONCLUSIVE),
            ((40.0, 41.0, 42.0), ClaimVerdict.REPRODUCED, ClaimVerdict.NOT_REPRODUCED),
        ],
        ids=["tie", "noise", "clear"],
    )
    def test_more_in_one_place_than_in_another_takes_strict_evidence(
        self, there: Sequence[float], verdict: ClaimVerdict, reverse: ClaimVerdict
    ) -> None:
        here = (10.0, 10.1, 9.9)
        records = [
            make_record(make_trial(block=first + n, workload=workload), fio=make_fio(runtime_s=runtime_s))
            for workload, seconds, first in ((READ, here, 0), (WRITE, there, 3))
            for n, runtime_s in enumerate(seconds)
        ]
        write, read = Task("write"), Task("read")
        assert judged(records, More(RUNTIME, (write, read), ("vanilla",))).verdict is verdict
        assert judged(records, More(RUNTIME, (read, write), ("vanilla",))).verdict is reverse

    def test_shares_that_tie_in_two_places_are_no_more(self) -> None:
        records = [
            tracer("bcc", 3 * place + n, saved=1000, workload=workload)
            for place, workload in enumerate((READ, WRITE))
            for n in range(3)
        ]
        more = More(SAVED, (Task("read", Tool.RW_TRACER), Task("write", Tool.RW_TRACER)), ("bcc",))
        assert judged(records, more).verdict is ClaimVerdict.INCONCLUSIVE

    def test_limits_are_within(self) -> None:
        # What a claim gives as a limit is in: "at most 1 %" is true of 1 %.
        within = Within(SAVED, ("read",), RW, ("libbpf",), 50, 60)
        assert judged(two(TIED), within).verdict is ClaimVerdict.REPRODUCED
        assert judged(two(TIED), dataclasses.replace(within, low=50.1)).verdict is ClaimVerdict.NOT_REPRODUCED
        close = Within(RUNTIME, ("read",), RW, ("bcc",), 1.05, 1.2)
        assert judged(two(NOISE), close).verdict is ClaimVerdict.INCONCLUSIVE

    def test_spreads_are_compared_apart_from_the_drift_of_blocks(self) -> None:
        def run(scatter: float, blocks: int = 12) -> list[Record]:
            drift = [10.0 * (1 + 0.5 * (block % 3)) for block in range(blocks)]
            noise = [(-1) ** block * (1 + block % 3) for block in range(blocks)]
            return [
                record
                for block in range(blocks)
                for record in (
                    make_record(make_trial(block=block), fio=make_fio(runtime_s=drift[block])),
                    tracer("bcc", block, drift[block] * (1 + scatter * noise[block])),
                    tracer("libbpf", block, drift[block] * (1 + 0.001 * noise[-block])),
                )
            ]

        more = Ranking(RUNTIME_SPREAD, ("read",), RW, (("bcc",), ("libbpf",)))
        less = Ranking(RUNTIME_SPREAD, ("read",), RW, (("libbpf",), ("bcc",)))
        assert judged(run(0.1), more).verdict is ClaimVerdict.REPRODUCED
        assert judged(run(0.1), less).verdict is ClaimVerdict.NOT_REPRODUCED
        assert {judged(run(0.001), either).verdict for either in (more, less)} == {ClaimVerdict.INCONCLUSIVE}
        assert judged(run(0.1, blocks=2), more).missing == ("3 repetitions (2 here)",)

    def test_one_slow_trial_is_no_spread(self) -> None:
        records = [make_record(make_trial(block=block)) for block in range(10)]
        for block, noise in enumerate((0.99, 1.0, 1.02, 1.01, 0.98, 1.0, 0.99, 1.01, 1.02, 0.98)):
            records.append(tracer("libbpf", block, 11 * noise))
            records.append(tracer("bcc", block, (11 if block else 22) / noise))
        spread = Ranking(RUNTIME_SPREAD, ("read",), RW, (("bcc",), ("libbpf",)))
        assert judged(records, spread).verdict is ClaimVerdict.INCONCLUSIVE

    def test_two_vanillas_of_a_block_are_one_reference(self) -> None:
        def vanilla(block: int, runtime_s: float, number: int) -> Record:
            trial = dataclasses.replace(make_trial(block=block), id=f"vanilla-{block}-{number}")
            return make_record(trial, fio=make_fio(runtime_s=runtime_s))

        noise = (1.0, 1.01, 0.99)
        records = [tracer("libbpf", block, 22.0 * noise[block]) for block in range(3)]
        records += [vanilla(block, 10.0, 1) for block in range(3)] + [vanilla(block, 40.0, 2) for block in range(3)]
        # The geometric mean of 10 s and 40 s is 20 s.
        libbpf = Contestant("read", Tool.RW_TRACER, "libbpf")
        factor = run_witness(records).contrast(RUNTIME, libbpf, libbpf.vanilla, over_vanilla=False)
        assert isinstance(factor, Known)
        assert factor.estimate == pytest.approx(1.1, abs=1e-4)
        assert factor.n == 3
        level = run_witness([*records, *[vanilla(3, 25.5, 1)]]).level(RUNTIME, Contestant("read", None, "vanilla"))
        assert isinstance(level, Known)
        assert level.estimate == pytest.approx((25 * 3 + 25.5) / 4)
        assert level.n == 4

    def test_no_interval_is_narrower_than_vanilla_against_vanilla_makes_it(self) -> None:
        def twins(*factors: float) -> list[Record]:
            trials = [dataclasses.replace(make_trial(block=n), id=f"twin-{n}") for n in range(len(factors))]
            return [
                make_record(trial, fio=make_fio(runtime_s=(10.0 + trial.block) * factor))
                for trial, factor in zip(trials, factors, strict=True)
            ]

        order = Ranking(RUNTIME, ("read",), RW, (("bcc",), ("libbpf",)))
        alike_by_luck = two((0.030, 0.031, 0.029, 0.030))
        assert judged([*alike_by_luck, *twins(1.001, 0.999, 1.0, 1.002)], order).verdict is ClaimVerdict.REPRODUCED
        judgement = judged([*alike_by_luck, *twins(1.2, 0.85, 1.1, 0.9)], order)
        assert judgement.verdict is ClaimVerdict.INCONCLUSIVE
        assert list(report.evidence(judgement))[-1] == (
            "Noise swamps 1 of them: vanilla against vanilla comes to as much."
        )
        # A difference far beyond it is still told.
        assert (
            judged([*two((0.9, 0.91, 0.92, 0.9)), *twins(1.2, 0.85, 1.1, 0.9)], order).verdict
            is ClaimVerdict.REPRODUCED
        )

    @given(st.sampled_from(CLAIMS), st.floats(0, 10), st.floats(0, 10))
    def test_to_know_less_never_decides(self, claim: Claim, below: float, above: float) -> None:
        known = paper_witness(catalogue.paper())
        less = judge(claim, Vague(known, below, above)).verdict
        assert less in (judge(claim, known).verdict, ClaimVerdict.INCONCLUSIVE)

    @given(
        st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=6).filter(lambda d: max(d) - min(d) > 1e-3),
        st.floats(-0.3, 0.3),
        st.floats(1, 5),
    )
    def test_more_scatter_about_the_same_mean_never_decides(
        self, scatter: list[float], mean: float, factor: float
    ) -> None:
        middle = sum(scatter) / len(scatter)

        def verdict(predicate: Predicate, scale: float) -> ClaimVerdict:
            logs = [mean + scale * (own - middle) for own in scatter]
            return judged(two([math.exp(log) - 1 for log in logs]), predicate).verdict

        order = Ranking(RUNTIME, ("read",), RW, (("bcc",), ("libbpf",)))
        for predicate in (order, Within(RUNTIME, ("read",), RW, ("bcc", "libbpf"), 0.9, 1.2, enough=1)):
            assert verdict(predicate, factor) in (verdict(predicate, 1.0), ClaimVerdict.INCONCLUSIVE)


@dataclasses.dataclass(frozen=True)
class Vague:
    """Witness that knows less than another."""

    of: Witness
    below: float
    above: float
    kprobes: bool = True

    def level(self, measure: Measure, subject: Contestant) -> Known | Missing:
        return self._wider(self.of.level(measure, subject))

    def contrast(self, measure: Measure, one: Contestant, other: Contestant, *, over_vanilla: bool) -> Known | Missing:
        return self._wider(self.of.contrast(measure, one, other, over_vanilla=over_vanilla))

    def stricter(self, statements: int) -> Witness:
        return dataclasses.replace(self, of=self.of.stricter(statements))

    def _wider(self, found: Known | Missing) -> Known | Missing:
        assert isinstance(found, Known)
        return dataclasses.replace(
            found, interval=Interval(found.interval.low - self.below, found.interval.high + self.above)
        )
