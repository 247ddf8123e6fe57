# SPDX-License-Identifier: Apache-2.0
"""What is recommended: that which fits, ranked as wished, and never silently beyond what was measured."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from builders import MIB, make_config, make_fio, make_record, make_summary, make_trial, make_usage

from bpfbench.analysis.capacity import Observation, Source, Tracer
from bpfbench.analysis.recommend import Fit, Preference, Recommendation, Wish, recommend
from bpfbench.analysis.table import tidy
from bpfbench.model import Record, Tool, Workload
from bpfbench.report import recommendation

IOS = 1_000_000
FAST = Workload("read", 4, IOS * 1024)


def trials(setup: str, overhead: float, saved: float, *, payload: int | None = None, mib: int = 5) -> list[Record]:
    """Three blocks of a setup beside a vanilla of 10 s, 100 000 events a second."""
    found = []
    tool = Tool.RW_TRACER if payload is None else Tool.RW_TRACER_ALL
    for block in range(3):
        # The noise cancels over the blocks: -0.1, 0, 0.1 %. Vanilla has none.
        runtime_s = 10.0 * (1 + overhead) * (1 + (0.001 * (block - 1) if overhead else 0.0))
        trial = make_trial(setup, block, tool=tool, workload=FAST)
        if setup != "vanilla":
            trial = dataclasses.replace(trial, config=make_config(payload_bytes=payload))
        kept = round(saved * IOS)
        found.append(
            make_record(
                trial,
                fio=make_fio(runtime_s=runtime_s, ios=IOS),
                summary=make_summary(trial, saved=kept, lost={"ring_full": IOS - kept}),
                usage=make_usage(pss_peak_bytes=mib * MIB),
            )
        )
    return found


RUN = [
    *trials("vanilla", 0.0, 1.0),
    *trials("libbpf", 0.02, 1.0, mib=2),
    *trials("ebpf-go", 0.01, 1.0, mib=7),
    *trials("bcc", 0.04, 0.5, mib=100),
]


def wish(**values: Any) -> Wish:
    usual: dict[str, Any] = {
        "rate_per_s": 90_000,
        "event_bytes": 156,
        "min_fidelity_percent": 99,
        "max_overhead_percent": 3,
    }
    return Wish(**{**usual, **values})


def judged(records: list[Record] = RUN, **values: Any) -> Recommendation:
    return recommend(tidy("run", records), wish(**values))


def fits(found: Recommendation) -> list[tuple[str, str]]:
    return [(candidate.setup, candidate.fit.value) for candidate in found.candidates]


@pytest.mark.parametrize(("prefer", "first"), [(Preference.MEMORY, "libbpf"), (Preference.OVERHEAD, "ebpf-go")])
def test_what_fits_is_ranked_by_what_is_preferred(prefer: Preference, first: str) -> None:
    found = judged(prefer=prefer)
    assert found.candidates[0].setup == first
    assert {candidate.setup for candidate in found.qualified} == {"libbpf", "ebpf-go"}
    assert fits(found)[-1] == ("bcc", "no")


def test_overhead_is_scaled_down_to_the_wanted_rate() -> None:
    (libbpf,) = (c for c in judged(rate_per_s=50_000).candidates if c.setup == "libbpf")
    assert libbpf.overhead is not None
    assert libbpf.overhead.measured_percent == pytest.approx(2.0, abs=0.01)
    assert libbpf.overhead.percent == pytest.approx(1.0, abs=0.01)


def test_the_nearest_is_named_with_the_reason_where_none_fits() -> None:
    found = judged(max_overhead_percent=0.5)
    assert found.qualified == ()
    nearest = found.candidates[0]
    assert (nearest.setup, nearest.fit) == ("ebpf-go", Fit.NO)
    (answer, *_) = recommendation.sections(found, "run", emulated=False)
    assert answer.title.startswith("None qualifies. The nearest is ebpf-go (")
    assert "it costs 0.9 % in read, 0.4 points too much" in answer.title


def test_too_little_saved_is_a_reason() -> None:
    (bcc,) = (c for c in judged(max_overhead_percent=50).candidates if c.setup == "bcc")
    # It drained 500000 less what the ring holds, in 10.4 s: 47.9 k of 90 k a second.
    assert bcc.fidelity is not None
    assert bcc.fidelity.percent == pytest.approx(52.5, abs=0.2)
    assert [reason.split(",")[0] for reason in bcc.reasons] == [f"saves {bcc.fidelity.percent:.1f} %"]


def test_an_interval_that_reaches_over_the_limit_makes_it_likely_only() -> None:
    noisy = [
        record if record.trial.setup != "libbpf" else dataclasses.replace(record, fio=make_fio(runtime_s=s, ios=IOS))
        for record, s in zip(RUN, [0.0] * 3 + [10.0, 10.2, 10.3] + [0.0] * 6, strict=True)
    ]
    (libbpf,) = (c for c in judged(noisy).candidates if c.setup == "libbpf")
    assert libbpf.fit is Fit.LIKELY
    assert "the upper end of the 95 % interval" in libbpf.reasons[0]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"rate_per_s": 200_000}, "200000 events/s: the highest rate measured is"),
        ({"event_bytes": 512}, "events of 512 bytes: measured are 156"),
    ],
)
def test_beyond_what_was_measured_nothing_qualifies_unless_asked_for(values: dict[str, Any], what: str) -> None:
    found = judged(max_overhead_percent=50, **values)
    assert found.qualified == ()
    assert all(candidate.fit is Fit.UNKNOWN for candidate in found.candidates)
    assert found.candidates[0].beyond[0].startswith(what)
    (answer, *_) = recommendation.sections(found, "run", emulated=False)
    assert "beyond what was measured" in answer.title
    estimated = judged(max_overhead_percent=50, min_fidelity_percent=10, extrapolate=True, **values)
    assert estimated.qualified
    assert estimated.candidates[0].beyond


def test_between_event_sizes_everything_is_interpolated() -> None:
    large = [*trials("vanilla", 0.0, 1.0, payload=4096), *trials("libbpf", 0.10, 1.0, payload=4096, mib=4)]
    records = [*RUN[:6], *(r for r in large)]
    wanted = judged(records, event_bytes=156 + 2048, max_overhead_percent=50, prefer=Preference.MEMORY)
    (libbpf,) = wanted.candidates
    assert libbpf.overhead is not None
    assert libbpf.overhead.measured_percent == pytest.approx(6.0, abs=0.05)
    assert libbpf.preferred == pytest.approx(3 * MIB)
    assert (libbpf.fit, libbpf.beyond) == (Fit.YES, ())


def test_bench_drain_takes_the_place_of_the_runs_drain_rates() -> None:
    tracer = Tracer("bcc", "kprobe", "binary", 156, 256 * 1024)
    bench = [Observation(tracer, Source.BENCH, 200_000.0, True, 1.0)]
    found = recommend(tidy("run", RUN), wish(max_overhead_percent=5), bench)
    by_setup = {candidate.setup: candidate for candidate in found.candidates}
    assert by_setup["bcc"].fit is Fit.YES
    assert by_setup["libbpf"].reasons == ("no trial and no measurement says how fast it drains",)


def test_a_run_without_tracers_recommends_nothing() -> None:
    found = judged(RUN[:3])
    assert found.candidates == ()
    (answer, *_) = recommendation.sections(found, "run", emulated=False)
    assert "nothing can be recommended" in answer.title


def test_a_run_of_limited_rates_alone_speaks_of_such_targets() -> None:
    limited = [
        dataclasses.replace(
            record,
            trial=dataclasses.replace(
                record.trial, workload=dataclasses.replace(record.trial.workload, rate_iops=25_000)
            ),
        )
        for record in RUN
    ]
    (bcc,) = (c for c in judged(limited).candidates if c.setup == "bcc")
    assert bcc.fidelity is not None
    assert bcc.fidelity.percent > 53.1  # 52.5 of a target as fast as it can be, see above
    assert recommend(tidy("run", limited), wish()).steady
    assert not recommend(tidy("run", RUN), wish()).steady
