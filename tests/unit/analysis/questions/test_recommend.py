# SPDX-License-Identifier: Apache-2.0
"""What is recommended: that which was measured, or validly predicted, to fit; what is not known is said to be so."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from builders import MIB, make_config, make_fio, make_record, make_summary, make_trial, make_usage

from bpfbench.analysis import results
from bpfbench.analysis.decision import Outcome
from bpfbench.analysis.questions.candidates import Assessment, Fit, Wish, judge
from bpfbench.analysis.questions.capacity import Observation, Source
from bpfbench.analysis.questions.evidence import Evidence, Quality
from bpfbench.analysis.questions.recommend import Recommendation, recommend, role_of
from bpfbench.analysis.questions.ring_trials import Tracer
from bpfbench.declare.study import find, load
from bpfbench.declare.targets import shipped
from bpfbench.model import CallAccount, CpuTime, DrivenResult, Format, Record, Slots, Tool, TunedValues, Workload
from bpfbench.report.about import About
from bpfbench.report.document import Code, Heading, Paragraph, Table
from bpfbench.report.documents import recommend as recommendation
from bpfbench.report.write import markdown
from bpfbench.report.write.json import written
from bpfbench.store import RunInfo

RUN = About(study="quick", run_id="run", trials_done=9, trials_planned=9)
IOS = 1_000_000
FAST = Workload("read", 4, IOS * 1024)
NOISE = (0.999, 1.0, 1.001)
"""Of three blocks; its mean is 1."""


def trials(
    setup: str,
    per_s: int,
    saved: float = 1.0,
    *,
    slower: float = 0.0,
    latency_us: float = 10.0,
    limited: bool = True,
    payload: int | None = None,
    mib: float = 5,
    cpu_s: float = 1.0,
    noise: tuple[float, ...] = NOISE,
    name: str = "read",
) -> list[Record]:
    """Three blocks of a setup beside a target of 4 processes that does `per_s` I/Os a second, untraced.

    `slower` is what the setup adds to its runtime; a target that is limited keeps its rate where that is nothing.
    """
    found = []
    tool = Tool.RW_TRACER if payload is None else Tool.RW_TRACER_ALL
    work = dataclasses.replace(FAST, name=name, rate_iops=per_s // 4 if limited else None)
    for block, factor in enumerate(noise):
        runtime_s = IOS / per_s * (1 + slower * factor)
        trial = make_trial(setup, block, tool=tool, workload=work)
        if setup != "vanilla":
            trial = dataclasses.replace(trial, config=make_config(payload_bytes=payload))
        kept = round(saved * IOS)
        found.append(
            make_record(
                trial,
                fio=make_fio(
                    runtime_s=runtime_s, ios=IOS, latency_us=latency_us * (factor if setup != "vanilla" else 1)
                ),
                summary=make_summary(trial, saved=kept, lost={"ring_full": IOS - kept}),
                usage=make_usage(user_s=cpu_s, system_s=0.0, pss_peak_bytes=round(mib * MIB)),
            )
        )
    return found


def wish(per_s: float, **values: Any) -> Wish:
    usual: dict[str, Any] = {"event_bytes": 156, "min_fidelity_percent": 99, "max_overhead_percent": 3}
    return Wish(per_s, **{**usual, **values})


def judged(records: list[Record], per_s: float = 100_000, **values: Any) -> Recommendation:
    return recommend(results.of(records), wish(per_s, **values))


def of(found: Recommendation, setup: str, requirement: Quality) -> Assessment:
    (candidate,) = (candidate for candidate in found.candidates if candidate.setup == setup)
    (assessment,) = (own for own in candidate.assessments if own.requirement is requirement)
    return assessment


def basis(assessment: Assessment) -> tuple[Fit, str | None, float | None]:
    evidence = assessment.evidence
    return (assessment.fit, None, None) if evidence is None else (assessment.fit, evidence.basis, evidence.value)


# A process has 40 us per I/O at 100,000 a second, and untraced spends 10 of them in it: 1 us more is 2.5 % of its time.
LIMITED = [
    *trials("vanilla", 100_000),
    *trials("libbpf", 100_000, latency_us=11.0, mib=2),
    *trials("ebpf-go", 100_000, latency_us=10.4, mib=7, cpu_s=2.0),
    *trials("bcc", 100_000, 0.5, latency_us=10.1, mib=100),
]
ALIKE = [
    *trials("vanilla", 100_000),
    *trials("libbpf", 100_000, latency_us=11.0, mib=2, noise=(0.9, 1.0, 1.12)),
    *trials("ebpf-go", 100_000, latency_us=10.8, mib=7, noise=(1.05, 0.91, 1.0)),
    *trials("bcc", 100_000, latency_us=10.6, mib=134, noise=(1.0, 1.08, 0.93)),
]
UNLIMITED = [
    *trials("vanilla", 400_000, limited=False),
    *trials("libbpf", 400_000, 0.8, slower=0.02, limited=False),
]


class TestWhatFits:
    @pytest.mark.parametrize(
        ("prefer", "first"),
        [
            (Quality.MEMORY, "libbpf"),
            (Quality.OVERHEAD, "ebpf-go"),
            (Quality.CPU, "libbpf"),
            (Quality.LATENCY, "ebpf-go"),
        ],
    )
    def test_is_ranked_by_what_is_preferred(self, prefer: Quality, first: str) -> None:
        found = judged(LIMITED, prefer=prefer)
        assert found.candidates[0].setup == first
        assert [candidate.fit for candidate in found.candidates] == [Fit.IN_EACH, Fit.IN_EACH, Fit.NO]
        assert found.to_measure is None

    def test_every_requirement_has_its_verdict_and_evidence_in_words(self) -> None:
        found = judged(LIMITED, max_cpu_percent=15, max_memory_bytes=3 * MIB)
        answer, *blocks = recommendation.document(found, RUN)
        assert isinstance(answer, Heading)
        assert answer.text.startswith("Take libbpf (")
        candidates = next(block for block in blocks if isinstance(block, Table))
        rows = [[cell.text for cell in row] for row in candidates.rows]
        lines = [tuple(row[1:6]) for row in rows if row[2].startswith(("overhead", "memory"))]
        assert lines[0][1:3] == ("overhead <= 3 %", "met")
        assert lines[0][3].startswith("+2.50 % [")
        assert lines[0][4] == "measured at 100,000/s (read, 156 B, n = 3)"
        assert ("memory <= 3 MiB", "not met") in [line[1:3] for line in lines]

    def test_the_nearest_is_named_where_none_fits(self) -> None:
        found = judged(LIMITED[:9], max_overhead_percent=0.5)
        assert found.qualified == ()
        answer, *_ = recommendation.document(found, RUN)
        assert isinstance(answer, Heading)
        assert answer.text.startswith("None qualifies. By the means, the nearest is ebpf-go (")
        assert answer.text.endswith("overhead +1.00 %, <= 0.5 % wanted.")

    def test_those_that_cannot_be_told_apart_are_equals_and_memory_decides(self) -> None:
        found = judged(ALIKE, max_overhead_percent=50)
        (overhead, memory) = found.steps
        assert (overhead.quality, overhead.outcome, len(overhead.left)) == (Quality.OVERHEAD, Outcome.UNDECIDED, 3)
        assert (memory.quality, memory.left) == (Quality.MEMORY, ("0",))
        assert [candidate.setup for candidate in found.chosen] == ["libbpf"]
        _, _, fit, told, best, *_ = recommendation.document(found, RUN)
        assert isinstance(fit, Paragraph)
        assert fit.text.startswith("3 of 3 fit: ")
        assert isinstance(told, Paragraph)
        assert told.text.startswith("Overhead cannot tell ")
        assert best == Paragraph("libbpf is the best in memory, by more than 5 %.")

    def test_nobody_is_taken_by_noise(self) -> None:
        same = [*trials("vanilla", 100_000), *(own for name in ("libbpf", "bcc") for own in trials(name, 100_000))]
        found = judged(same)
        assert {candidate.setup for candidate in found.chosen} == {"libbpf", "bcc"}
        answer, *_ = recommendation.document(found, RUN)
        assert isinstance(answer, Heading)
        assert answer.text.startswith("Take any of bcc (")
        assert found.steps[0].outcome is Outcome.EQUAL

    def test_where_none_fits_it_says_at_which_rate_each_does_and_with_which_limits(self) -> None:
        records = [
            *LIMITED,
            *trials("vanilla", 20_000),
            *(own for name in ("libbpf", "ebpf-go", "bcc") for own in trials(name, 20_000, latency_us=10.01)),
        ]
        found = judged(records, max_overhead_percent=0.5)
        by_setup = {own.candidate.setup: own for own in found.shortfalls}
        assert all(own.fits_at_per_s == pytest.approx(20_000) for own in by_setup.values())
        assert by_setup["ebpf-go"].nearest is not None
        assert by_setup["ebpf-go"].nearest.requirement is Quality.OVERHEAD
        loosened = by_setup["ebpf-go"].loosened
        assert judged(records, max_overhead_percent=loosened[Quality.OVERHEAD]).candidates[0].setup == "ebpf-go"
        assert by_setup["bcc"].loosened.keys() == {Quality.FIDELITY}
        (ring,) = by_setup["bcc"].remedies
        assert (ring.option, ring.value, ring.predicted) == ("ringbuf_bytes", 2**22, None)
        assert "--setups bcc " in (by_setup["bcc"].to_measure or "")
        assert "--ringbuf-bytes 262144,4194304 " in (by_setup["bcc"].to_measure or "")
        assert judged(LIMITED).shortfalls == ()

    def test_where_nothing_saves_enough_tuning_is_proposed_by_the_command_that_does_it(self) -> None:
        found = judged([*LIMITED[:3], *LIMITED[9:]], min_fidelity_percent=99.9, max_memory_bytes=2.0**28)
        assert found.to_tune == (
            "bpfbench tune --setups bcc --tools rw-tracer --attach kprobe --workloads read --processes 4 "
            "--scale 0.03125 --rate 100000 --min-fidelity 99.9 --max-memory 268435456 --minimise overhead,memory "
            "--output tuned.toml"
        )
        assert Code((found.to_tune,)) in recommendation.document(found, RUN)
        assert judged(LIMITED).to_tune is None, "some save enough"
        assert judged(LIMITED[:9], max_overhead_percent=0.5).to_tune is not None, "nobody costs so little"

    def test_a_setup_that_is_there_as_tuned_is_called_so(self) -> None:
        own = TunedValues("libbpf", Format.BINARY, 2**20, wakeup="watermark:4096")
        tuned = make_config(format=Format.BINARY, ringbuf_bytes=2**20, wakeup="watermark:4096")
        assert role_of("libbpf", tuned, "rw-tracer", (own,)) == "tuned"
        assert role_of("libbpf", make_config(), "rw-tracer", (own,)) == "default"
        assert role_of("bcc", make_config(), "rw-tracer", (own,)) == ""
        unused = TunedValues("libbpf", Format.BINARY, 2**20, wakeup="watermark:4096", records=Slots.VARIABLE)
        assert role_of("libbpf", tuned, "rw-tracer", (unused,)) == "tuned"
        assert role_of("libbpf", tuned, "rw-tracer-all", (unused,)) == "default"

    def test_programs_get_all_of_it(self) -> None:
        document = json.loads(written(recommendation.data(judged(LIMITED))))
        assert (document["qualified"], document["to_measure"]) == (2, None)
        best = document["candidates"][0]
        assert best["fit"] == "in each trial"
        assert [own["verdict"] for own in best["assessments"]] == ["met in each trial", "met"]
        assert best["assessments"][0]["evidence"]["basis"] == "measured"

    def test_a_run_without_tracers_recommends_nothing(self) -> None:
        found = judged(LIMITED[:3])
        assert found.candidates == ()
        answer, *_ = recommendation.document(found, RUN)
        assert isinstance(answer, Heading)
        assert "nothing can be recommended" in answer.text


class TestOverhead:
    def test_of_a_target_that_keeps_its_rate_is_what_its_io_takes_longer_of_its_time(self) -> None:
        # Its runtime does not move: by that everything would pass.
        verdict, how, value = basis(of(judged(LIMITED), "libbpf", Quality.OVERHEAD))
        assert (verdict, how) == (Fit.YES, "measured")
        assert value == pytest.approx(2.5, abs=0.01)
        assert of(judged(LIMITED, max_overhead_percent=2), "libbpf", Quality.OVERHEAD).fit is Fit.NO

    def test_of_a_target_that_could_not_keep_it_is_its_runtime(self) -> None:
        records = [*trials("vanilla", 100_000), *trials("libbpf", 100_000, slower=0.3)]
        verdict, _, value = basis(of(judged(records), "libbpf", Quality.OVERHEAD))
        assert verdict is Fit.NO
        assert value == pytest.approx(30, abs=0.1)

    def test_beside_lost_events_is_no_evidence_for_they_were_never_consumed(self) -> None:
        # bcc lost half of them, and so looks the cheapest.
        overhead = of(judged(LIMITED), "bcc", Quality.OVERHEAD)
        assert (overhead.fit, overhead.evidence) == (Fit.UNKNOWN, None)
        assert "trials that lost events do not count for it" in overhead.reason

    @pytest.mark.parametrize("requirement", [Quality.OVERHEAD, Quality.CPU])
    def test_at_another_rate_says_nothing_here(self, requirement: Quality) -> None:
        for per_s in (10_000, 66_000, 150_000):
            found = judged(LIMITED, per_s, max_cpu_percent=50)
            assert of(found, "ebpf-go", requirement).fit is Fit.UNKNOWN
        assert of(judged(LIMITED, 67_000, max_cpu_percent=50), "ebpf-go", requirement).fit is Fit.YES

    def test_above_the_rate_what_is_not_met_is_undecided(self) -> None:
        overhead = of(judged(LIMITED, 80_000, max_overhead_percent=2), "libbpf", Quality.OVERHEAD)
        assert overhead.fit is Fit.UNDECIDED
        assert overhead.reason.endswith("it was not met at more than the wanted rate")

    def test_two_vanillas_in_a_block_are_one_reference(self) -> None:
        twice = [
            dataclasses.replace(
                r,
                trial=dataclasses.replace(r.trial, id=f"{r.trial.id}-b"),
                fio=make_fio(runtime_s=10.0, ios=IOS, latency_us=40.0),
            )
            for r in LIMITED[:3]
        ]
        # The geometric mean of 10 and 40 us is 20.
        _, _, value = basis(of(judged([*LIMITED, *twice]), "libbpf", Quality.OVERHEAD))
        assert value == pytest.approx(100 * 0.625 * (11 / 20 - 1), abs=0.1)


class TestFidelity:
    def test_met_at_a_higher_rate_is_met_and_not_met_at_a_lower_one_is_not(self) -> None:
        assert of(judged(LIMITED, 5_000), "libbpf", Quality.FIDELITY).fit is Fit.IN_EACH
        assert of(judged(LIMITED, 5_000), "bcc", Quality.FIDELITY).fit is not Fit.NO
        assert of(judged(LIMITED, 500_000), "bcc", Quality.FIDELITY).fit is Fit.NO
        assert of(judged(LIMITED, 500_000), "libbpf", Quality.FIDELITY).fit is Fit.UNKNOWN

    def test_of_larger_events_speaks_for_smaller_ones_likewise(self) -> None:
        large = [*trials("vanilla", 100_000, payload=4096), *trials("libbpf", 100_000, payload=4096)]
        for size, verdict in ((156, Fit.IN_EACH), (2048, Fit.IN_EACH), (8192, Fit.UNKNOWN)):
            assert of(judged(large, event_bytes=size), "libbpf", Quality.FIDELITY).fit is verdict
        assert of(judged(large, event_bytes=156), "libbpf", Quality.OVERHEAD).fit is Fit.UNKNOWN

    def test_losing_beside_a_target_as_fast_as_it_can_be_is_no_failure_of_one_with_a_rate(self) -> None:
        for per_s in (300_000, 390_000):
            fidelity = of(judged(UNLIMITED, per_s), "libbpf", Quality.FIDELITY)
            assert fidelity.fit is not Fit.NO
            assert fidelity.evidence is None or fidelity.evidence.basis == "predicted"

    def test_a_prediction_without_anything_to_check_it_here_has_the_documented_error(self) -> None:
        found = judged(UNLIMITED, 50_000)
        fidelity = of(found, "libbpf", Quality.FIDELITY)
        assert fidelity.evidence is not None
        assert (fidelity.evidence.value, fidelity.evidence.low, fidelity.evidence.error) == (100.0, 96.6, 3.4)
        assert fidelity.evidence.validated_by == "docs/capacity.md"
        assert fidelity.fit is Fit.UNDECIDED
        assert found.candidates[0].fit is Fit.UNKNOWN
        assert of(judged(UNLIMITED, 50_000, min_fidelity_percent=95), "libbpf", Quality.FIDELITY).fit is Fit.YES

    def test_between_rates_of_this_run_it_has_the_error_found_with_them(self) -> None:
        # It drains about 99,844 a second whatever comes: 50 % of 200,000, 25 % of 400,000.
        records = [
            record
            for per_s, saved in ((200_000, 0.5), (300_000, 0.333), (400_000, 0.25))
            for record in (*trials("vanilla", per_s), *trials("bcc", per_s, saved))
        ]
        fidelity = of(judged(records, 250_000, min_fidelity_percent=35), "bcc", Quality.FIDELITY)
        assert fidelity.evidence is not None
        assert (fidelity.evidence.basis, fidelity.evidence.validated_by) == ("measured", None)  # 300,000 is near
        predicted = of(judged(records[:6] + records[12:], 250_000, min_fidelity_percent=35), "bcc", Quality.FIDELITY)
        assert predicted.evidence is not None
        assert (predicted.evidence.basis, predicted.evidence.validated_by) == ("predicted", "this run")
        assert predicted.evidence.value == pytest.approx(40, abs=0.3)
        assert predicted.evidence.error is not None
        assert predicted.evidence.error < 0.5
        assert predicted.fit is Fit.YES

    def test_beyond_all_that_was_measured_nothing_is_predicted(self) -> None:
        assert of(judged(UNLIMITED, 1_000_000), "libbpf", Quality.FIDELITY).fit is Fit.UNKNOWN

    def test_of_bench_drain_is_believed_where_this_run_bears_it_out_alone(self) -> None:
        tracer = Tracer("libbpf", "kprobe", "binary", 156, 256 * 1024)
        bench = [Observation(tracer, Source.BENCH, 200_000.0, True, 1.0)]
        records = [
            r for n in (150_000, 400_000) for r in (*trials("vanilla", n), *trials("libbpf", n, min(1, 2e5 / n)))
        ]
        fidelity = of(recommend(results.of(records), wish(190_000), bench), "libbpf", Quality.FIDELITY)
        assert fidelity.evidence is not None
        assert (fidelity.evidence.basis, fidelity.evidence.validated_by) == ("predicted", "this run")
        alone = of(recommend(results.of(UNLIMITED), wish(190_000), bench), "libbpf", Quality.FIDELITY)
        assert alone.fit is Fit.UNKNOWN


class TestIntervals:
    @pytest.mark.parametrize(
        ("low", "high", "at_least", "at_most"),
        [
            (99.5, 99.9, Fit.YES, Fit.NO),
            (98.0, 99.5, Fit.UNDECIDED, Fit.UNDECIDED),
            (90.0, 98.9, Fit.NO, Fit.YES),
            (99.0, 99.0, Fit.YES, Fit.YES),
            (None, None, Fit.UNDECIDED, Fit.UNDECIDED),
        ],
    )
    def test_decide_by_both_of_their_ends(
        self, low: float | None, high: float | None, at_least: Fit, at_most: Fit
    ) -> None:
        found = Evidence(99.0, low, high, 1e5, 156)
        assert judge(Quality.FIDELITY, 99.0, found) is at_least
        assert judge(Quality.CPU, 99.0, found) is at_most

    def test_that_reach_over_the_limit_leave_it_undecided(self) -> None:
        noisy = [*trials("vanilla", 100_000), *trials("libbpf", 100_000, latency_us=10.5, noise=(0.9, 1.0, 1.1))]
        found = judged(noisy)
        assert found.candidates[0].fit is Fit.UNDECIDED
        assert of(found, "libbpf", Quality.OVERHEAD).reason.endswith("its interval reaches over the limit")

    def test_of_one_trial_there_is_none(self) -> None:
        found = judged([*trials("vanilla", 100_000, noise=(1.0,)), *trials("libbpf", 100_000, noise=(1.0,))])
        assert {own.fit for own in found.candidates[0].assessments} == {Fit.UNDECIDED}
        assert of(found, "libbpf", Quality.FIDELITY).reason.endswith("fewer than 3 rounds say nothing of its error")

    def test_of_trials_that_all_lost_nothing_there_is_none_and_what_they_kept_to_is_said_of_them_alone(self) -> None:
        found = judged(LIMITED)
        fidelity = of(found, "libbpf", Quality.FIDELITY)
        assert fidelity.fit is Fit.IN_EACH
        assert fidelity.evidence is not None
        assert (fidelity.evidence.low, fidelity.evidence.high, fidelity.evidence.least) == (None, None, 100)
        assert fidelity.evidence.alike
        said = markdown.text(recommendation.document(found, RUN))
        assert "| met in each trial | 100.00 % |" in said
        assert "After 3 without a miss, up to 63 % of all trials may miss the limit" in said

    @pytest.mark.parametrize(
        ("saved", "fit"),
        [
            # An event more or less in one of three trials makes nobody surer: they scatter as little by luck.
            ((1.0, 1.0, 0.999999), Fit.IN_EACH),
            ((0.9995, 0.9996, 0.9994), Fit.IN_EACH),
            ((0.995, 0.989, 0.999), Fit.UNDECIDED),
            # Losses scatter by themselves, so that an interval by their SD tells.
            ((0.66, 0.67, 0.65), Fit.NO),
            ((0.5, 0.5, 0.5), Fit.NO),
        ],
    )
    def test_of_shares_what_is_kept_to_in_each_of_few_trials_is_not_known_of_others(
        self, saved: tuple[float, ...], fit: Fit
    ) -> None:
        records = [r for at, share in enumerate(saved) for r in trials("libbpf", 100_000, share)[at : at + 1]]
        assert of(judged([*trials("vanilla", 100_000), *records]), "libbpf", Quality.FIDELITY).fit is fit

    def test_of_the_workload_where_it_is_worst_count(self) -> None:
        writes = [*trials("vanilla", 100_000, name="write"), *trials("libbpf", 100_000, latency_us=14, name="write")]
        overhead = of(judged([*LIMITED, *writes]), "libbpf", Quality.OVERHEAD)
        assert overhead.fit is Fit.NO
        assert overhead.evidence is not None
        assert overhead.evidence.workload == "write"

    def test_of_reads_say_nothing_of_writes(self) -> None:
        writes = [*trials("vanilla", 9_000, name="write"), *trials("libbpf", 9_000, name="write")]
        overhead = of(judged([*LIMITED, *writes]), "libbpf", Quality.OVERHEAD)
        assert (overhead.fit, overhead.evidence) == (Fit.UNKNOWN, None)


class TestWhatIsNotKnown:
    def test_comes_with_the_command_that_measures_it(self) -> None:
        found = judged(UNLIMITED, 50_000, event_bytes=668)
        assert found.to_measure is not None
        words = found.to_measure.split()
        given = dict(zip(words[3::2], words[4::2], strict=True))
        assert words[:3] == ["bpfbench", "run", "quick"]
        assert given["--setups"] == "libbpf"
        assert (given["--rate-iops"], given["--processes"]) == ("12500", "4")
        assert (given["--tools"], given["--payload-bytes"]) == ("rw-tracer-all", "512")
        # So many I/Os of each process that a trial takes 10 s or more: 2^17 of 4 KiB.
        assert float(given["--scale"]) * 32 * 2**30 == 2**17 * 4096
        shown = recommendation.document(found, RUN)
        assert Code((found.to_measure,)) in shown
        assert isinstance(shown[0], Heading)
        assert "was not measured" in shown[0].text

    def test_does_not_name_who_fails_for_certain(self) -> None:
        records = [*LIMITED, *trials("aya-sync", 100_000, noise=(1.0,))]
        found = judged(records)
        assert found.to_measure is not None
        assert "--setups aya-sync " in found.to_measure


def served(setup: str, rate: int | None, *, latency_us: float = 300.0, cpu_s: float = 1.0) -> list[Record]:
    """Three blocks of a setup beside a server of which each operation makes 5 calls: at a rate, or 2,000 a second."""
    found = []
    runtime_s = 4000 / (rate or 2000)
    for block, factor in enumerate(NOISE):
        trial = make_trial(setup, block, workload=Workload("nginx", 0, 0, rate))
        values = {"operations": 4000.0, "latency_mean_us": latency_us * factor}
        cpu = {"workload": CpuTime(cpu_s * factor, 0.0)}
        summary = make_summary(trial, saved=20_000, lost={}) if setup != "vanilla" else None
        record = make_record(trial, summary=summary, usage=make_usage(user_s=0.1, system_s=0.0))
        driven = DrivenResult(0.0, runtime_s, values, rate_per_s=rate, cpu=cpu)
        found.append(dataclasses.replace(record, fio=None, driven=driven, calls=CallAccount(10_000, 10_000)))
    return found


class TestServers:
    """Declared targets, which have no time between operations that anybody knows of."""

    def ask(self, records: list[Record], *targets: str, **values: Any) -> Recommendation:
        study = dataclasses.replace(load(find("services")), targets=tuple(map(shipped, targets)))
        info = RunInfo(1, "r", "", "", study, len(records), (), {}, {})
        return recommend(results.of(records, info), wish(5_000, max_overhead_percent=10, **values))

    def test_at_a_rate_latency_and_cpu_are_what_an_overhead_is_and_both_have_to_do(self) -> None:
        vanilla = served("vanilla", 1000)
        overhead = of(self.ask([*vanilla, *served("libbpf", 1000, cpu_s=1.05)], "nginx"), "libbpf", Quality.OVERHEAD)
        assert overhead.fit is Fit.YES
        assert overhead.evidence is not None
        assert (overhead.evidence.aspect, round(overhead.evidence.value)) == ("CPU time", 5)
        for slower in ({"cpu_s": 1.5}, {"latency_us": 450.0}):
            found = self.ask([*vanilla, *served("libbpf", 1000, **slower)], "nginx")
            overhead = of(found, "libbpf", Quality.OVERHEAD)
            assert (overhead.fit, round(overhead.evidence.value if overhead.evidence else 0)) == (Fit.NO, 50)
            assert "n = 3" in markdown.text(recommendation.document(found, RUN))
            assert "its mean latency grows" in markdown.text(recommendation.document(found, RUN))

    def test_what_would_decide_is_the_target_at_the_rate_that_makes_the_events(self) -> None:
        closed = [*served("vanilla", None), *served("libbpf", None)]
        found = self.ask(closed, "nginx", "valkey")
        assert found.to_measure is not None
        assert "valkey has no rate" in markdown.text(recommendation.document(found, RUN))
        assert found.to_measure.startswith("bpfbench run services --setups libbpf --tools rw-tracer --targets nginx ")
        assert "--rate-iops 1000 " in found.to_measure

    def test_what_nobody_does_is_tuned_beside_one_target_at_the_rate_that_makes_the_events(self) -> None:
        lossy = [dataclasses.replace(own, summary=make_summary(own.trial, saved=5_000)) for own in served("libbpf", 1000)]
        found = self.ask([*served("vanilla", 1000), *lossy], "nginx", "valkey")
        assert found.to_tune is not None
        assert " --targets nginx --rate-iops 1000 " in found.to_tune
        assert "--study" not in found.to_tune, "shipped targets are known by name"
        assert "--scale" not in found.to_tune, "which is fio's"

    def test_a_run_of_targets_without_rates_says_so(self) -> None:
        closed = [*served("vanilla", None), *served("libbpf", None)]
        found = self.ask(closed, "valkey")
        assert found.to_measure is None
        assert "No target of this run can be driven at a rate" in markdown.text(recommendation.document(found, RUN))
