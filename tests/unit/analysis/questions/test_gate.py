# SPDX-License-Identifier: Apache-2.0
"""A gate fails by what is surely beyond a limit, passes by what is surely within, and by nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from builders import READ, make_fio, make_record, make_summary, make_trial

from bpfbench.analysis import metrics
from bpfbench.analysis.questions.gate import Gated, GateVerdict, Limit, gated, limit, unjudged
from bpfbench.analysis.results import Results, of
from bpfbench.model import Status

FAILED, PASSED, UNDECIDED = GateVerdict


def read(text: str) -> Limit:
    return limit(text, metrics.METRICS)


def run(
    slowdowns: Sequence[float],
    saved: Sequence[int] = (),
    *,
    seconds: float = 10.0,
    cell: int = 0,
    rate: int | None = None,
) -> Results:
    """A run of one tracer, whose runtime over vanilla's is given by block."""
    work = replace(READ, bytes_per_process=READ.bytes_per_process + cell * 4096, rate_iops=rate)
    found = []
    for block, slowdown in enumerate(slowdowns):
        trials = (make_trial(setup, block, workload=work) for setup in ("vanilla", "libbpf"))
        vanilla, tracer = (replace(own, id=f"{own.id}-{cell}") for own in trials)
        kept = saved[block] if saved else 1000
        summary = make_summary(tracer, saved=kept, lost={"ring_full": 1000 - kept})
        found.append(make_record(vanilla, fio=make_fio(runtime_s=seconds)))
        found.append(make_record(tracer, fio=make_fio(runtime_s=seconds * slowdown), summary=summary))
    return of(found)


def judged(before: Results, after: Results, *texts: str) -> list[GateVerdict]:
    return [own.verdict for own in gated(before, after, [read(text) for text in texts])]


BEFORE = (1.10, 1.11, 1.09, 1.10)


@pytest.mark.parametrize(
    ("after", "text", "verdict"),
    [
        ((1.30, 1.31, 1.29, 1.30), "runtime_s > 5 %", FAILED),
        ((1.30, 1.31, 1.29, 1.30), "runtime_s>+5%", FAILED),
        ((1.30, 1.31, 1.29, 1.30), "runtime_s > 50 %", PASSED),
        ((1.30, 1.31, 1.29, 1.30), "runtime_s < -5 %", PASSED),
        ((0.90, 0.91, 0.89, 0.90), "runtime_s < -5 %", FAILED),
        ((1.10, 1.11, 1.09, 1.10), "runtime_s > 5 %", PASSED),
        ((1.155, 1.165, 1.145, 1.155), "runtime_s > 5 %", UNDECIDED),
        ((0.80, 1.60, 1.20, 1.40), "runtime_s > 5 %", UNDECIDED),
        ((2.20, 2.21), "runtime_s > 5 %", UNDECIDED),
    ],
)
def test_a_change_fails_where_it_is_surely_beyond(after: Sequence[float], text: str, verdict: GateVerdict) -> None:
    assert judged(run(BEFORE), run(after), text) == [verdict]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((990, 991, 989, 990), (950, 951, 949, 950), FAILED),
        ((990, 991, 989, 990), (985, 986, 984, 985), PASSED),
        ((1000,) * 4, (1000,) * 4, PASSED),
        ((1000,) * 4, (900,) * 4, UNDECIDED),
        ((1000,) * 2, (1000,) * 2, UNDECIDED),
    ],
    ids=["lost", "kept", "all kept, always", "never scatters, and is another", "few"],
)
def test_shares_change_by_points(before: Sequence[int], after: Sequence[int], verdict: GateVerdict) -> None:
    slowdowns = BEFORE[: len(before)]
    assert judged(run(slowdowns, before), run(slowdowns, after), "saved_percent < -2 pp") == [verdict]


def test_a_slower_machine_fails_nothing() -> None:
    assert judged(run(BEFORE), run(BEFORE, seconds=20.0), "runtime_s > 5 %") == [PASSED]


