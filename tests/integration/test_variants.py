# SPDX-License-Identifier: Apache-2.0
"""Variants on the real kernel: each does as much as it is to, holds its invariants, and records what it is for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench.inside.monitors import cgroup
from bpfbench.model import Record, Status, Variant
from bpfbench.store import Run
from bpfbench.testbed.image import Image

STUDY = """
name = "variants"
repetitions = 1

[factors]
setups = ["bpftrace", "libbpf", "ebpf-go", "aya-sync"]
tools = ["rw-tracer"]
workloads = ["read"]
attach = "tracepoint"
scale = 0.00048828125 # 16 MiB per process
variants = ["full", "no-output", "no-consumer", "run-time", "delay"]

[settings]
rest_s = 0
"""
SETUPS = ("bpftrace", "libbpf", "ebpf-go", "aya-sync")
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")


@pytest.fixture(scope="module")
def run(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the study once, for all tests here."""
    assert set(SETUPS) <= set(trixie.setups)
    place = tmp_path_factory.mktemp("variants")
    (place / "study.toml").write_text(STUDY)
    argv = [sys.executable, "-m", "bpfbench", "run", "study.toml", "--run-dir", "run"]
    done = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return Run(place / "run")


def record(run: Run, setup: str, variant: Variant) -> Record:
    """Return the record of a setup in a variant."""
    (found,) = (
        r for r in run.records() if r.trial.setup == setup and r.trial.config and r.trial.config.variant is variant
    )
    assert found.status is Status.OK, found.reason
    assert found.summary is not None
    return found


@pytest.mark.parametrize("setup", SETUPS)
class TestVariants:
    def test_without_a_consumer_what_the_ring_holds_is_saved_and_the_rest_lost(self, run: Run, setup: str) -> None:
        found = record(run, setup, Variant.NO_CONSUMER)
        assert found.summary is not None
        assert 0 < found.summary.saved < 1600
        assert found.summary.lost["ring_full"] == found.summary.intercepted_total - found.summary.saved
        assert found.usage is not None
        assert found.usage.workload_user_s == found.usage.workload_system_s == 0

    def test_without_output_nothing_is_left_and_the_tracer_counts_itself(self, run: Run, setup: str) -> None:
        found = record(run, setup, Variant.NO_OUTPUT)
        assert found.summary is not None
        assert found.summary.saved > 1600
        assert "output holds what was saved" not in [check.name for check in found.checks]

    def test_run_time_is_counted_of_the_programs_that_saw_fio_and_in_no_other_trial(self, run: Run, setup: str) -> None:
        found = record(run, setup, Variant.RUN_TIME)
        assert found.fio is not None
        busy = [program for program in found.programs if program.runs >= found.fio.ios]
        assert len(busy) == 2, "the entry and the exit of pread64"
        assert all(program.run_ns > 0 and program.name for program in busy)
        assert record(run, setup, Variant.FULL).programs == ()
        assert STATS.read_text() == "0\n"

    def test_what_came_out_of_the_pipe_is_what_was_saved_and_each_of_it_has_its_delay(
        self, run: Run, setup: str
    ) -> None:
        found = record(run, setup, Variant.DELAY)
        assert found.summary is not None
        assert found.delivery is not None
        assert found.delivery.records == found.summary.saved > 1600
        assert found.delivery.output_bytes == found.summary.bytes
        assert found.delivery.delay_ns is not None
        assert 0 < found.delivery.delay_ns.min <= found.delivery.delay_ns.max < found.seconds * 1e9
        assert "every delay was taken" in [check.name for check in found.checks]
        assert found.content is None
        assert record(run, setup, Variant.FULL).delivery is None


def test_records_say_on_what_they_ran_and_where_resources_are_from(run: Run) -> None:
    for found in run.records():
        facts = json.loads((run.path / "trials" / found.trial.id / "environment.json").read_text())
        assert found.environment is not None
        assert found.environment.accelerator is None
        assert facts["kernel"] == found.environment.kernel
        assert facts["versions"]["fio"].startswith("fio-")
        assert facts["storage_data"]["filesystem"]
        assert (found.energy is None) == (found.notes.get("energy") is not None)
        if cgroup.hierarchy() is None:
            assert (found.accounting, found.groups) == ("proc", {})
        else:
            assert found.accounting == "cgroup-v2"
            assert set(found.groups) == ({"workload"} if found.trial.is_vanilla else {"workload", "tracer"})
            assert all(usage.system_s for usage in found.groups.values())


def test_costs_are_told_of_every_setup(run: Run, bpfbench: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = bpfbench("costs", run.path, "--json")
    assert done.returncode == 0
    found = {cost["setup"]: cost for cost in json.loads(done.stdout)["data"]}
    assert set(found) == set(SETUPS)
    assert all(cost["bpf_ns"]["mean"] > 0 and cost["time_ns"]["consuming"] for cost in found.values())
    assert all(setup in bpfbench("costs", run.path).stdout for setup in SETUPS)
