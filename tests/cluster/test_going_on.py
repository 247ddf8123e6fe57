# SPDX-License-Identifier: Apache-2.0
"""A run on many hosts has as many rounds as it is asked for, and goes on with other hosts where that is valid."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from ensemble import STUDY, Ensemble, ensemble, require_whole, until

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.testbed.image import Image

PAIR = STUDY.replace('setups = ["libbpf"]', 'setups = ["libbpf", "bpftrace"]')
ONCE = PAIR.replace("repetitions = 4", "repetitions = 1")


@pytest.fixture
def cluster(trixie: Image, tmp_path: Path) -> Iterator[Ensemble]:
    """Have a scheduler, and three hosts with a worker each."""
    assert trixie.setups
    with ensemble(tmp_path, ("alpha", "beta", "gamma")) as made:
        yield made


def test_rounds_go_on_until_what_was_asked_for_is_decided(cluster: Ensemble) -> None:
    campaign = cluster.campaign("run", "--until", "memory", "--at-most", "4min", study=ONCE)
    assert campaign.wait() == 0
    require_whole(campaign, {})
    rounds = campaign.run.info.study.repetitions
    assert rounds >= ROUNDS_LEAST
    assert f"Everything that was asked for is decided after {rounds} rounds." in campaign.said
    assert Counter(record.trial.repetition for record in campaign.run.records()) == dict.fromkeys(
        range(1, rounds + 1), 3
    )
    assert {record.trial.host for record in campaign.run.records()} == set(cluster.workers)
    assert cluster.remains() == []


@pytest.mark.usefixtures("patient")
def test_blocks_that_are_left_go_to_hosts_that_are_new(cluster: Ensemble) -> None:
    first = cluster.campaign("run", study=PAIR, hosts=("alpha", "beta"))
    until(lambda: any("alpha" in trial for trial in first.started_at()), 120, "a record of alpha's")
    first.shoot()
    cluster.hosts["alpha"].reboot()
    until(lambda: not cluster.running("beta"), 180, "beta's block ends")
    kept = {**first.started_at(), **cluster.spooled("beta")}
    absent = cluster.resume(first, "--hosts", "beta,delta")
    assert absent.wait() == 1
    assert "not on the cluster: delta (there: beta, gamma)" in absent.said
    second = cluster.resume(first, "--hosts", "beta,gamma")
    assert second.wait() == 0
    require_whole(second, kept)
    assert re.search(r"goes on with beta, gamma; blocks given to another host than planned: [12]\b", second.said)
    run = second.run
    assert run.info.study.hosts == ("beta", "gamma")
    assert {record.trial.host for record in run.records()} <= {"alpha", "beta", "gamma"}
    assert "gamma" in {record.trial.host for record in run.records()}
    assert set(run.info.machine["hosts"]) == {"alpha", "beta", "gamma"}
    assert [left for left in cluster.remains() if not left.startswith("alpha")] == []  # which lost its power


def test_setups_cannot_leave_the_host_they_were_assigned_to(cluster: Ensemble) -> None:
    first = cluster.campaign("run", "--assignment", "by-setup", study=ONCE, hosts=("alpha", "beta"))
    until(first.begun, 180, "the run begins")
    first.shoot()
    cluster.hosts["alpha"].reboot()
    refused = cluster.resume(first, "--hosts", "beta,gamma")
    assert refused.wait() == 2
    assert "alpha cannot be left out: setups were assigned to them (by-setup)" in refused.said
    assert first.run.info.study.hosts == ("alpha", "beta")