def test_every_limit_is_held_against_every_tracers_cell_and_against_no_vanilla() -> None:
    before, after = (
        of([*run(BEFORE).records, *run(slowdowns, cell=1).records]) for slowdowns in (BEFORE, (1.3, 1.31, 1.29, 1.3))
    )
    found: tuple[Gated, ...] = gated(before, after, [read("runtime_s > 5 %"), read("saved_percent < -2 pp")])
    assert [(own.limit.metric, own.cell.setup, own.verdict) for own in found] == [
        ("runtime_s", "libbpf", PASSED),
        ("runtime_s", "libbpf", FAILED),
        ("saved_percent", "libbpf", PASSED),
        ("saved_percent", "libbpf", PASSED),
    ]


def both(slowdowns: Sequence[float], **second: object) -> Results:
    """A run of two cells, the second one of which is otherwise."""
    return of([*run(slowdowns).records, *run(slowdowns, cell=1, **second).records])  # type: ignore[arg-type]


@pytest.mark.parametrize("setups", [("libbpf",), ("vanilla",), ("vanilla", "libbpf")])
@pytest.mark.parametrize("failed", [False, True], ids=["not run", "none ok"])
def test_what_vanished_is_undecided(setups: Sequence[str], failed: bool) -> None:
    before, after = both(BEFORE), both(BEFORE)
    gone = [own for own in after.records if own.trial.id.endswith("-1") and own.trial.setup in setups]
    left = [own for own in after.records if own not in gone]
    rest = of([*left, *(replace(own, status=Status.FAILED) for own in gone)] if failed else left)
    first, second = gated(before, rest, [read("runtime_s > 5 %")])
    assert (first.verdict, first.n_after) == (PASSED, 4)
    assert (second.verdict, second.change, second.n_before, second.n_after) == (UNDECIDED, None, 4, 0)


def test_what_is_new_is_held_against_nothing() -> None:
    assert judged(run(BEFORE), both(BEFORE), "runtime_s > 5 %") == [PASSED]


def test_runtime_is_not_judged_where_the_rate_is_limited() -> None:
    limits = [read("runtime_s > 5 %"), read("latency_mean_us > 5 %"), read("saved_percent < -2 pp")]
    runs = both(BEFORE, rate=1000), both((1.3, 1.31, 1.29, 1.3), rate=1000)
    assert [(own.limit.metric, own.cell.workload.rate_iops) for own in gated(*runs, limits)] == [
        ("runtime_s", None),
        *((metric, rate) for metric in ("latency_mean_us", "saved_percent") for rate in (None, 1000)),
    ]
    assert [(own.limit, own.cell.workload.rate_iops) for own in unjudged(runs[0], limits)] == [(limits[0], 1000)]


def test_of_many_cells_without_a_change_hardly_ever_one_fails() -> None:
    numbers = np.random.default_rng(7)

    def noisy() -> Results:
        runs = (run(np.exp(numbers.normal(0.1, 0.05, 4)).tolist(), cell=cell) for cell in range(12))
        return of([record for own in runs for record in own.records])

    failed = sum(FAILED in judged(noisy(), noisy(), "runtime_s > 0 %") for _ in range(20))
    assert failed <= 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runtime_s", "'runtime_s' is no limit; write METRIC > NUMBER UNIT, or <, as in 'runtime_s > 5 %'"),
        ("runtime_s > 5", "'runtime_s > 5': runtime_s changes in %"),
        ("runtime_s > 5 pp", "'runtime_s > 5 pp': runtime_s changes in %"),
        ("saved_percent < -2 %", "'saved_percent < -2 %': saved_percent changes in pp"),
        ("memory_growth_bytes > 5 %", "'memory_growth_bytes > 5 %': memory_growth_bytes changes in MiB"),
        ("runtime > 5 %", "'runtime' is not one of: runtime_s, "),
        ("runtime_s < -100 %", "'runtime_s < -100 %': nothing changes by -100 % or less"),
        ("runtime_s > nan %", "is no limit"),
    ],
)
def test_what_is_no_limit_is_refused_with_what_would_be_one(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read(text)


def test_limits_are_in_the_unit_that_a_metric_changes_in() -> None:
    assert read("memory_growth_bytes > 1.5 MiB").change == 1.5 * 2**20
    assert read("saved_percent < -2 points").change == read("saved_percent<-2pp").change == -2
