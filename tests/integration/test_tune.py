# SPDX-License-Identifier: Apache-2.0
"""tune on a machine: killed in its search, it goes on with what was measured, and comes to a conclusion."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench.model import Status
from bpfbench.store import Run
from bpfbench.testbed.image import Image

WORKLOAD = ("--workloads", "write", "--processes", "1", "--scale", "0.001953125")
"""64 MiB: no fewer events, or the default's ring would hold a tenth of them."""
TUNED = ("--setups", "libbpf", "--knobs", "ringbuf_bytes,wakeup")
BLOCK = 7
"""Trials in a block of the search: vanilla twice, the default, and four others."""
START_S = 300
"""A first trial may have to wait for others who measure."""


@pytest.mark.usefixtures("patient")
def test_one_that_was_killed_in_its_search_goes_on_to_a_conclusion(
    trixie: Image, bpfbench: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert trixie.setups
    words = ("tune", *TUNED, *WORKLOAD, "--for", "150s", "--data-dir", str(tmp_path), "--run-dir", "tuning")
    argv, trials = [sys.executable, "-m", "bpfbench", *words], tmp_path / "tuning" / "trials"
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as tuning:
        until_s = time.monotonic() + START_S
        while len(list(trials.glob("*"))) < BLOCK + 2 and tuning.poll() is None and time.monotonic() < until_s:
            time.sleep(0.05)
        tuning.kill()
        _, said = tuning.communicate()
    assert len(list(trials.glob("*"))) >= BLOCK + 2, said
    run = Run(tmp_path / "tuning")
    before = {record.trial.id: record.started_at for record in run.records()}
    known = run.tuning()
    assert known is not None
    assert known.finalists == (), "it was in its search"

    resumed = bpfbench("tune", "--resume", "tuning", "--for", "150s", "--json")
    assert resumed.returncode == 0, resumed.stderr
    (own,) = json.loads(resumed.stdout)["data"]
    after = run.records()
    assert {record.trial.id: record.started_at for record in after if record.trial.id in before} == before
    assert {record.trial.id for record in after} == {trial.id for trial in run.plan()}
    assert not [(record.trial.id, record.reason) for record in after if record.status is not Status.OK]
    assert own["tried"] >= 4
    assert own["said"].startswith("libbpf: ")
    assert "not decided" not in own["said"]
    assert "nothing can be compared" not in own["said"]
    again = bpfbench("tune", "--resume", "tuning", "--json")
    assert (again.returncode, json.loads(again.stdout)["data"]) == (0, [own])
    assert len(run.records()) == len(after), "it is over"
