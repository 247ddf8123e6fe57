# SPDX-License-Identifier: Apache-2.0
"""What is said of two runs side by side, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from builders import make_config, make_fio, make_record, make_trial

from bpfbench.analysis.questions.compare import compare_runs
from bpfbench.analysis.results import Results, of
from bpfbench.model import Variant
from bpfbench.report.document import Heading, Paragraph, Table
from bpfbench.report.documents import compare as comparison
from bpfbench.report.wording import Said
from bpfbench.report.write.json import text as as_json


def ran(vanilla: Sequence[float], libbpf: Sequence[float], *variants: Variant) -> Results:
    """A run of libbpf in some variants, full alone unless told; in each it takes as long."""
    trials = [(make_trial(block=block), runtime_s) for block, runtime_s in enumerate(vanilla)]
    for variant in variants or (Variant.FULL,):
        for block, runtime_s in enumerate(libbpf):
            trial = make_trial("libbpf", block, config=make_config(variant=variant))
            trials.append((dataclasses.replace(trial, id=f"{trial.id}-{variant}"), runtime_s))
    return of(make_record(trial, fio=make_fio(runtime_s=runtime_s)) for trial, runtime_s in trials)


def test_the_document_is_json_with_cells_flat() -> None:
    found = compare_runs(ran((10, 11), (11, 12)), ran((10, 11), (12, 14)))
    document = json.loads(as_json("compare", 2, None, comparison.data(found, "a", "b")))["data"]
    assert (document["before"], document["after"]) == ("a", "b")
    first = next(item for item in document["shifts"] if item["setup"] == "libbpf" and item["metric"] == "runtime_s")
    assert (first["workload"], first["finding"], first["versus_vanilla"]) == ("read", "inconclusive", True)


def test_people_and_programs_are_told_what_either_run_says_of_its_trials() -> None:
    found = compare_runs(ran((10, 11, 12), (11, 12, 13)), ran((10, 11, 12), (11, 12, 13)))
    said = (
        Said(("Order: fine.", "Noise: little."), (), {"order": {"found": False}}),
        Said(("Order: not fine.",), ("Oh!",)),
    )
    texts = [
        block.text for block in comparison.document(found, "a", "b", said) if isinstance(block, Heading | Paragraph)
    ]
    start = texts.index("The trials of a")
    assert texts[start : start + 3] == ["The trials of a", "Order: fine.", "Noise: little."]
    assert texts[start + 3 : start + 6] == ["The trials of b", "Warning: Oh!", "Order: not fine."]
    document = comparison.data(found, "a", "b", said)
    assert (document["trials_before"], document["trials_after"]) == ({"order": {"found": False}}, {})


def test_people_are_told_what_is_different_then_what_changed() -> None:
    before = ran((10, 10.2, 9.9, 10.1), (11, 11.3, 10.8, 11.2))
    after = ran((10, 10.2, 9.9, 10.1), (19, 21, 20, 22))
    blocks = comparison.document(compare_runs(before, after), "a", "b")
    texts = [block.text for block in blocks if isinstance(block, Heading | Paragraph)]
    assert texts[0] == "What is different about a and b"
    changed = texts[texts.index("What changed") + 1]
    assert changed == "2 of 11 numbers changed beyond noise."
    (row, *_) = next(block for block in blocks if isinstance(block, Table) and block.header[0] == "setup").rows
    assert [cell.text for cell in row][:2] == ["libbpf", "runtime_s / vanilla's"]
    assert row[4].text.startswith("+84.9 %")


def test_variants_of_a_setup_are_told_apart() -> None:
    run = ran((10, 10.2), (11, 11.3), Variant.FULL, Variant.NO_OUTPUT)
    blocks = comparison.document(compare_runs(run, run), "a", "b")
    (shown,) = (block for block in blocks if isinstance(block, Table) and block.header[0] == "setup")
    assert [row[0].text for row in shown.rows if row[0].text] == ["vanilla", "libbpf (full)", "libbpf (no-output)"]
    assert not [block for block in blocks if isinstance(block, Paragraph) and "no-output" in block.text]
