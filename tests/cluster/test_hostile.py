# SPDX-License-Identifier: Apache-2.0
"""A host that turns hostile runs nothing outside itself, writes nothing, and stops nobody else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import RECORDED, Loopback

from bpfbench.codec import from_json, to_json
from bpfbench.machine import turn
from bpfbench.model import RECORD_FORMAT, Record
from bpfbench.store import Run

pytestmark = pytest.mark.beside


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[Loopback]:
    made = Loopback(tmp_path)
    try:
        made.scheduler()
        yield made
    finally:
        made.end()


def test_a_hostile_worker_hurts_nobody(loopback: Loopback) -> None:
    marks = loopback.place / "marks"
    marks.mkdir()
    loopback.worker("alpha")
    recorded = next((RECORDED / "trials").iterdir())
    record = shutil.copytree(recorded, loopback.place / "genuine" / recorded.name)
    known = from_json(Record, (record / "record.json").read_bytes())
    (record / "record.json").write_text(to_json(replace(known, format=RECORD_FORMAT)))
    with (loopback.place / "beta.log").open("wb") as log:
        loopback.processes["beta"] = subprocess.Popen(
            (
                sys.executable,
                str(Path(__file__).parent / "hostile.py"),
                loopback.address,
                str(loopback.place / "cache-beta"),
                str(marks),
                str(record),
            ),
            stdout=log,
            stderr=log,
            env={**loopback.environment, turn.STAND_IN: str(loopback.place / "beta.machine")},
            cwd=loopback.place,
        )
    study = loopback.study(workloads='["read"]', repetitions="2")
    said = loopback.bpfbench(
        *("run", str(study), "--testbed", "cluster", "--scheduler", loopback.address),
        *("--hosts", "alpha,beta", "--run-dir", "run"),
    )
    own = {str(process.pid) for process in (loopback.processes["beta"],)}
    assert {path.name for path in marks.iterdir()} <= own, said.stderr
    run = Run(loopback.place / "run")
    assert len(run.records()) == len(run.plan()) == 20, said.stderr
    assert {record.trial.host for record in run.records()} == {"alpha"}
    assert {path.name for path in run.path.iterdir()} == {
        *(
            "run.json",
            "plan.json",
            "log.txt",
            "lock",
            "trials",
            "warm-ups",
            "live.json",
            "live.html",
            "connection.json",
        ),
    }
    refusals = [line for line in said.stderr.splitlines() if "refused: a message from host" in line]
    for reason in ("no file of a record", "another run", "more than 64 MiB", "no name of a host", "about no block"):
        assert any(reason in line for line in refusals), reason
    assert "Traceback" not in said.stderr
    assert "from a worker" not in said.stdout + said.stderr
    assert "block 1 of beta goes to alpha" in said.stderr
