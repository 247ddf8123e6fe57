# SPDX-License-Identifier: Apache-2.0
"""The order of trials and a run's own noise: effects that are there are found, others are not, and both are said."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from builders import READ, make_failure, make_fio, make_record, make_trial
from simulated import SDS, SETUPS, as_of_old, simulated

from bpfbench import store
from bpfbench.analysis.order import After, Effect, OrderTest, examine, labels, timed
from bpfbench.analysis.results import of
from bpfbench.model import EMULATED, Accelerator, Environment, Workload

RUNS = sorted((Path(__file__).parents[2] / "data" / "runs").glob("format-*"))


def effect(test: OrderTest, what: str) -> Effect:
    (found,) = (own for own in test.effects if own.what == what)
    return found


class TestOrder:
    def test_first_trials_that_take_longer_are_found_with_their_size_where_they_do(self) -> None:
        found = examine(of(simulated(1, first=1.5))).order
        assert found.found
        assert found.place.found
        reads, writes = effect(found.place, "first, read"), effect(found.place, "first, write")
        assert reads.interval.low <= 1.5 <= reads.interval.high
        assert reads.interval.low > 1.3
        assert writes.interval.low <= 1.0 <= writes.interval.high

    def test_a_predecessor_that_matters_is_found_with_its_size(self) -> None:
        found = examine(of(simulated(2, after_other=1.6, warm_ups=False))).order
        assert found.predecessor.found
        own = effect(found.predecessor, "after another workload")
        assert own.interval.low <= 1.6 <= own.interval.high

    def test_what_is_not_there_is_found_about_as_often_as_the_error_allows(self) -> None:
        runs = [examine(of(simulated(seed))).order for seed in range(200)]
        places = [run.place.p for run in runs if run.place.p is not None]
        predecessors = [run.predecessor.p for run in runs if run.predecessor.p is not None]
        assert len(places) == len(predecessors) == 200
        # 5 % of 200 are 10; above 19 there are 0.3 % of all samples, below 3 another 0.3 %.
        for ps in (places, predecessors):
            assert 3 <= sum(p <= 0.05 for p in ps) <= 19
        assert sum(run.found for run in runs) <= 19
        covered = [own.interval.low <= 1 <= own.interval.high for run in runs for own in run.place.effects[:1]]
        assert np.mean(covered) > 0.9

    def test_it_is_the_regression_with_a_dummy_for_each_block_and_cell(self) -> None:
        records = [record for record in simulated(3, blocks=12) if record.trial.workload.name == "read"]
        records += [record for record in simulated(4, blocks=12) if record.trial.workload.name == "read"]
        records = [
            dataclasses.replace(
                record,
                trial=dataclasses.replace(record.trial, index=i, block=record.trial.block + 100 * (i // 36), id=str(i)),
            )
            for i, record in enumerate(records)
        ]
        found = examine(of(records)).order
        blocks = sorted({record.trial.block for record in records})
        setups = sorted(set(SETUPS))
        design = np.array(
            [
                [float(record.place == 1)]
                + [float(record.trial.block == block) for block in blocks]
                + [float(record.trial.setup == setup) for setup in setups[1:]]
                for record in records
            ]
        )
        logs = np.log([record.fio.runtime_s for record in records if record.fio])
        coefficients, residuals, rank, _ = np.linalg.lstsq(design, logs, rcond=None)
        assert rank == design.shape[1]
        own = effect(found.place, "first")
        assert math.log(own.ratio) == pytest.approx(coefficients[0])
        error = math.sqrt(residuals[0] / (len(logs) - rank) * np.linalg.inv(design.T @ design)[0, 0])
        assert math.log(own.interval.high / own.ratio) / error == pytest.approx(2.0, abs=0.05)  # t of 43 degrees

    def test_a_drifting_machine_and_setups_that_differ_are_no_effect_of_order(self) -> None:
        records = simulated(5)
        slower = [
            dataclasses.replace(r, fio=make_fio(runtime_s=r.fio.runtime_s * (1 + r.trial.block)))
            for r in records
            if r.fio
        ]
        one, other = examine(of(records)).order, examine(of(slower)).order
        assert one.place.p == pytest.approx(other.place.p)
        assert one.predecessor.p == pytest.approx(other.predecessor.p)

    def test_at_a_limited_rate_latency_is_looked_at(self) -> None:
        assert examine(of(simulated(6, first=1.5, rate_iops=1000))).order.place.found

    @pytest.mark.parametrize("blocks", [1, 2, 5])
    def test_few_blocks_are_not_tested_and_that_is_said(self, blocks: int) -> None:
        found = examine(of(simulated(7, blocks=blocks))).order
        assert found.place.p is found.predecessor.p is None
        assert not found.found
        assert found.place.reason is not None
        assert found.place.reason.startswith(f"{blocks} block")

    def test_trials_that_leave_no_freedom_are_not_tested(self) -> None:
        found = examine(of(simulated(8, blocks=6, setups=("vanilla", "bcc")))).order
        assert "degrees of freedom" in (found.place.reason or "")

    def test_values_that_never_vary_are_not_tested(self) -> None:
        same = [dataclasses.replace(record, fio=make_fio()) for record in simulated(9)]
        assert examine(of(same)).order.place.reason == "repeated trials do not differ at all"

    def test_what_did_not_end_well_and_what_was_emulated_takes_no_part(self) -> None:
        records = simulated(10)
        failed = [*records[:-1], dataclasses.replace(make_failure(records[-1].trial, "fio died"), place=6)]
        assert examine(of(failed)).order.trials == len(records) - 1
        emulated = [dataclasses.replace(r, environment=Environment("6.12", "boot", Accelerator.TCG)) for r in records]
        assert examine(of(emulated)).order.place.reason == examine(of(emulated)).itself.reason == EMULATED

    def test_no_trial_at_all(self) -> None:
        found = examine(of([]))
        assert found.order.place.reason == "no trial has a time that could be compared"
        assert found.itself.pooled is None


class TestOldFormats:
    def test_place_and_predecessor_are_those_of_the_plan_and_that_is_said(self) -> None:
        records = simulated(11, after_other=1.6, warm_ups=False)
        new, old = examine(of(records)).order, examine(of(as_of_old(records))).order
        assert (new.place, new.predecessor) == (old.place, old.predecessor)
        assert not any("those of the plan" in note for note in new.notes)
        assert any("those of the plan" in note for note in old.notes)

    def test_nothing_is_remembered_of_another_session_or_from_before_a_boot(self) -> None:
        trials = [dataclasses.replace(make_trial(setup), index=i) for i, setup in enumerate(SETUPS[1:])]
        where = [("1", "a"), ("1", "a"), ("1", "b"), ("2", "b"), ("2", "b")]
        records = [
            dataclasses.replace(make_record(trial, session=session), environment=Environment("6.12", boot))
            for trial, (session, boot) in zip(trials, where, strict=True)
        ]
        found = [item.after for item in timed(of(as_of_old(records)))]
        assert found == [After.NOTHING, After.VANILLA, After.NOTHING, After.NOTHING, After.TRACER]

    def test_what_is_steady_is_named_by_its_rate_alone(self) -> None:
        bursts = dataclasses.replace(READ, rate_iops=1000, burst_ios=64, duty_percent=12.5)
        found = labels([READ, dataclasses.replace(READ, rate_iops=1000), bursts])
        assert found == ("read unlimited", "read 1000 IOPS", "read 1000 IOPS 64 I/Os a burst 12.5 % duty")

    def test_another_size_or_rate_is_another_workload(self) -> None:
        others: list[Workload] = [
            READ,
            dataclasses.replace(READ, rate_iops=1000),
            dataclasses.replace(READ, processes=1, rate_iops=1000),
        ]
        trials = [dataclasses.replace(make_trial("bcc", n, workload=own), index=n) for n, own in enumerate(others)]
        found = [item.after for item in timed(of(as_of_old([make_record(trial) for trial in trials])))]
        assert found == [After.NOTHING, After.OTHER, After.OTHER]

    @pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
    def test_a_run_of_each_format_is_examined_or_says_why_not(self, path: Path) -> None:
        found = examine(of(store.Run(path).records()))
        assert found.order.trials > 0
        assert found.order.place.p is not None or found.order.place.reason
        if path.name == "format-4":
            assert found.itself.pooled is not None
        else:
            assert found.itself.pooled is None
            assert found.itself.reason == "no block has two vanilla trials that count"


class TestNoise:
    def test_it_is_the_later_over_the_earlier_of_each_block(self) -> None:
        values = ((10.0, 11.0), (20.0, 19.0), (30.0, 33.0))
        records = []
        for block, pair in enumerate(values):
            for number, seconds in enumerate(pair):
                trial = dataclasses.replace(make_trial("vanilla", block), index=2 * block + number)
                records.append(make_record(trial, fio=make_fio(runtime_s=seconds)))
        logs = np.log([later / earlier for earlier, later in values])
        found = examine(of(records[::-1])).itself.pooled
        assert found is not None
        assert found.noise is not None
        assert found.paired.n == found.noise.n == 3
        assert found.paired.ratio == pytest.approx(math.exp(logs.mean()))
        assert found.noise.sd == pytest.approx(math.sqrt((logs**2).mean()))

    def test_workloads_are_told_apart_and_tools_are_not(self) -> None:
        found = examine(of(simulated(12))).itself
        assert [workload.name for workload, _ in found.workloads] == ["read", "write"]
        sds = {workload.name: own.noise.sd if own.noise else 0.0 for workload, own in found.workloads}
        # Of a ratio of two trials, sqrt(2) times that of one.
        assert sds["read"] == pytest.approx(SDS["read"] * 2**0.5, rel=0.6)
        assert sds["write"] > 2 * sds["read"]

    def test_a_vanilla_that_failed_leaves_no_pair(self) -> None:
        records = simulated(13, blocks=6)
        lost = next(record for record in records if record.trial.is_vanilla)
        kept = [record if record is not lost else make_failure(record.trial, "fio died") for record in records]
        before, after = examine(of(records)).itself.pooled, examine(of(kept)).itself.pooled
        assert before is not None
        assert after is not None
        assert (before.paired.n, after.paired.n) == (6, 5)
