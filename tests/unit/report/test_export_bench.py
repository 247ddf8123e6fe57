# SPDX-License-Identifier: Apache-2.0
"""A run for services that watch benchmarks, validated against what they publish."""

from __future__ import annotations

import dataclasses
import json
import string

import pytest
from builders import make_config, make_record, make_trial
from jsonschema import Draft7Validator
from typical import INFO, few_records

from bpfbench.analysis.results import of
from bpfbench.analysis.statistics import Analysis, analyse
from bpfbench.model import Accelerator, Environment, Record
from bpfbench.report import export_bench

BENCHER = {
    # https://bencher.dev/bmf.json
    "$schema": "http://json-schema.org/draft-07/schema",
    "type": "object",
    "patternProperties": {
        ".+": {
            "type": "object",
            "patternProperties": {
                ".+": {
                    "type": "object",
                    "properties": {key: {"type": "number"} for key in ("value", "lower_value", "upper_value")},
                    "required": ["value"],
                }
            },
        }
    },
}


GITHUB = {
    # The type BenchmarkResult of src/extract.ts in benchmark-action/github-action-benchmark.
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "unit": {"type": "string"},
            "value": {"type": "number"},
            "range": {"type": "string", "pattern": "^± "},
            "extra": {"type": "string"},
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}


LIBBPF = "read 4x32 GiB rw-tracer libbpf, kprobe, binary, ring 256 KiB, poll 100 ms"


def _analysis(records: list[Record]) -> Analysis:
    return analyse(of(records))


class TestBencher:
    def test_fits_the_published_schema(self) -> None:
        document = json.loads(export_bench.to_bencher(_analysis(few_records())))
        Draft7Validator(BENCHER).validate(document)
        # Their limits: 1024 characters for the name of a benchmark, 64 for that of a measure.
        assert max(map(len, document)) <= 1024
        assert max(len(measure) for measures in document.values() for measure in measures) <= 64

    def test_ratios_have_their_interval_and_values_their_sd(self) -> None:
        measures = json.loads(export_bench.to_bencher(_analysis(few_records())))[LIBBPF]
        ratio = measures["runtime_s_over_vanilla"]
        # 1.1, 12.11 / 11 and 13.22 / 12.
        assert ratio["value"] == pytest.approx(1.10086, abs=1e-4)
        assert ratio["lower_value"] < ratio["value"] < ratio["upper_value"]
        assert measures["saved_percent"] == {"value": 97.0, "lower_value": 97.0, "upper_value": 97.0}
        assert "energy_joules" not in measures  # not measured

    def test_one_repetition_has_no_bounds(self) -> None:
        measures = json.loads(export_bench.to_bencher(_analysis(few_records(1))))[LIBBPF]
        assert set(measures["runtime_s_over_vanilla"]) == {"value"}

    def test_of_an_emulated_machine_there_is_nothing(self) -> None:
        environment = Environment("6.12", "boot", Accelerator.TCG)
        records = [dataclasses.replace(record, environment=environment) for record in few_records()]
        assert json.loads(export_bench.to_bencher(_analysis(records))) == {}
        assert json.loads(export_bench.to_github(_analysis(records), INFO)) == []


class TestGithub:
    def test_fits_what_the_action_reads(self) -> None:
        entries = json.loads(export_bench.to_github(_analysis(few_records()), INFO))
        Draft7Validator(GITHUB).validate(entries)
        assert len({entry["name"] for entry in entries}) == len(entries)

    def test_smaller_is_better_throughout(self) -> None:
        entries = {e["name"]: e for e in json.loads(export_bench.to_github(_analysis(few_records()), INFO))}
        assert entries[f"{LIBBPF}: lost_percent"]["value"] == pytest.approx(3.0)
        assert entries[f"{LIBBPF}: runtime_s over vanilla"]["unit"] == "x"
        assert not any("saved" in name or "throughput" in name or "vanilla," in name for name in entries)


def test_names_of_benchmarks_tell_configurations_apart() -> None:
    records = [make_record(make_trial("bcc", config=make_config(poll_ms=poll_ms))) for poll_ms in (1, 100)]
    names = {export_bench.name(statistic.cell) for statistic in _analysis(records).statistics}
    assert len(names) == 2
    assert all(set(name) <= set(string.printable) for name in names)
