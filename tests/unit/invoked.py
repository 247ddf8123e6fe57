# SPDX-License-Identifier: Apache-2.0
"""How bpfbench ended that a test has called, and what holds for all that it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import make_record

from bpfbench import catalogue, store
from bpfbench.codec import to_json
from bpfbench.declare import plan, study
from bpfbench.model import VANILLA, Trial
from bpfbench.store import RUN_FORMAT, Run, RunInfo


@dataclass(frozen=True)
class Outcome:
    """How bpfbench ended."""

    status: int
    out: str
    err: str


Invoke = Callable[..., Outcome]


def data_of(outcome: Outcome) -> Any:
    """Return what programs are told, out of its envelope."""
    found = json.loads(outcome.out)
    assert list(found) == ["schema", "kind", "run", "data"]
    return found["data"]


def complaint(outcome: Outcome, status: int = 2) -> str:
    """Return the one line that was said, and check what holds for all of them."""
    assert outcome.status == status
    assert outcome.out == ""
    first, *rest = outcome.err.splitlines()
    assert len(rest) <= 1, "a message and at most a hint"
    assert all(line.startswith("  ") for line in rest)
    assert "Traceback" not in outcome.err
    return first


STUDIES = (
    "bursts, cases/edge, cases/queue, cases/submit, cases/wakeup, cases/watermark, fairness, paper, profile, quick, "
    "services, smoke, standard, tools"
)


def make_run(path: Path) -> tuple[tuple[Trial, ...], Run]:
    """A run of two trials."""
    chosen = study.load(study.find("smoke"))
    trials = plan.unroll(chosen).trials[:2]
    image = {"name": "trixie", "key": "0123456789abcdef"}
    machine = {"host": "testhost", "cpus": 2, "cpu_model": "CPU", "kernel": "6.12"}
    info = RunInfo(RUN_FORMAT, path.name, "2026-01-02T03:04:05+00:00", "0.1.0", chosen, 2, (), image, machine)
    return trials, store.create(path, info, trials)


def record_trial(run: Run, trial: Trial) -> None:
    (run.begin(trial) / "record.json").write_text(to_json(make_record(trial)))
    run.commit(trial)


SETUPS = ", ".join((*catalogue.SETUPS, VANILLA))
