# SPDX-License-Identifier: Apache-2.0
"""Whatever fails of a cluster, no finished record is lost, none is there twice, nothing is left, and the log says it.

Real processes on hosts with addresses of their own, real trials. docs/cluster.md has the table of what happens, and of
what the log says, which is read from there.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ensemble import (
    ADDRESS,
    BLOCK,
    BPFBENCH,
    FAULTS,
    SCHEDULER,
    STUDY,
    WORKER,
    Ensemble,
    ensemble,
    require_told,
    require_whole,
    spans,
    until,
)

from bpfbench import catalogue
from bpfbench.cluster import certificates
from bpfbench.testbed.image import Image

SHORT = STUDY.replace("repetitions = 4", "repetitions = 2")
"""A block for each of two hosts."""
SEVERAL = STUDY.replace('setups = ["libbpf"]', 'setups = ["libbpf", "aya-async"]').replace(
    "repetitions = 4", "repetitions = 2"
)


@pytest.fixture
def cluster(trixie: Image, tmp_path: Path) -> Iterator[Ensemble]:
    """Have a scheduler, and two hosts with a worker each."""
    assert trixie.setups
    with ensemble(tmp_path, ("alpha", "beta")) as made:
        yield made


@pytest.mark.parametrize(
    ("parts", "fault"),
    [((WORKER,), "worker killed -9 in a trial"), ((WORKER, BLOCK), "worker and block's process killed -9")],
    ids=["worker", "worker-and-block"],
)
def test_a_worker_killed_in_a_trial_comes_back_to_its_block(
    request: pytest.FixtureRequest, parts: tuple[str, ...], fault: str
) -> None:
    if BLOCK not in parts:  # the milder case
        request.getfixturevalue("patient")
    cluster = request.getfixturevalue("cluster")
    campaign = cluster.campaign("run", study=SHORT)
    cluster.await_trial("alpha")
    kept = {**campaign.started_at(), **cluster.spooled("alpha")}
    for part in parts:
        assert cluster.hosts["alpha"].shoot(part)
    campaign.await_said("host alpha is not there")
    cluster.start_worker("alpha")
    assert campaign.wait() == 0
    require_whole(campaign, kept)
    require_told(fault, campaign.said)
    assert cluster.remains() == []


@pytest.mark.usefixtures("patient")
def test_a_host_that_boots_anew_begins_its_block_anew(cluster: Ensemble) -> None:
    campaign = cluster.campaign("run", study=SEVERAL)
    until(lambda: any("alpha" in trial for trial in campaign.started_at()), 120, "a record of alpha's")
    cluster.await_trial("alpha")
    cluster.hosts["alpha"].reboot()
    campaign.await_said("host alpha is not there")
    cluster.start_worker("alpha")
    assert campaign.wait() == 0
    require_whole(campaign, {})
    assert campaign.run.superseded() > 0
    require_told("host boots anew in a block", campaign.said)
    assert cluster.remains() == []


def test_the_scheduler_is_killed_and_comes_back(cluster: Ensemble) -> None:
    campaign = cluster.campaign("run")
    cluster.await_trial("alpha")
    kept = campaign.started_at()
    assert cluster.control.shoot(SCHEDULER)
    campaign.await_said("is lost")
    kept |= cluster.spooled("alpha") | cluster.spooled("beta")
    cluster.start_scheduler()
    assert campaign.wait() == 0
    require_whole(campaign, kept)
    require_told("scheduler killed", campaign.said)
    assert cluster.remains() == []


def test_a_controller_that_was_killed_fetches_what_was_finished_meanwhile(cluster: Ensemble) -> None:
    first = cluster.campaign("run", study=SHORT)
    cluster.await_trial("alpha")
    first.shoot()
    until(lambda: not cluster.running("alpha") and not cluster.running("beta"), 120, "blocks end")
    assert cluster.remains() == []  # hosts come to the end of their blocks by themselves
    meanwhile = {**cluster.spooled("alpha"), **cluster.spooled("beta")}
    assert meanwhile.keys() - first.started_at().keys()
    before = first.said
    second = cluster.resume(first)
    assert second.wait() == 0
    require_whole(second, meanwhile | first.started_at())
    require_told("controller killed -9", second.said[len(before) :])
    assert cluster.remains() == []


def test_a_wrong_certificate_is_refused(cluster: Ensemble, tmp_path: Path) -> None:
    other = certificates.issue(tmp_path / "others", "other", ("alpha",), days=7).of("alpha")
    assert cluster.hosts["alpha"].shoot(WORKER)
    cluster.start_worker("alpha", given=other)
    alpha, joined = cluster.hosts["alpha"], cluster.joined("alpha")
    until(lambda: "certificate" in alpha.said("worker.log").lower(), 180, "the worker says what is wrong")
    words = ("run", "smoke", "--testbed", "cluster", "--hosts", "alpha", "--scheduler", ADDRESS)
    refused = cluster.control.run(*BPFBENCH, *words, "--certificates", str(other), "--run-dir", tmp_path / "other")
    assert refused.returncode == 1
    require_told("certificate of another authority, or none", alpha.said("worker.log") + refused.stderr)
    plain = cluster.control.run(*BPFBENCH, *words, "--run-dir", tmp_path / "plain")
    assert plain.returncode in (1, 2)
    assert "without certificates" in plain.stderr
    assert "Traceback" not in refused.stderr + plain.stderr
    assert cluster.joined("alpha") == joined


DISK = """
truncate -s 64M disk
mkfs.ext4 -q disk
mount -o loop disk cache
"""
FILL = "while :; do dd if=/dev/zero of=cache/filler bs=4k oflag=append conv=notrunc; sleep 0.01; done"
"""What a failed trial gives back is taken at once, too: its record would have room there."""


@pytest.mark.usefixtures("patient")
def test_the_block_of_a_host_whose_disk_is_full_goes_to_another(trixie: Image, tmp_path: Path) -> None:
    assert trixie.setups
    with ensemble(tmp_path, ("alpha", "beta"), lambda host: DISK if host.name == "alpha" else "") as cluster:
        campaign = cluster.campaign("run")
        until(lambda: any("alpha" in trial for trial in campaign.started_at()), 120, "a record of alpha's")
        kept = campaign.started_at()
        alpha = cluster.hosts["alpha"]
        alpha.start("sh", "-c", FILL, log="filler.log")
        assert campaign.wait() == 0
        assert alpha.shoot("filler")
        require_whole(campaign, kept)
        require_told("disk full on a host, or another reason why a block fails there", campaign.said)
        assert cluster.remains() == []


@pytest.mark.usefixtures("patient")
def test_a_host_cut_off_for_a_minute_is_waited_for(cluster: Ensemble) -> None:
    campaign = cluster.campaign("run")
    cluster.await_trial("alpha")
    alpha = cluster.hosts["alpha"]
    alpha.cut()
    time.sleep(60)
    kept = {**campaign.started_at(), **cluster.spooled("alpha")}
    alpha.mend()
    assert campaign.wait() == 0
    require_whole(campaign, kept)
    assert campaign.run.superseded() == 0
    require_told("host cut off for 60 s", campaign.said)
    assert cluster.remains() == []


@pytest.mark.usefixtures("patient")
def test_a_host_cut_off_for_good_leaves_its_blocks_to_others(cluster: Ensemble) -> None:
    campaign = cluster.campaign("run", "--host-patience", "5s")
    cluster.await_trial("alpha")
    cluster.hosts["alpha"].cut()
    assert campaign.wait() == 0
    require_whole(campaign, {})
    require_told("host cut off for good, crossed", campaign.said)
    assert cluster.remains() == []


@pytest.mark.usefixtures("patient")
def test_setups_wait_for_the_host_they_belong_to(cluster: Ensemble) -> None:
    first = cluster.campaign("run", "--assignment", "by-setup", "--host-patience", "5s", study=SEVERAL)
    cluster.await_trial("alpha")
    cluster.hosts["alpha"].cut()
    assert first.wait() == 1
    require_told("host cut off for good, by-setup", first.said)
    assert cluster.remains() == []
    kept = {**first.started_at(), **cluster.spooled("alpha")}
    joined = cluster.joined("alpha")
    cluster.hosts["alpha"].mend()
    cluster.await_worker("alpha", joined + 1)
    second = cluster.resume(first)
    assert second.wait() == 0
    require_whole(second, kept)


@pytest.mark.usefixtures("patient")
def test_two_controllers_take_turns_on_each_host(cluster: Ensemble) -> None:
    one = cluster.campaign("one")
    cluster.await_trial("alpha")
    both = [one, cluster.campaign("two")]
    for campaign in both:
        assert campaign.wait() == 0
        require_whole(campaign, {})
    for host in cluster.workers:
        taken = sorted(span for campaign in both for span in spans(campaign)[host])
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(taken))
    require_told("two controllers", both[1].said)
    assert cluster.remains() == []


@pytest.mark.usefixtures("patient")
def test_a_host_ten_times_slower_is_waited_for(cluster: Ensemble) -> None:
    with cluster.hosts["alpha"].slowed(10):
        campaign = cluster.campaign("run", study=SHORT)
        assert campaign.wait(600) == 0
    require_whole(campaign, {})
    assert campaign.run.superseded() == 0
    assert FAULTS["host slow by 10×"] == []
    assert "host alpha " not in campaign.said
    assert "silent" not in campaign.said
    assert cluster.remains() == []


@pytest.mark.usefixtures("patient")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make a wrong clock with")
def test_clocks_ten_minutes_off_do_not_matter(cluster: Ensemble, tmp_path: Path) -> None:
    """A kernel has one clock for all its processes, so it is theirs that is off; that of the trial itself is not."""
    for name, offset_s in (("alpha", -600), ("beta", 600)):
        assert cluster.hosts[name].shoot(WORKER)
        clock, joined = tmp_path / f"{name}.so", cluster.joined(name)
        words = ("-shared", "-fPIC", f"-DOFFSET={offset_s}", "-o", str(clock), str(Path(__file__).with_name("clock.c")))
        subprocess.run(["cc", *words], check=True)
        cluster.start_worker(name, env={"LD_PRELOAD": str(clock)})
        cluster.await_worker(name, joined + 1)
    campaign = cluster.campaign("run", study=SHORT)
    assert campaign.wait() == 0
    require_whole(campaign, {})
    require_told("clocks 10 min off, either way", campaign.said)
    assert cluster.remains() == []


def test_a_worker_of_another_version_refuses(cluster: Ensemble, tmp_path: Path) -> None:
    other = shutil.copytree(catalogue.PACKAGE, tmp_path / "other" / "bpfbench")
    (other / "more.py").write_text("")
    assert cluster.hosts["alpha"].shoot(WORKER)
    joined = cluster.joined("alpha")
    cluster.start_worker("alpha", env={"PYTHONPATH": str(other.parent)})
    cluster.await_worker("alpha", joined + 1)
    campaign = cluster.campaign("run", study=SHORT)
    assert campaign.wait() == 1
    require_told("another version of bpfbench", campaign.said)
    assert not campaign.begun()


def test_all_faults_of_the_table_are_tried() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [fault for fault in FAULTS if f'"{fault}"' not in tests] == []
