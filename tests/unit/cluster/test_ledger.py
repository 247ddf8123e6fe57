# SPDX-License-Identifier: Apache-2.0
"""What comes in of hosts is in the run directory once, of one attempt a block, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bpfbench import store
from bpfbench.cluster.ledger import Ledger, forget_failed, onto
from bpfbench.cluster.order import ORIGIN, Origin, Parcel, ParcelError
from bpfbench.codec import to_json
from bpfbench.declare import plan, study
from bpfbench.errors import StoreError
from bpfbench.model import Record, Status, Study, Trial
from bpfbench.store import Run, RunInfo

RECORDED = Run(Path(__file__).parents[2] / "data" / "runs" / "format-4")
TEMPLATE = next(record for record in RECORDED.records() if record.status is Status.OK and record.summary)
MACHINE: dict[str, Any] = {
    "hosts": {name: {"kernel": "6.1", "cpus": 2, "cpu_model": "x"} for name in ("alpha", "beta")}
}
STUDY = """
name = "two"
testbed = "cluster"
hosts = ["alpha", "beta"]
repetitions = 2
[factors]
setups = ["bcc", "libbpf"]
tools = ["rw-tracer"]
workloads = ["read", "write"]
attach = "tracepoint"
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    chosen = study.parse(STUDY, "two.toml")
    trials = plan.unroll(chosen).trials
    info = RunInfo(store.RUN_FORMAT, "two", "", "1", chosen, len(trials), (), {"name": "trixie", "key": "k"}, MACHINE)
    return store.create(tmp_path / "two", info, trials)


def record_of(trial: Trial, status: Status = Status.OK) -> Record:
    return replace(TEMPLATE, trial=trial, status=status)


def parcel(trial: Trial, spool: str = "s1", *, run: str = "two", host: str = "", status: Status = Status.OK) -> Parcel:
    record = record_of(trial, status)
    origin = Origin(host or trial.host, "boot", spool, f"{trial.id}.0" if trial.warm_up else trial.id)
    return Parcel(run, trial.block, origin, record, {"record.json": to_json(record).encode(), "fio.json": b"{}"})


def of_block(ledger: Ledger, number: int) -> tuple[Trial, ...]:
    return ledger.blocks[number].trials


def test_a_record_is_committed_once(run: Run) -> None:
    ledger = Ledger(run)
    trial = of_block(ledger, 0)[0]
    assert ledger.receive(parcel(trial)) is not None
    assert ledger.receive(parcel(trial)) is None
    assert [record.trial.id for record in run.records()] == [trial.id]
    assert json.loads((run.path / "trials" / trial.id / ORIGIN).read_text())["spool"] == "s1"
    assert ledger.done == 1
    assert not (run.path / "partial").exists() or not list((run.path / "partial").iterdir())


def test_who_resumes_knows_what_is_there(run: Run) -> None:
    first = Ledger(run)
    for trial in of_block(first, 0):
        first.receive(parcel(trial))
    again = Ledger(Run(run.path))
    assert again.done == first.done == len(of_block(first, 0))
    assert set(again.open) == set(first.open) == set(first.blocks) - {0}
    assert again.receive(parcel(of_block(first, 0)[0])) is None
    assert again.left_s("alpha") + again.left_s("beta") > 0


def test_warm_ups_are_kept_and_count_nowhere(run: Run) -> None:
    ledger = Ledger(run)
    warm_up = plan.warm_up(of_block(ledger, 0)[0], None)
    assert warm_up is not None
    assert ledger.receive(parcel(warm_up)) is None
    assert ledger.receive(parcel(warm_up)) is None
    assert len(run.warm_ups()) == 1
    assert ledger.done == 0


def test_another_attempt_sets_the_first_aside(run: Run) -> None:
    ledger = Ledger(run)
    first, second, *_ = of_block(ledger, 0)
    ledger.receive(parcel(first))
    ledger.receive(parcel(second, "s2"))
    assert [record.trial.id for record in run.records()] == [second.id]
    assert run.superseded() == 1
    assert ledger.receive(parcel(first)) is None, "what is left over of the first attempt is not mixed in"
    assert ledger.done == 1


