# SPDX-License-Identifier: Apache-2.0
"""What tracers cost is said for people and for programs, and no more than is known."""

from __future__ import annotations

import json
from dataclasses import replace

from overheads import BPF, TPS, failed, ran, record, rounds, study

from bpfbench.analysis.questions.overhead import Overhead, overhead
from bpfbench.model.command import ENDED_AT_ONCE, BpfObject
from bpfbench.model.target import Server
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
    assert "It loaded 1 BPF program (kprobe), 2 maps (hash, ringbuf)." in said
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
    assert tracer["bpf"]["maps"][0].items() >= {"kind": "hash", "name": "counts", "memory_bytes": 8192}.items()
    assert [metric["name"] for metric in data["metrics"]] == ["tps", "time", "CPU"]
    assert data["noise"]["tps"]["n"] == 6


def test_of_a_target_that_hardly_takes_time_it_is_said_that_it_does() -> None:
    short = [record(n, own, ran(0.002)) for n in (1, 2, 3) for own in ((), (), 0)]
    said = text(overhead(study("none"), short))
    assert "a run of the target takes 2.0 ms; of so little, starting it is a good part. Choose" in said
    assert "time, ms" in said
    assert "2.00 ± 0.00" in said
    assert "of so little" not in text(overhead(study("none"), rounds({0: 1.0}, 3)))


def test_how_often_a_target_is_run_in_a_trial_is_said_and_why_it_is_not() -> None:
    short = [record(n, own, ran(0.002)) for n in (1, 2, 3) for own in ((), (), 0)]
    asked = study("tracer")
    asked = replace(asked, target=replace(asked.target, prepare=("make", "clean")))
    assert "and it is run once in a trial, as each run is prepared" in text(overhead(asked, short))
    often = [
        replace(own, result=replace(own.result, target=replace(own.result.target, runs=250)))
        for own in short
        if own.result.target
    ]
    found = overhead(study("tracer"), often)
    assert "The target is run 250 times in each trial; what is told is per run." in text(found)
    assert report.data(found, MACHINE)["runs"] == 250


def test_whether_costs_add_up_is_said_as_far_as_it_is_known() -> None:
    asked = study("a", "b", together=True)
    for cost, words in ((1.32, "adds up, within 5 %"), (1.6, "costs more than the sum, by more than 5 %")):
        said = text(overhead(asked, rounds({(0,): 1.1, (1,): 1.2, (0, 1): cost}, 12, sd=0.002)))
        assert "Several at once" in said
        assert words in said
    said = text(overhead(asked, rounds({(0,): 1.1, (1,): 1.2, (0, 1): 1.9}, 2)))
    assert "cannot be told: that takes 3 rounds" in said
    assert "than the sum," not in said


def test_more_is_less_where_more_is_better() -> None:
    asked = study("a", "b", metrics=[TPS], together=True)
    said = text(overhead(asked, rounds({(0,): 1.1, (1,): 1.2, (0, 1): 1.6}, 12, sd=0.002)))
    assert "costs more than the sum, by more than 5 %" in said


def test_one_that_ended_at_once_is_said_to_have() -> None:
    trials = [
        record(n, own, replace(found, tracers=tuple(replace(run, ready_by=ENDED_AT_ONCE) for run in found.tracers)))
        for n in (1, 2, 3)
        for own, found in (((), ran(1.0)), ((), ran(1.0)), (0, ran(1.0, traced=1)))
    ]
    assert "It ended at once, by itself, with nothing attached: the target ran bare." in text(
        overhead(study("true"), trials)
    )


def test_what_programs_took_is_an_estimate_apart() -> None:
    counted = ran(10.0, traced=1)
    ran_so = replace(BPF, programs=(BpfObject("kprobe", "read", 4096, runs=2000, run_ns=400_000_000),))
    counted = replace(counted, tracers=(replace(counted.tracers[0], bpf=ran_so),))
    found = overhead(study("tracer"), [*rounds({0: 1.2}, 4), replace(record(0, 0, counted), counted=True)])
    assert "Its BPF programs ran for 4.00 % of one CPU (read 2 k times, 200000 ns each), an estimate." in text(found)
    assert "| BPF CPU, % of one, estimated |" in text(found)


def test_a_server_is_told_of_with_what_it_took_and_takes() -> None:
    asked = study("tracer")
    asked = replace(asked, target=replace(asked.target, server=Server("redis-server")))
    trials = [
        record(n, own, ran(1.0 + n / 1000, traced=len(own), **{"server CPU": cpu + n / 100}))
        for n in range(1, 9)
        for own, cpu in (((), 28.0), ((), 28.0), ((0,), 47.0))
    ]
    said = text(overhead(asked, trials))
    assert "The server is redis-server, which runs already" in said
    assert "tracer: server CPU from 28.0 to 47.0 % of one CPU, +67.7 % \\[" in said
