# SPDX-License-Identifier: Apache-2.0
"""Each step of a cost is the difference of two variants that ran in the same block; numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import make_config, make_failure, make_fio, make_record, make_trial, make_usage

from bpfbench.analysis.questions.costs import STEPS, costs, cpu_ns, time_ns
from bpfbench.analysis.results import of
from bpfbench.model import GroupUsage, ProgramTime, Record, Variant, Workload

READ = Workload("read", processes=4, bytes_per_process=1000 * 4096)


def ran(variant: Variant | None, runtime_s: float, block: int = 0, **parts: Any) -> Record:
    """A trial of 4000 I/Os by 4 processes: 1 s of runtime is 1 ms, 1e6 ns, per I/O."""
    config = None if variant is None else make_config(variant=variant)
    trial = make_trial("vanilla" if variant is None else "libbpf", block, workload=READ, config=config)
    trial = replace(trial, id=f"{trial.id}-{variant}")
    return replace(make_record(trial, fio=make_fio(runtime_s=runtime_s, ios=4000)), **parts)


def group(user_s: float, system_s: float) -> dict[str, GroupUsage]:
    return {"workload": GroupUsage(user_s, system_s, None, None, None, None)}


BLOCK = (
    ran(None, 1.0),
    ran(Variant.NO_CONSUMER, 1.3),
    ran(Variant.NO_OUTPUT, 1.8),
    ran(Variant.FULL, 2.5),
)


def test_steps_add_up_to_the_whole() -> None:
    (cost,) = costs(of(BLOCK))
    means = {step: found.mean for step, found in cost.time_ns.items() if found}
    assert means == pytest.approx({"kernel": 300_000, "consuming": 500_000, "output": 700_000, "whole": 1_500_000})
    assert cost.cell.setup == "libbpf"
    assert cost.cell.is_full


def test_blocks_are_never_mixed() -> None:
    slow = [ran(variant, runtime_s, block=1) for variant, runtime_s in ((None, 11.0), (Variant.NO_CONSUMER, 11.5))]
    (cost,) = costs(of([*BLOCK, *slow, ran(Variant.FULL, 99.0, block=2)]))
    kernel = cost.time_ns["kernel"]
    assert kernel is not None
    assert kernel.mean == pytest.approx(400_000)
    assert kernel.n == 2
    assert cost.time_ns["whole"] is not None
    assert cost.time_ns["whole"].n == 1


def test_a_variant_that_was_not_run_leaves_its_steps_unknown() -> None:
    (cost,) = costs(of(BLOCK[:2]))
    assert [step for step in STEPS if cost.time_ns[step] is None] == ["consuming", "output", "whole"]


def test_a_trial_that_is_not_ok_does_not_count() -> None:
    failure = make_failure(BLOCK[1].trial, "no")
    (cost,) = costs(of([BLOCK[0], failure, *BLOCK[2:]]))
    assert cost.time_ns["kernel"] is None


def test_a_run_without_variants_has_no_costs() -> None:
    assert costs(of([BLOCK[0], BLOCK[3]])) == ()


def test_cpu_time_is_fios_and_the_tracers() -> None:
    record = ran(Variant.FULL, 1.0, groups=group(0.5, 1.5), usage=make_usage(user_s=0.25, system_s=0.75))
    assert cpu_ns(record) == pytest.approx(3.0 / 4000 * 1e9)
    assert cpu_ns(ran(None, 1.0, groups=group(0.5, 1.5))) == pytest.approx(2.0 / 4000 * 1e9)


def test_without_control_groups_there_is_no_cpu_time() -> None:
    assert cpu_ns(BLOCK[0]) is None
    assert time_ns(BLOCK[0]) == 1e6


def test_time_that_follows_a_rate_is_no_cost() -> None:
    record = ran(None, 1.0)
    paced = replace(record.trial, workload=replace(record.trial.workload, rate_iops=100))
    assert time_ns(replace(record, trial=paced)) is None


def test_programs_whose_names_are_cut_alike_are_added_up() -> None:
    programs = (ProgramTime("syscalls__sys_e", 1500, 2), ProgramTime("syscalls__sys_e", 2500, 2))
    (cost,) = costs(of([*BLOCK, ran(Variant.RUN_TIME, 3.0, programs=programs)]))
    assert cost.bpf_ns == cost.programs_ns["syscalls__sys_e"]


def test_run_time_of_programs_is_that_of_its_own_trials() -> None:
    programs = (ProgramTime("read_enter", 1500, 2), ProgramTime("read_exit", 2500, 2))
    timed = ran(Variant.RUN_TIME, 3.0, programs=programs)
    (cost,) = costs(of([*BLOCK, timed]))
    assert timed.summary is not None
    assert cost.bpf_ns is not None
    assert cost.bpf_ns.mean == pytest.approx(4000 / timed.summary.intercepted_total)
    assert cost.time_ns["whole"] is not None
    assert cost.time_ns["whole"].mean == pytest.approx(1_500_000)
