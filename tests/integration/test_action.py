# SPDX-License-Identifier: Apache-2.0
"""The gate for a forge, all of its scripts: a machine without anything measures a baseline, and a run beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from forge import Job

pytestmark = pytest.mark.beside  # its limit is one that no load of the machine reaches

INPUTS = {
    "study": "smoke",
    "options": "--setups libbpf --repetitions 3",
    "fail-on": "runtime_s > 1000 %",
}


def test_a_run_is_measured_and_compared_with_the_one_before(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if not request.config.getoption("--all"):
        pytest.skip("for scripts/test --all: installs some 500 MB and measures twice")
    if os.geteuid() != 0:
        pytest.skip("measuring on this kernel needs root")
    job = Job(tmp_path, INPUTS)
    for step in ("Install", "Measure", "Compare", "Judge", "Make this run the baseline"):
        done = job.run(step)
        assert done.returncode == 0, f"{step}: {done.stderr}"
    assert "There is no baseline" in job.summary
    shutil.rmtree(job.gate / "run")
    for step in ("Measure", "Compare", "Judge"):
        done = job.run(step)
        assert done.returncode == 0, f"{step}: {done.stderr}"
    assert "### The limits" in job.summary
    assert (job.gate / "run.tar.gz").stat().st_size > 0