def wrong(ledger: Ledger) -> Iterator[tuple[Parcel, str]]:
    trial, other = of_block(ledger, 0)[0], of_block(ledger, 1)[0]
    yield parcel(trial, run="one"), "of another run"
    yield parcel(trial, host="gamma"), "not the trial"
    yield parcel(replace(trial, id="0001-nothing")), "no trial of this run"
    yield parcel(replace(trial, repetition=9)), "not the trial"
    yield replace(parcel(trial), block=1), "not the trial"
    yield parcel(replace(other, host=trial.host)), "not the trial"


def test_what_was_not_ordered_is_refused(run: Run) -> None:
    ledger = Ledger(run)
    for given, said in wrong(ledger):
        with pytest.raises(ParcelError, match=said):
            ledger.receive(given)
    assert run.records() == ()


def test_a_block_that_moves_is_another_hosts_and_begins_anew(run: Run) -> None:
    ledger = Ledger(run)
    block = next(block for block in ledger.blocks.values() if block.host == "beta")
    ledger.receive(parcel(block.trials[0]))
    assert ledger.move(block, "alpha") == 1
    assert {trial.host for trial in block.trials} == {"alpha"}
    assert ledger.left_s("beta") < ledger.left_s("alpha")
    stored = Run(run.path)
    assert {trial.id for trial in stored.plan()} == set(ledger.trials)
    assert [trial.index for trial in stored.plan()] == list(range(len(stored.plan())))
    assert all("beta" not in trial.id for trial in block.trials)
    for trial in block.trials:
        ledger.receive(parcel(trial, "s2"))
    assert not block.left


def test_other_hosts_take_up_what_is_left(run: Run) -> None:
    ledger = Ledger(run)
    done = next(block for block in ledger.blocks.values() if block.host == "beta")
    for trial in done.trials:
        ledger.receive(parcel(trial))
    moved = onto(run, ("alpha", "gamma"), MACHINE)
    again = Ledger(Run(run.path))
    assert moved == 1
    assert {block.host for block in again.open.values()} <= {"alpha", "gamma"}
    assert again.blocks[done.number].host == "beta", "what is done stays as it was"
    assert again.run.info.study.hosts == ("alpha", "gamma")


def test_blocks_with_failures_are_run_again_whole(run: Run) -> None:
    ledger = Ledger(run)
    for number, status in ((0, Status.FAILED), (1, Status.OK)):
        for trial in of_block(ledger, number):
            ledger.receive(parcel(trial, f"s{number}", status=status))
    refused = forget_failed(run)
    assert refused == {"s0"}
    again = Ledger(run, refused)
    assert 0 in again.open
    assert 1 not in again.open
    assert again.receive(parcel(of_block(ledger, 0)[0], "s0")) is None
    assert again.receive(parcel(of_block(ledger, 0)[0], "s2")) is not None


def test_hosts_work_side_by_side(run: Run) -> None:
    ledger = Ledger(run)
    assert ledger.all_left_s() == max(ledger.left_s("alpha"), ledger.left_s("beta"))
    chosen: Study = run.info.study
    alone = replace(chosen, hosts=("alpha",))
    assert plan.needs(plan.unroll(chosen), chosen).seconds < plan.needs(plan.unroll(alone), alone).seconds


@pytest.mark.parametrize("folder", ["trials", "warm-ups"])
def test_of_which_attempt_a_record_is_is_read_through_no_link(run: Run, tmp_path: Path, folder: str) -> None:
    (trial,) = run.plan()[:1]
    ledger = Ledger(run)
    ledger.receive(parcel(plan.warm_up(trial, None) or trial))
    ledger.receive(parcel(trial))
    (place,) = (run.path / folder).iterdir()
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="it is in a link"):
        Ledger(run)
