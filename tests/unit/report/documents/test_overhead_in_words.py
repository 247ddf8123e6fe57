# SPDX-License-Identifier: Apache-2.0
"""What tracers cost is said for people and for programs, and no more than is known."""

from __future__ import annotations

import json

from overheads import TPS, failed, ran, record, rounds, study

from bpfbench.analysis.questions.overhead import Overhead, overhead
from bpfbench.report.documents import overhead as report
from bpfbench.report.write import json as envelope
from bpfbench.report.write import markdown

MACHINE = {"host": "testhost", "cpus": 2, "cpu_model": "CPU", "kernel": "6.12"}


def text(found: Overhead) -> str:
    return markdown.text(report.document(found, MACHINE))


def test_each_tracer_has_its_sentence() -> None:
    costs = {0: 1.5, 1: 1.0, 2: 1.02}
    said = text(overhead(study("slow", "none", "light"), rounds(costs, 12, sd=0.004)))
    assert "slow: time +" in said
    assert "a difference of more than 5 %" in said
    assert "no difference of more than 5 %" in said
    assert "a difference, within 5 %" in said
    assert "slow loaded 1 BPF program (kprobe), 2 maps (hash, ringbuf)." in said
    assert "CPU +" in said


def test_what_is_open_says_what_it_would_take() -> None:
    said = text(overhead(study("tracer"), rounds({0: 1.3}, 4, sd=0.04)))
    assert "undecided" in said
    assert "As it looks, 5 rounds would decide it (about --for 30s)." in said
    assert "a difference of more than" not in said


def test_two_rounds_are_too_few_to_say_anything() -> None:
    said = text(overhead(study("tracer"), rounds({0: 5.0}, 2)))
    assert "cannot be told: that takes 3 rounds" in said
    assert "a difference" not in said


def test_what_failed_is_there_with_its_last_lines() -> None:
    said = text(overhead(study("broken"), [*rounds({}, 3), record(1, 0, failed("it died"))]))
    assert "broken: nothing is known, no trial of it counts." in said
    assert "broken: 1 failed trial" in said
    assert "last line" in said


def test_programs_get_all_of_it() -> None:
    found = overhead(study("tracer", metrics=[TPS]), rounds({0: 1.5}, 6, sd=0.01))
    data = json.loads(envelope.text("overhead", report.SCHEMA, None, report.data(found, MACHINE)))["data"]
    bare, tracer = data["rows"]
    assert bare["compared"]["time"]["verdict"] is None
    assert (tracer["compared"]["tps"]["verdict"], tracer["compared"]["tps"]["amount"]) == ("less", "beyond-margin")
    assert tracer["bpf"]["maps"][0] == {"kind": "hash", "name": "counts", "memory_bytes": 8192}
    assert [metric["name"] for metric in data["metrics"]] == ["tps", "time", "CPU"]
    assert data["noise"]["tps"]["n"] == 6


def test_of_a_target_that_hardly_takes_time_it_is_said_that_it_does() -> None:
    short = [record(n, own, ran(0.002)) for n in (1, 2, 3) for own in (None, None, 0)]
    assert "the target takes 2.0 ms; of so little, starting it is a good part" in text(overhead(study("none"), short))
    assert "of so little" not in text(overhead(study("none"), rounds({0: 1.0}, 3)))
