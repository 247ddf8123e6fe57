# SPDX-License-Identifier: Apache-2.0
"""A run in the formats of others, validated against what they publish."""

from __future__ import annotations

import dataclasses
import json
import re
import string
from pathlib import Path

import polars as pl
import pytest
from builders import make_config, make_failure, make_fio, make_record, make_summary, make_trial
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from bpfbench.analysis import results
from bpfbench.analysis.results import of
from bpfbench.analysis.statistics import Analysis, analyse
from bpfbench.analysis.summary import summarise
from bpfbench.analysis.table import tidy
from bpfbench.cli.export import FORMATS, export
from bpfbench.declare import study
from bpfbench.errors import UsageError
from bpfbench.model import Accelerator, Environment, Record
from bpfbench.report import export_bench
from bpfbench.report.about import About
from bpfbench.report.document import Document
from bpfbench.report.documents import artifact, summary
from bpfbench.report.write import latex, markdown
from bpfbench.store import RUN_FORMAT, Run
from bpfbench.store import RunInfo as StoredInfo

Capture = pytest.CaptureFixture[str]

RUN = Path(__file__).parents[1] / "data" / "runs" / "format-2"

INFO = About(study="quick", run_id="run-1", trials_done=9, trials_planned=9, host="testhost", kernel="6.12.48")

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


def _records(blocks: int = 3) -> list[Record]:
    records = []
    for block in range(blocks):
        trial = make_trial("libbpf", block)
        records += [
            make_record(make_trial(block=block), fio=make_fio(runtime_s=10.0 + block)),
            make_record(
                trial,
                fio=make_fio(runtime_s=1.1 * (10.0 + block) + 0.01 * block),
                summary=make_summary(trial, saved=970, lost={"ring_full": 30}),
            ),
        ]
    return records


def _analysis(records: list[Record]) -> Analysis:
    return analyse(of(records))


LIBBPF = "read 4x32 GiB rw-tracer libbpf, kprobe, binary, ring 256 KiB, poll 100 ms"


class TestBencher:
    def test_fits_the_published_schema(self) -> None:
        document = json.loads(export_bench.to_bencher(_analysis(_records())))
        Draft7Validator(BENCHER).validate(document)
        # Their limits: 1024 characters for the name of a benchmark, 64 for that of a measure.
        assert max(map(len, document)) <= 1024
        assert max(len(measure) for measures in document.values() for measure in measures) <= 64

    def test_ratios_have_their_interval_and_values_their_sd(self) -> None:
        measures = json.loads(export_bench.to_bencher(_analysis(_records())))[LIBBPF]
        ratio = measures["runtime_s_over_vanilla"]
        # 1.1, 12.11 / 11 and 13.22 / 12.
        assert ratio["value"] == pytest.approx(1.10086, abs=1e-4)
        assert ratio["lower_value"] < ratio["value"] < ratio["upper_value"]
        assert measures["saved_percent"] == {"value": 97.0, "lower_value": 97.0, "upper_value": 97.0}
        assert "energy_joules" not in measures  # not measured

    def test_one_repetition_has_no_bounds(self) -> None:
        measures = json.loads(export_bench.to_bencher(_analysis(_records(1))))[LIBBPF]
        assert set(measures["runtime_s_over_vanilla"]) == {"value"}

    def test_of_an_emulated_machine_there_is_nothing(self) -> None:
        environment = Environment("6.12", "boot", Accelerator.TCG)
        records = [dataclasses.replace(record, environment=environment) for record in _records()]
        assert json.loads(export_bench.to_bencher(_analysis(records))) == {}
        assert json.loads(export_bench.to_github(_analysis(records), INFO)) == []


class TestGithub:
    def test_fits_what_the_action_reads(self) -> None:
        entries = json.loads(export_bench.to_github(_analysis(_records()), INFO))
        Draft7Validator(GITHUB).validate(entries)
        assert len({entry["name"] for entry in entries}) == len(entries)

    def test_smaller_is_better_throughout(self) -> None:
        entries = {e["name"]: e for e in json.loads(export_bench.to_github(_analysis(_records()), INFO))}
        assert entries[f"{LIBBPF}: lost_percent"]["value"] == pytest.approx(3.0)
        assert entries[f"{LIBBPF}: runtime_s over vanilla"]["unit"] == "x"
        assert not any("saved" in name or "throughput" in name or "vanilla," in name for name in entries)


