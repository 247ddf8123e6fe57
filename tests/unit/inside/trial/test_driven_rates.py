# SPDX-License-Identifier: Apache-2.0
"""What was done of the rate offered decides whether latencies count, and whether the trial does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import make_record, make_trial

from bpfbench.inside.trial.verify import Proof, checks
from bpfbench.model import CpuTime, DrivenResult, Workload

VALUES = {"operations": 10_000.0, "latency_mean_us": 80.0, "latency_p99_us": 300.0}


def result(runtime_s: float, rate: int | None = 1000, **values: float) -> DrivenResult:
    return DrivenResult(0.0, runtime_s, {**VALUES, **values}, rate_per_s=rate)


@pytest.mark.parametrize(("runtime_s", "kept"), [(10.0, True), (10.4, True), (10.6, False), (40.0, False)])
def test_latencies_count_where_the_rate_was_kept(runtime_s: float, kept: bool) -> None:
    found = result(runtime_s)
    assert found.kept_rate == kept
    assert (found.latency_mean_us, found.percentile_us("99")) == ((80.0, 300.0) if kept else (None, None))
    assert result(runtime_s, None).latency_mean_us == 80.0


def test_few_operations_that_are_due_at_random_may_be_off_by_chance() -> None:
    assert result(1.25, 100, operations=100).kept_rate
    assert not result(1.5, 100, operations=100).kept_rate


def test_more_than_was_offered_makes_a_trial_invalid_and_less_does_not() -> None:
    for runtime_s, ok in ((10.0, True), (40.0, True), (9.0, False)):
        trial = make_trial(workload=Workload("mine", 0, 0, 1000))
        record = replace(make_record(trial), fio=None, driven=result(runtime_s))
        proof = Proof(record, "x86_64", 0, {}, None, None, None)
        (check,) = (check for check in checks(proof) if check.name == "rate offered")
        assert check.ok == ok
        assert "1000 offered" in check.detail


def test_cpu_time_is_of_a_span() -> None:
    assert CpuTime(3.0, 5.0).since(CpuTime(1.0, 2.0)) == CpuTime(2.0, 3.0)
    assert CpuTime(3.0, 5.0).since(None).total_s == 8.0
