# SPDX-License-Identifier: Apache-2.0
"""Real trials on the real kernel with real fio: every tracer x tool x workload holds every invariant."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench import catalogue, plan, study
from bpfbench.model import Record, Status
from bpfbench.store import Run
from bpfbench.testbed.image import Image

STUDY = """
name = "all-tracers"
repetitions = 1

[factors]
setups = SETUPS
workloads = ["read", "write", "mixed"]
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
"""


@pytest.fixture(scope="module")
def run(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the study once, for all tests here."""
    assert set(catalogue.SETUPS) <= set(trixie.setups)
    place = tmp_path_factory.mktemp("trials")
    (place / "study.toml").write_text(STUDY)
    argv = [sys.executable, "-m", "bpfbench", "run", "study.toml", "--run-dir", "run"]
    done = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return Run(place / "run")


def planned() -> list[str]:
    """Return the ids of the study's trials."""
    return [trial.id for trial in plan.unroll(study.parse(STUDY, "study.toml")).trials]


def record(run: Run, trial_id: str) -> Record:
    """Return the record of a trial."""
    (found,) = (r for r in run.records() if r.trial.id == trial_id)
    return found


@pytest.mark.parametrize("trial_id", planned())
def test_every_invariant_holds(run: Run, trial_id: str) -> None:
    found = record(run, trial_id)
    assert [check for check in found.checks if not check.ok] == []
    assert found.status is Status.OK
    assert found.fio is not None
    # 16 MiB per process can be over between two samples: then the load is absent, and the record says so.
    assert (found.load is None) == ("load" in found.notes)
    if found.trial.is_vanilla:
        assert found.summary is None
        return
    assert found.summary is not None
    assert found.summary.saved > 0
    assert found.usage is not None
    assert found.usage.pss_peak_bytes
    assert found.usage.startup_cpu_s <= found.usage.startup_s * 2 + 0.1


def test_every_setup_tool_and_workload_was_there(run: Run) -> None:
    cells = {(r.trial.setup, r.trial.tool, r.trial.workload.name) for r in run.records()}
    assert len(cells) == (1 + len(catalogue.MAIN_SETUPS)) * len(catalogue.TOOLS) * len(catalogue.WORKLOADS)
    assert run.info.left_out == ()


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
    assert sorted(path.name for path in run.path.iterdir()) == ["lock", "log.txt", "plan.json", "run.json", "trials"]


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
        assert json.loads(done.stdout)


def test_status_of_a_complete_run(run: Run, bpfbench: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    data = json.loads(bpfbench("status", run.path, "--json").stdout)
    assert data["done"] == data["planned"] == data["ok"] == len(planned())
    assert not data["running"]


def test_resuming_a_complete_run_runs_nothing(
    run: Run, bpfbench: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(run.path / "trials").iterdir()}
    assert bpfbench("run", "--resume", run.path).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in Path(run.path / "trials").iterdir()} == before


@pytest.mark.usefixtures("trixie")
def test_alternatives_hold_every_invariant_too(
    tmp_path: Path, bpfbench: Callable[..., subprocess.CompletedProcess[str]], request: pytest.FixtureRequest
) -> None:
    """With one tool each, which takes 15 s; with `--alternatives`, with all."""
    study_file = tmp_path / "study.toml"
    study_file.write_text(ALTERNATIVES)
    tools = "syscount,rw-tracer,rw-tracer-all" if request.config.getoption("--alternatives") else "rw-tracer"
    done = bpfbench("run", str(study_file), "--tools", tools, "--run-dir", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr + done.stdout
    assert [record.trial.id for record in Run(tmp_path / "run").records() if record.status is not Status.OK] == []


@pytest.mark.usefixtures("trixie")
def test_a_target_with_a_rate_of_its_own(
    tmp_path: Path, bpfbench: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    study_file = tmp_path / "study.toml"
    study_file.write_text(LIMITED)
    done = bpfbench("run", str(study_file), "--run-dir", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr + done.stdout
    records = Run(tmp_path / "run").records()
    assert {record.trial.workload.rate_iops for record in records} == {None, 2000}
    assert [record.trial.id for record in records if record.status is not Status.OK] == []
    for record in records:
        limited = [check for check in record.checks if check.name == "rate limit kept"]
        assert len(limited) == (record.trial.workload.rate_iops is not None)
        assert all(check.ok for check in limited)
        if limited and record.summary is not None:
            assert record.summary.lost_total == 0  # 8000 events a second are no task for libbpf