class TestLatex:
    def test_a_text_is_set_as_it_is(self) -> None:
        assert latex.escape("50 % of a_b & {c} $d #e ~f ^g \\h") == (
            r"50 \% of a\_b \& \{c\} \$d \#e \textasciitilde{}f \textasciicircum{}g \textbackslash{}h"
        )
        assert latex.escape("-5.0 ± 2 é → --kprobe") == r"$-$5.0 $\pm$ 2 e ? -{}-kprobe"

    @given(st.text())
    def test_no_text_escapes(self, text: str) -> None:
        written = latex.escape(text)
        assert written.isascii()
        assert written.isprintable()
        bare = re.sub(r"\\[a-z]+\{\}|\\[{}$&#%_]|\$-\$|\$\\[a-z]+\$|\{\}", "", written)
        assert not set(bare) & set("\\{}$&#%_~^<>|`")

    def test_tables_of_a_run(self) -> None:
        text = latex.text(summary.printed(summarise(of(_records())), INFO))
        assert r"libbpf & 3 & 12.11 $\pm$ 1.11 (+10.1 \%)" in text
        assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 1

    def test_a_run_without_trials(self) -> None:
        assert "No trial" in latex.text(summary.printed(summarise(of([])), INFO))


STUDY = """
name = "own"
description = "50 % of a_b"
[factors]
setups = ["libbpf", "bcc"]
tools = "rw-tracer"
workloads = "read"
attach = "kprobe"
"""


def _stored() -> StoredInfo:
    return StoredInfo(
        format=RUN_FORMAT,
        id="run-1",
        created_at="2026-01-02T03:04:05Z",
        bpfbench_version="0.1.0",
        study=study.parse(STUDY, "own.toml"),
        trials_planned=9,
        left_out=("bpftrace cannot write binary",),
        image={"name": "trixie", "key": "0123", "suite": "trixie", "versions": {"fio": "3.39"}},
        machine={"cpu_model": "CPU", "cpus": 2, "memory_bytes": 2**34, "architecture": "x86_64"},
    )


def _appendix(records: list[Record]) -> Document:
    return artifact.document(_stored(), INFO, of(records, _stored()))


PARTS = (
    "Abstract",
    "Artifact check-list",
    "How to access",
    "Hardware dependencies",
    "Software dependencies",
    "Installation",
    "Kick the tires",
    "Experiment workflow",
    "Evaluation and expected results",
    "Experiment customisation",
    "Notes",
)


class TestArtifact:
    def test_has_every_part_and_the_study_to_run_again(self) -> None:
        text = markdown.text(_appendix([*_records(), make_failure(make_trial("bcc"), "disk full")]))
        assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(PARTS)
        assert "fio 3.39" in text
        assert "- **failed:** read-rw-tracer-bcc-1: disk full" in text
        missed = (
            "| not reproduced by these versions on this machine | 3.1 | Reading, rw-tracer: libbpf saves all events |"
        )
        assert missed in text
        assert "| hook | kprobe | kprobe | same |" in text
        assert "Remarks on the paper, counted in no verdict:" in text
        code = [line[4:] for line in text.splitlines() if line.startswith("    ")]
        toml = "\n".join(code[code.index('name = "own"') : code.index("bpfbench run study.toml")])
        assert study.parse(toml, "study.toml") == _stored().study

    def test_latex_has_the_same_parts(self) -> None:
        text = latex.text(_appendix(_records()))
        assert re.findall(r"\\subsection\{(.*)\}", text) == list(PARTS)
        assert r"50 \% of a\_b" in text

    def test_of_a_run_without_trials(self) -> None:
        assert "0 of 9 trials" in markdown.text(_appendix([]))


def test_names_of_benchmarks_tell_configurations_apart() -> None:
    records = [make_record(make_trial("bcc", config=make_config(poll_ms=poll_ms))) for poll_ms in (1, 100)]
    names = {export_bench.name(statistic.cell) for statistic in _analysis(records).statistics}
    assert len(names) == 2
    assert all(set(name) <= set(string.printable) for name in names)


class TestVerb:
    @pytest.mark.parametrize("form", FORMATS)
    def test_every_format_of_a_recorded_run(
        self, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert export(str(RUN), format_=form) == 0
        printed = capsys.readouterr().out
        assert export(str(RUN), format_=form, output=tmp_path / "out") == 0
        assert (tmp_path / "out").read_text() == printed
        assert len(printed) > 100

    def test_parquet_is_the_tidy_table(self, tmp_path: Path) -> None:
        export(str(RUN), format_="parquet", output=tmp_path / "run.parquet")
        run = Run(RUN)
        assert pl.read_parquet(tmp_path / "run.parquet").equals(tidy(results.load(run)))

    def test_what_cannot_be_carried_out_is_told(self) -> None:
        with pytest.raises(UsageError, match="parquet") as told:
            export(str(RUN), format_="parket")
        assert "--format" in told.value.message
        with pytest.raises(UsageError) as told:
            export(str(RUN), format_="parquet")
        assert told.value.hint == "give --output FILE"
