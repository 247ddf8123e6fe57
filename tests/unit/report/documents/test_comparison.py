# SPDX-License-Identifier: Apache-2.0
"""What is said of two runs side by side, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from builders import make_config, make_fio, make_record, make_trial

from bpfbench.analysis.inference import Finding
from bpfbench.analysis.questions.compare import compare_runs
from bpfbench.analysis.results import Results, of
from bpfbench.model import Environment, Record, Variant
from bpfbench.report.document import ABSENT, Block, Heading, Paragraph, Table
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
    found = compare_runs(ran((10, 11, 10), (11, 12, 11)), ran((10, 11, 10), (12, 14, 11)))
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
    start = texts.index("The trials of a (before)")
    assert texts[start : start + 3] == ["The trials of a (before)", "Order: fine.", "Noise: little."]
    assert texts[start + 3 : start + 5] == ["The trials of b (after)", "Order: not fine."]
    assert texts.index("b (after): Oh!") < texts.index("What is different about the runs"), "before any number"
    document = comparison.data(found, "a", "b", said)
    assert (document["trials_before"], document["trials_after"]) == ({"order": {"found": False}}, {})


def shown(block: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in block.rows]


def heads(blocks: Sequence[Block]) -> list[str]:
    return [block.text for block in blocks if isinstance(block, Heading)]


def said_in(blocks: Sequence[Block]) -> list[str]:
    return [block.text for block in blocks if isinstance(block, Paragraph)]


def numbers(blocks: Sequence[Block]) -> list[Table]:
    return [block for block in blocks if isinstance(block, Table) and block.header[0] == "setup"]


STEADY = (10, 10.2, 9.9, 10.1)


def test_people_are_told_first_what_changed_then_what_is_different() -> None:
    before, after = ran(STEADY, (11, 11.3, 10.8, 11.2)), ran(STEADY, (19, 21, 20, 22))
    said = (Said(("Order: fine.",)), Said())
    for whole in (False, True):
        blocks = comparison.document(compare_runs(before, after), "a", "b", said, whole=whole)
        assert heads(blocks) == [
            "What changed",
            "read, 4 processes x 32 GiB: rw-tracer",
            "What is different about the runs",
            "The trials of a (before)",
            *(("What cannot be told to have changed", "read, 4 processes x 32 GiB: rw-tracer") if whole else ()),
            "How to read this",
        ]
        assert said_in(blocks)[0] == "From a to b: 2 of 11 numbers changed beyond noise."
        assert ("--all shows the other 9, of which no change can be told." in said_in(blocks)) != whole
        assert len(numbers(blocks)) == 1 + whole


def test_numbers_are_called_as_in_other_tables_with_their_units() -> None:
    before, after = ran(STEADY, (11, 11.3, 10.8, 11.2)), ran((20, 20.4, 19.8, 20.2), (38, 42, 40, 44))
    blocks = comparison.document(compare_runs(before, after), "a", "b")
    assert said_in(blocks)[0] == (
        "From a to b: 3 of 11 numbers changed beyond noise, 1 of them vanilla's own, which is the machine's doing."
    )
    told, rest = numbers(blocks)
    assert told.header == ("setup", "what", "before (n)", "after (n)", "change", "95 %")
    vanilla, libbpf, tracer = shown(told)
    assert vanilla[:4] == ["vanilla", "runtime, s", "10.05 (4)", "20.10 (4)"]
    assert (vanilla[4], vanilla[5][:2]) == ("+100.0 %", "[+")
    assert libbpf[:3] == ["libbpf", "runtime over vanilla", "x 1.102 (4)"]
    assert tracer[:4] == ["", "tracer CPU, % of one", "27.1 (4)", "7.3 (4)"]
    assert (tracer[4], tracer[5][:2]) == ("-19.76 points", "[-")
    assert {row[1] for row in shown(rest)} == {
        "latency p99, µs",
        "CPU, % of all",
        "memory growth, MiB",
        "latency p99 over vanilla",
        "CPU over vanilla",
        "memory growth over vanilla, MiB",
        "saved, %",
        "PSS, MiB",
    }
    assert {row[6] for row in shown(rest)} == {"the same in all trials"}


def test_below_three_trials_in_a_run_nothing_is_called_a_change() -> None:
    found = compare_runs(ran(STEADY, (11, 11.001, 11.002, 11.001)), ran((10, 10.2), (22, 22.442)))
    assert {shift.finding for shift in found.shifts} == {Finding.TOO_FEW}
    assert {(shift.interval, shift.p, shift.p_corrected) for shift in found.shifts} == {(None, None, None)}
    blocks = comparison.document(found, "a", "b")
    (rest,) = numbers(blocks)
    few = "From a to b: too few trials to tell; a change takes 3 in both runs, which none of 11 numbers has."
    assert said_in(blocks)[0] == few
    assert {row[5:] for row in map(tuple, shown(rest))} == {(ABSENT, "too few trials")}


def test_what_is_too_few_beside_what_is_not_is_counted() -> None:
    after = ran(STEADY, (19, 21, 20, 22), Variant.FULL, Variant.NO_OUTPUT)
    few = of(record for record in after.records if "no-output" not in record.trial.id or record.trial.block < 2)
    before = ran(STEADY, (11, 11.3, 10.8, 11.2), Variant.FULL, Variant.NO_OUTPUT)
    blocks = comparison.document(compare_runs(before, few), "a", "b")
    assert said_in(blocks)[0].endswith("Of 7, there are fewer than 3 trials in a run: too few to tell.")


def test_a_change_of_many_times_is_a_factor() -> None:
    blocks = comparison.document(compare_runs(ran(STEADY, STEADY), ran(STEADY, (190, 210, 200, 220))), "a", "b")
    (line,) = (row for row in shown(numbers(blocks)[0]) if row[1] == "runtime over vanilla")
    assert (line[4][:4], line[5][:3]) == ("x 20", "[x ")


def test_variants_of_a_setup_are_told_apart() -> None:
    run = ran((10, 10.2), (11, 11.3), Variant.FULL, Variant.NO_OUTPUT)
    blocks = comparison.document(compare_runs(run, run), "a", "b")
    (only,) = numbers(blocks)
    assert [row[0] for row in shown(only) if row[0]] == ["vanilla", "libbpf (full)", "libbpf (no-output)"]
    assert not [text for text in said_in(blocks) if "no-output" in text]


def test_what_one_run_alone_has_is_named_by_what_tells_it_apart() -> None:
    before = ran(STEADY, STEADY, Variant.FULL, Variant.NO_OUTPUT)
    after = ran(STEADY, STEADY, Variant.FULL, Variant.RUN_TIME)
    blocks = comparison.document(compare_runs(before, after), "a", "b")
    (alone,) = (block for block in blocks if isinstance(block, Table) and block.header[0] == "only")
    case = "read, 4 processes x 32 GiB: rw-tracer"
    assert shown(alone) == [
        ["before", case, "libbpf (no-output)"],
        ["after", case, f"libbpf ({Variant.RUN_TIME})"],
    ]
    (named, *_) = numbers(blocks)
    assert "libbpf (full)" in [row[0] for row in shown(named)], "as it is told apart in either run"


def test_kernels_are_named_where_a_run_has_several() -> None:
    def on(kernel: str) -> list[Record]:
        found = ran(STEADY, STEADY).records
        return [dataclasses.replace(record, environment=Environment(kernel, "boot")) for record in found]

    several = compare_runs(of([*on("6.12"), *on("6.18")]), of(on("6.18")))
    blocks = comparison.document(several, "a", "b")
    assert "read, 4 processes x 32 GiB: rw-tracer, kernel 6.18" in heads(blocks)
    (alone,) = (block for block in blocks if isinstance(block, Table) and block.header[0] == "only")
    assert shown(alone) == [["before", "read, 4 processes x 32 GiB: rw-tracer, kernel 6.12", "vanilla and libbpf"]]
    single = comparison.document(compare_runs(of(on("6.12")), of(on("6.18"))), "a", "b")
    assert "read, 4 processes x 32 GiB: rw-tracer" in heads(single)
