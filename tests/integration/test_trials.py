# SPDX-License-Identifier: Apache-2.0
"""Real trials on the real kernel with real fio: every tracer x tool x workload holds every invariant.

With `--all` beside every workload, else beside `mixed`, and a libbpf tracer beside the others.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench import catalogue
from bpfbench.declare import plan
from bpfbench.inside.trial.runner import DROP_GAP_S
from bpfbench.model import PAPER_TOOLS, Record, Status, Tool
from bpfbench.run.campaign import predecessor
from bpfbench.store import Run
from bpfbench.testbed.image import Image

STUDY = """
name = "all-tracers"
repetitions = 1

[factors]
setups = SETUPS
workloads = WORKLOADS
scale = 0.00048828125 # 16 MiB per process
attach = "tracepoint"
""".replace("SETUPS", json.dumps(list(catalogue.MAIN_SETUPS)))

ALTERNATIVES = """
name = "alternatives"
repetitions = 1

[factors]
setups = SETUPS
workloads = "mixed"
scale = 0.00048828125 # 16 MiB per process
attach = "tracepoint"
""".replace("SETUPS", json.dumps([name for name in catalogue.SETUPS if name not in catalogue.MAIN_SETUPS]))

LIMITED = """
name = "limited"
repetitions = 1

[factors]
setups = "libbpf"
tools = "rw-tracer"
workloads = ["read", "write", "mixed"]
scale = 0.00024414062 # 8 MiB per process
rate_iops = [2000, "unlimited"]
attach = "tracepoint"

[settings]
rest_s = 0.5
"""

BURSTS = """
name = "bursts"
repetitions = 1

[factors]
setups = "libbpf"
tools = "rw-tracer"
workloads = "write"
scale = 0.00024414062 # 8 MiB per process: 2048 I/Os
ringbuf_bytes = ["16KiB", "4MiB"] # 97 events, and all there are
rate_iops = 2000
burst_ios = [1, 512]
duty_percent = 4 # 50,000 a second within a burst, or as fast as it goes
attach = "tracepoint"
"""


def measured(place: Path, study: str) -> Run:
    """Run a study to its end."""
    (place / "study.toml").write_text(study)
    argv = [sys.executable, "-m", "bpfbench", "run", "study.toml", "--run-dir", "run"]
    done = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return Run(place / "run")


@pytest.fixture(scope="module")
def workloads(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return those beside which all tracers are tried."""
    return tuple(catalogue.WORKLOADS) if request.config.getoption("--all") else ("mixed",)


