# SPDX-License-Identifier: Apache-2.0
"""knee: of a run in which a knob was turned, and of one without."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from builders import make_delivery, make_fio, make_image, make_record
from invoked import Invoke, complaint, data_of, make_run, record_trial

from bpfbench import store
from bpfbench.codec import to_json
from bpfbench.declare import plan, study
from bpfbench.model import Attach, Record, Trial, Variant
from bpfbench.store import RUN_FORMAT, RunInfo

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

MINE = """
name = "mine"
repetitions = 5
[factors]
setups = "libbpf"
workloads = "write"
tools = "rw-tracer"
scale = 0.00390625
rate_iops = 2500
wakeup = ["watermark:65536", "adaptive", "watermark:4096"]
variants = ["full", "delay"]
"""
LATENCIES_US = {"adaptive": 30.0, "watermark:4096": 10.0, "watermark:65536": 10.0}
DELAYS_MS = {"adaptive": 4.0, "watermark:4096": 4.1, "watermark:65536": 40.0}
NOISE = (1.0, 1.002, 0.998, 1.001, 0.999)


def latency_us(trial: Trial) -> float:
    own = LATENCIES_US[trial.config.wakeup] if trial.config else 8.0
    return own * NOISE[trial.index % len(NOISE)]


def recorded(trial: Trial) -> Record:
    own = make_record(trial, fio=make_fio(latency_us=latency_us(trial)))
    if trial.config is None or trial.config.variant is not Variant.DELAY:
        return own
    return replace(own, delivery=make_delivery(p99_ms=DELAYS_MS[trial.config.wakeup] * NOISE[trial.index % len(NOISE)]))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in which an event that wakes the consumer costs its I/O 20 us."""
    chosen = plan.resolve(study.parse(MINE, "mine.toml"), {Attach.TRACEPOINT})
    trials = plan.unroll(chosen).trials
    machine = {"host": "here", "cpus": 2, "cpu_model": "CPU", "kernel": "6.12"}
    image = asdict(make_image())
    info = RunInfo(RUN_FORMAT, "r", "2026-01-02T03:04:05+00:00", "1", chosen, len(trials), (), image, machine)
    made = store.create(tmp_path / "runs" / "r", info, trials)
    for trial in trials:
        (made.begin(trial) / "record.json").write_text(to_json(recorded(trial)))
        made.commit(trial)
    return made.path


@pytest.mark.usefixtures("run")
def test_the_smallest_value_that_is_as_good_as_any_is_told(bpfbench: Invoke) -> None:
    told = bpfbench("knee", "r", "--markdown")
    assert told.status == 0, told.err
    assert "latency: the smallest within 5 % of the best is wake-up watermark:4096." in told.out
    assert "delay p99: the largest within 5 % of the best is wake-up watermark:4096." in told.out
    assert "delay p99, ms" in told.out
    assert "Worked out, not measured" in told.out
    (own,) = data_of(bpfbench("knee", "r", "--json"))
    assert own["values"] == ["adaptive", "watermark:4096", "watermark:65536"]
    latency = own["costs"]["latency"]
    assert latency["no_smaller_than"] == latency["no_larger_than"] == "watermark:4096"
    delay = own["costs"]["delay"]
    assert (delay["metric"], delay["of_the"], latency["of_the"]) == ("delay_p99_ms", "largest", "smallest")
    assert delay["no_smaller_than"] == delay["no_larger_than"] == "watermark:4096"
    assert latency["means"]["adaptive"] == pytest.approx(30, rel=0.01)
    low, high = latency["over_best"]["adaptive"]["interval"]
    assert low < 200 < high  # per cent above
    assert latency["over_best"]["adaptive"]["n"] == 5


@pytest.mark.usefixtures("run")
def test_the_margin_is_what_is_said_to_count(bpfbench: Invoke) -> None:
    (own,) = data_of(bpfbench("knee", "r", "--runtime-margin-percent", "100", "--json"))
    assert own["costs"]["latency"]["margin"] == 100
    assert own["costs"]["latency"]["no_larger_than"] == "watermark:4096"


def test_a_run_in_which_nothing_was_turned_is_told_what_can_be(bpfbench: Invoke, tmp_path: Path) -> None:
    trials, run = make_run(tmp_path / "runs" / "r")
    for trial in trials:
        record_trial(run, trial)
    outcome = bpfbench("knee", "r")
    assert complaint(outcome).endswith("has no knob that was turned, with all else alike")
    assert "several values of one of: wakeup, ringbuf_bytes, poll_ms, output_bytes" in outcome.err
