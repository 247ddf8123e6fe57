# SPDX-License-Identifier: Apache-2.0
"""The example of docs/adding-a-tracer.md: a tracer of one's own is checked and measured like the rest."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench.model import Status
from bpfbench.store import Run
from bpfbench.testbed.image import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "own-tracer"
Bpfbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _image(trixie: Image) -> None:
    assert trixie.setups


def test_the_example_passes_the_conformance_suite(bpfbench: Bpfbench) -> None:
    done = bpfbench("check", "--study", EXAMPLE / "study.toml", "--setups", "own", "--json")
    verdicts = json.loads(done.stdout)["data"]["verdicts"]
    assert [verdict for verdict in verdicts if verdict["outcome"] == "failed"] == []
    assert done.returncode == 0
    assert {verdict["case"] for verdict in verdicts if verdict["outcome"] == "passed"} >= {"counts", "options"}
    # What does not apply says why.
    assert {v["detail"] for v in verdicts if v["outcome"] == "skipped"} == {"it has no rw tool"}


def test_the_example_is_measured_beside_ours(bpfbench: Bpfbench, tmp_path: Path) -> None:
    words = ("run", EXAMPLE / "study.toml", "--run-dir", "run", "--repetitions", "1", "--scale", "0.00048828125")
    done = bpfbench(*words)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "run")
    assert {record.trial.setup: record.status for record in run.records()} == dict.fromkeys(
        ("vanilla", "own", "bcc"), Status.OK
    )
    assert list(run.info.executables) == ["own"]
    assert "own" in bpfbench("summary", tmp_path / "run").stdout


def test_a_tracer_that_keeps_no_contract_fails_with_the_reason(bpfbench: Bpfbench, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    tracer = tmp_path / "mine" / "tracer"
    tracer.write_text("#!/bin/sh\necho READY\nsleep 10\n")
    tracer.chmod(0o755)
    (tmp_path / "study.toml").write_text(
        'name = "mine"\n[setups.mine]\ncommand = "mine/tracer"\n[factors]\nsetups = "mine"\ntools = "rw-tracer"\n'
        'workloads = "read"\nscale = 0.00048828125\n'
    )
    done = bpfbench("check", "--study", "study.toml", "--setups", "mine", "--cases", "options")
    assert done.returncode == 1
    assert "mine tracepoint options: failed: bad tool" in done.stdout
    done = bpfbench("run", "study.toml", "--run-dir", "run", "--repetitions", "1")
    assert done.returncode == 1
    (record,) = (record for record in Run(tmp_path / "run").records() if record.trial.setup == "mine")
    assert record.status is Status.FAILED
    assert record.reason
