# SPDX-License-Identifier: Apache-2.0
"""However a run ends, what was measured stays, nothing of ours outlives it, and it can be finished."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import processes
import pytest

from bpfbench import cli
from bpfbench.inside import leftovers
from bpfbench.machine import turn
from bpfbench.store import Run
from bpfbench.testbed.host import IN_FLIGHT
from bpfbench.testbed.image import Image

STUDY = """
name = "interrupted"
repetitions = 1

[factors]
setups = ["bpftrace", "bcc", "libbpf", "aya-async"]
tools = ["rw-tracer"]
format = ["text", "binary"]
workloads = ["read"]
scale = 0.00048828125

[settings]
rest_s = 0
"""
OURS = re.compile(r"(^| )/bpfbench/tracers/|bpfbench\.trial|/bpfbench/workloads/|(^|/)bpftrace ")
"""What a trial starts has these on its command line; a build of an image does not."""


def command(*words: str) -> list[str]:
    """Return the command of a run."""
    return [sys.executable, "-m", "bpfbench", "run", *words]


def finish(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(command(*words), cwd=place, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def started(place: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a run in the background, with signals ignored that are to end it: so a shell does it, with &."""

    def ignore() -> None:
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, signal.SIG_IGN)

    with subprocess.Popen(
        command(*words), cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=ignore
    ) as run:
        yield run


def our_processes() -> list[str]:
    """Return the command lines of what a trial starts, of all processes of the machine."""
    lines = [" ".join(words) for pid, words in processes.command_lines().items() if pid != os.getpid()]
    return [line for line in lines if OURS.search(line) and "pytest" not in line]


def remains(before: leftovers.Inventory) -> list[str]:
    """Return what a killed run left, after the moment its children need to end, and while nobody else measures."""
    with turn.alone(print):
        until_s = time.monotonic() + 10
        while True:
            new = leftovers.new_since(before, Path("/run"))
            of_machine = {kind: items for kind, items in new.items() if kind.startswith(("BPF", "control groups"))}
            mounts = set(Path("/proc/self/mounts").read_text().splitlines()) - before["mounts"]
            outputs = [str(path) for path in (cli.cache_dir() / "output").glob(f"{IN_FLIGHT}*")]
            found = [*our_processes(), *map(str, of_machine.items()), *mounts, *outputs]
            if not found or time.monotonic() > until_s:
                return found
            time.sleep(0.1)


@pytest.fixture(scope="module")
def study(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the study, lay out its data by one short run, and return where runs go."""
    place = tmp_path_factory.mktemp("interrupted")
    (place / "study.toml").write_text(STUDY)
    assert trixie.setups
    assert finish(place, "study.toml", "--run-dir", "warm-up", "--setups", "libbpf").returncode == 0
    return place


@pytest.fixture
def run_dir(request: pytest.FixtureRequest) -> str:
    """Return how the run of a test is called."""
    return request.node.name.replace("[", "-").rstrip("]")  # type: ignore[no-any-return]


@pytest.mark.parametrize("attempt", range(2))
def test_a_killed_run_loses_the_trial_in_flight_and_leaves_nothing(study: Path, run_dir: str, attempt: int) -> None:
    """benchmarks/kill.py tries a hundred moments."""
    before = leftovers.take(Path("/run"))
    with started(study, "study.toml", "--run-dir", run_dir) as process:
        time.sleep(1.5 + random.Random(attempt).random() * 6)
        process.kill()
        process.communicate()
    assert remains(before) == []
    run = Run(study / run_dir)
    kept = {record.trial.id: record.started_at for record in run.records()}
    assert finish(study, "--resume", run_dir).returncode == 0
    after = {record.trial.id: record.started_at for record in run.records()}
    assert set(after) == {trial.id for trial in run.plan()}
    assert {trial_id: after[trial_id] for trial_id in kept} == kept
    assert not (run.path / "partial").exists()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_stops_cleanly(study: Path, run_dir: str, sign: signal.Signals) -> None:
    before = leftovers.take(Path("/run"))
    with started(study, "study.toml", "--run-dir", run_dir) as process:
        time.sleep(3)
        process.send_signal(sign)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + sign
    assert "Traceback" not in said
    assert "--resume" in said
    assert remains(before) == []
    assert not (study / run_dir / "partial").exists()


def test_a_second_campaign_in_the_same_run_is_refused(study: Path, run_dir: str) -> None:
    with started(study, "study.toml", "--run-dir", run_dir, "--setups", "libbpf") as first:
        while not (study / run_dir / "trials").exists() or not any((study / run_dir / "trials").iterdir()):
            time.sleep(0.05)
        second = finish(study, "--resume", run_dir)
        assert second.returncode == 1
        assert "another bpfbench is running this" in second.stderr
        first.communicate()
    assert first.returncode == 0
