# SPDX-License-Identifier: Apache-2.0
"""A summary for programs, in the envelope of all answers."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from builders import (
    make_failure,
    make_trial,
)
from typical import INFO, typical_run

from bpfbench.analysis.metrics import METRICS
from bpfbench.analysis.results import of
from bpfbench.analysis.summary import Summary, summarise
from bpfbench.report.about import About
from bpfbench.report.documents.summary import data
from bpfbench.report.wording import Said
from bpfbench.report.write.json import text as as_json


def envelope(summary: Summary, info: About = INFO, said: Said | None = None) -> Any:
    return json.loads(as_json("summary", 2, info, data(summary, said or Said())))


def told(summary: Summary) -> Any:
    return envelope(summary)["data"]


class TestJson:
    def test_reads_back(self) -> None:
        found = envelope(summarise(of(typical_run())))
        assert list(found) == ["schema", "kind", "run", "data"]
        assert (found["schema"], found["kind"]) == (2, "summary")
        assert (found["run"]["study"], found["run"]["seed"]) == ("quick", 7)
        (group,) = found["data"]["groups"]
        assert group["workload"] == {
            "name": "read",
            "processes": 4,
            "bytes_per_process": 34359738368,
            "rate_iops": None,
            "burst_ios": 1,
            "duty_percent": 100.0,
            "rate_process": "linear",
        }
        assert group["tool"] == "rw-tracer"
        assert [row["setup"] for row in group["rows"]] == ["vanilla", "bcc", "libbpf"]
        libbpf = group["rows"][2]
        assert libbpf["config"]["ringbuf_bytes"] == 262144
        runtime = libbpf["metrics"]["runtime_s"]
        assert (runtime["mean"], runtime["n"]) == (pytest.approx(12.1), 3)
        assert runtime["versus_vanilla"]["difference_percent"]["mean"] == pytest.approx(10.0)
        assert runtime["versus_vanilla"]["verdict"] == "more"
        assert runtime["versus_vanilla"]["paper_rule"] == "beyond-vanilla-sd"
        assert runtime["versus_vanilla"]["interval"] == pytest.approx({"low": 10.0, "high": 10.0})
        assert libbpf["lost_percent_by_cause"]["ring_full"]["mean"] == pytest.approx(3.0)

    def test_records_set_aside_are_counted(self) -> None:
        info = dataclasses.replace(INFO, superseded=2)
        assert envelope(summarise(of([])), info)["run"]["superseded"] == 2
        assert envelope(summarise(of([])))["run"]["superseded"] == 0

    def test_every_metric_is_explained_and_present(self) -> None:
        found = told(summarise(of(typical_run())))
        keys = [metric.key for metric in METRICS]
        assert list(found["metrics"]) == keys
        assert all(list(row["metrics"]) == keys for group in found["groups"] for row in group["rows"])

    def test_absent_is_null(self) -> None:
        vanilla, bcc, _ = told(summarise(of(typical_run())))["groups"][0]["rows"]
        assert vanilla["config"] is None
        assert vanilla["metrics"]["saved_percent"] is None
        assert vanilla["metrics"]["runtime_s"]["versus_vanilla"] is None
        assert bcc["metrics"]["pss_peak_bytes"] is None

    def test_excluded_trials_are_in_it(self) -> None:
        found = told(summarise(of([make_failure(make_trial("bcc", 2), 'no "READY"')])))
        (excluded,) = found["excluded"]
        assert (excluded["trial"], excluded["status"]) == ("read-rw-tracer-bcc-3", "failed")
        assert (excluded["reason"], excluded["repetition"]) == ('no "READY"', 3)

    def test_empty_run(self) -> None:
        found = told(summarise(of([])))
        assert (found["groups"], found["excluded"]) == ([], [])
