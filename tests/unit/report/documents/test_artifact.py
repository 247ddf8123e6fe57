# SPDX-License-Identifier: Apache-2.0
"""The artifact appendix has every part that reviews ask for."""

from __future__ import annotations

import re

from builders import make_failure, make_trial
from typical import INFO, few_records

from bpfbench.analysis.results import of
from bpfbench.declare import study
from bpfbench.model import Record
from bpfbench.report.document import Document
from bpfbench.report.documents import artifact
from bpfbench.report.write import latex, markdown
from bpfbench.store import RUN_FORMAT
from bpfbench.store import RunInfo as StoredInfo

STUDY = """
name = "own"
description = "50 % of a_b"
[factors]
setups = ["libbpf", "bcc"]
tools = "rw-tracer"
workloads = "read"
attach = "kprobe"
"""


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


class TestArtifact:
    def test_has_every_part_and_the_study_to_run_again(self) -> None:
        text = markdown.text(_appendix([*few_records(), make_failure(make_trial("bcc"), "disk full")]))
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
        text = latex.text(_appendix(few_records()))
        assert re.findall(r"\\subsection\{(.*)\}", text) == list(PARTS)
        assert r"50 \% of a\_b" in text

    def test_of_a_run_without_trials(self) -> None:
        assert "0 of 9 trials" in markdown.text(_appendix([]))