@pytest.fixture(scope="module")
def run(trixie: Image, workloads: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the study once, for all tests here."""
    assert set(catalogue.MAIN_SETUPS) <= set(trixie.setups)
    return measured(tmp_path_factory.mktemp("trials"), STUDY.replace("WORKLOADS", json.dumps(workloads)))


@pytest.fixture(scope="module")
def limited(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run one of few setups and many workloads once, for all tests here."""
    assert trixie.setups
    return measured(tmp_path_factory.mktemp("limited"), LIMITED)


@pytest.fixture(params=["run", "limited"])
def either(request: pytest.FixtureRequest) -> Run:
    """Return each in turn."""
    found: Run = request.getfixturevalue(request.param)
    return found


def test_what_reads_from_disk_rests_before_it_starts_whoever_traces_it(limited: Run) -> None:
    for record in limited.records():
        rested = "rest" in {step.name for step in record.steps}
        assert rested == (record.trial.workload.name != "write"), record.trial.id


def test_every_invariant_holds(run: Run) -> None:
    assert {trial.id for trial in run.plan()} == {record.trial.id for record in run.records()}
    for found in run.records():
        assert [check for check in found.checks if not check.ok] == [], found.trial.id
        assert found.status is Status.OK, found.trial.id
        assert found.fio is not None
        # 16 MiB per process can be over between two samples: then the load is absent, and the record says so.
        assert (found.load is None) == ("load" in found.notes)
        if found.trial.is_vanilla:
            assert found.summary is None
            continue
        assert found.summary is not None
        assert found.summary.saved > 0, found.trial.id
        assert found.usage is not None
        assert found.usage.pss_peak_bytes
        assert found.usage.code_bytes
        assert found.usage.startup_cpu_s <= found.usage.startup_s * 2 + 0.1


def test_every_setup_tool_and_workload_was_there(run: Run, workloads: tuple[str, ...]) -> None:
    cells = {(r.trial.setup, r.trial.tool, r.trial.workload.name) for r in run.records()}
    assert len(cells) == (1 + len(catalogue.MAIN_SETUPS)) * len(PAPER_TOOLS) * len(workloads)
    assert run.info.left_out == ()


def test_the_kernels_word_is_in_the_record(run: Run) -> None:
    for found in run.records():
        names = [check.name for check in found.checks]
        # This kernel accounts calls, so that every one is checked.
        assert found.calls is not None
        assert "calls" not in found.notes
        assert found.fio is not None
        assert found.calls.reads >= found.fio.read_ios
        assert found.calls.writes >= found.fio.write_ios
        if found.trial.is_vanilla:
            assert (found.hooks, found.rings, found.written_bytes) == ((), (), None)
            continue
        assert {"every read counted", "every write counted", "attached as asked", "saved was written"} <= set(names)
        assert found.hooks
        assert all(hook.program for hook in found.hooks)
        assert found.written_bytes
        if found.trial.tool is Tool.SYSCOUNT:
            continue  # it asks for no ring; bpftrace makes one all the same
        (ring,) = found.rings
        assert ring.consumed_bytes == ring.produced_bytes > 0
        assert found.summary is not None
        # Whatever the tracer says of it: every call of fio's processes was intercepted, and no other.
        assert found.summary.intercepted_total == found.calls.reads + found.calls.writes


def test_the_state_of_the_machine_is_in_the_record(run: Run) -> None:
    for found in (*run.records(), *run.warm_ups()):
        assert found.drop_gap_s is not None
        assert found.drop_gap_s >= DROP_GAP_S
        assert found.at_start is not None
        assert found.at_end is not None
        assert found.at_start.monotonic_s < found.at_end.monotonic_s
        assert found.at_start.free_bytes > 0
        assert found.at_start.steal_s <= found.at_end.steal_s
        assert set(found.at_start.pressure_s) == set(found.at_end.pressure_s)
        assert (found.at_start.cpu_mhz is None) == ("cpu frequency" in found.notes)


def test_what_was_before_a_trial_and_its_place_are_in_the_record(either: Run) -> None:
    ran = sorted((*either.records(), *either.warm_ups()), key=lambda record: record.started_at)
    places = plan.places(either.plan())
    before: Record | None = None
    for found in ran:
        assert found.place == places.get(found.trial.id)
        if before is None:
            assert found.predecessor is None
        else:
            assert found.predecessor == predecessor(before.trial)
        before = found


def test_a_trial_finds_what_a_trial_of_its_own_workload_left(either: Run) -> None:
    for found in either.records():
        assert found.predecessor is not None
        assert found.predecessor.workload == found.trial.workload
    wanted = plan.warm_ups(either.plan(), either.info.study)
    assert {record.trial for record in either.warm_ups()} == set(wanted)
    assert {record.status for record in either.warm_ups()} == {Status.OK}
    assert all(record.trial.is_vanilla for record in either.warm_ups())


def test_every_block_of_several_setups_has_vanilla_twice(run: Run) -> None:
    vanilla = Counter(record.trial.block for record in run.records() if record.trial.is_vanilla)
    assert vanilla == {trial.block: 2 for trial in run.plan()}


def test_a_record_keeps_what_fio_and_the_tracer_said(run: Run) -> None:
    for trial in run.plan():
        place = run.path / "trials" / trial.id
        assert json.loads((place / "fio.json").read_text())["jobs"]
        rows = list(csv.DictReader((place / "samples.csv").read_text().splitlines()))
        sampled = {row["what"] for row in rows}
        assert "system" in sampled
        assert ("tracer" in sampled) != trial.is_vanilla
        assert (place / "summary.json").exists() != trial.is_vanilla


def test_nothing_but_the_run_and_the_data_files_remains(run: Run) -> None:
    assert not (run.path / "partial").exists()
    assert sorted(path.name for path in run.path.iterdir()) == [
        "lock",
        "log.txt",
        "plan.json",
        "run.json",
        "trials",
        "warm-ups",
    ]


def test_the_run_says_what_it_ran_on(run: Run) -> None:
    assert run.info.image["versions"]["bpftrace"].startswith("0.23")
    assert run.info.machine["kernel"]
    assert run.info.machine["kernel"] in run.info.machine["headers_for_bcc"]
    assert run.info.study.seed == 1


def test_versions_as_loaded_are_recorded(run: Run) -> None:
    versions = {r.trial.setup: r.summary.versions for r in run.records() if r.summary}
    assert versions["bpftrace"]["bpftrace"].lstrip("v").startswith("0.23")
    assert versions["bcc"]["bcc"].startswith("0.31")
    assert versions["libbpf"]["libbpf"].startswith("1.5")
    assert versions["ebpf-go"]["ebpf-go"] == "0.17.3"
    assert versions["ebpf-go@0.22"]["ebpf-go"] == "0.22.0"
    assert versions["aya-sync"]["aya"] == versions["aya-async"]["aya"] == "0.13.1"
    assert versions["aya-async"]["tokio"] == "1.54.1"


@pytest.mark.parametrize("form", ["--json", "--csv", "--markdown"])
def test_the_summary_comes_in_every_form(
    run: Run, bpfbench: Callable[..., subprocess.CompletedProcess[str]], form: str
) -> None:
    done = bpfbench("summary", run.path, form)
    assert done.returncode == 0
    assert done.stderr == ""
    for setup in catalogue.MAIN_SETUPS:
        assert setup in done.stdout
    if form == "--json":
        assert json.loads(done.stdout)["kind"] == "summary"


def test_status_of_a_complete_run(run: Run, bpfbench: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    found = json.loads(bpfbench("status", run.path, "--json").stdout)
    assert found["run"]["trials_done"] == found["run"]["trials_planned"] == found["data"]["ok"] == len(run.plan())
    assert not found["data"]["running"]


def test_resuming_a_complete_run_runs_nothing(
    run: Run, bpfbench: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    def kept() -> dict[Path, int]:
        return {
            path: path.stat().st_mtime_ns for kind in ("trials", "warm-ups") for path in (run.path / kind).iterdir()
        }

    before = kept()
    assert bpfbench("run", "--resume", run.path).returncode == 0
    assert kept() == before


@pytest.mark.usefixtures("trixie")
def test_alternatives_hold_every_invariant_too(
    tmp_path: Path, bpfbench: Callable[..., subprocess.CompletedProcess[str]], request: pytest.FixtureRequest
) -> None:
    """With one tool each, which takes 15 s; with `--all`, with all."""
    study_file = tmp_path / "study.toml"
    study_file.write_text(ALTERNATIVES)
    tools = "syscount,rw-tracer,rw-tracer-all" if request.config.getoption("--all") else "rw-tracer"
    done = bpfbench("run", str(study_file), "--tools", tools, "--run-dir", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr + done.stdout
    assert [record.trial.id for record in Run(tmp_path / "run").records() if record.status is not Status.OK] == []


def test_a_target_with_a_rate_of_its_own(limited: Run) -> None:
    records = limited.records()
    assert {record.trial.workload.rate_iops for record in records} == {None, 2000}
    assert [record.trial.id for record in records if record.status is not Status.OK] == []
    for record in records:
        kept = [check for check in record.checks if check.name == "rate limit kept"]
        assert len(kept) == (record.trial.workload.rate_iops is not None)
        assert all(check.ok for check in kept)
        if kept and record.summary is not None:
            assert record.summary.lost_total == 0  # 8000 events a second are no task for libbpf


@pytest.mark.usefixtures("trixie")
def test_a_ring_that_suffices_at_a_steady_rate_overflows_in_bursts_of_the_same_mean(tmp_path: Path) -> None:
    records = measured(tmp_path, BURSTS).records()
    assert [record.trial.id for record in records if record.status is not Status.OK] == []
    assert len(records) == 2 * 3
    for record in records:
        config, fio, summary = record.trial.config, record.fio, record.summary
        assert fio is not None
        assert fio.iops / 4 < 2000 * 1.05
        if config is not None and summary is not None:
            overflows = record.trial.workload.in_bursts and config.ringbuf_bytes == 16384
            assert (summary.lost["ring_full"] != 0) == overflows
