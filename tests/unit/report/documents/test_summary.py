# SPDX-License-Identifier: Apache-2.0
"""What is in every form of a summary."""

from __future__ import annotations

import io
import json
import random

from builders import (
    READ,
    make_fio,
    make_record,
    make_trial,
)
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typical import INFO, typical_run

from bpfbench.analysis import metrics
from bpfbench.analysis.apart import Verdict, apart
from bpfbench.analysis.questions.needs import answers
from bpfbench.analysis.results import of
from bpfbench.analysis.summary import summarise
from bpfbench.model import Criteria
from bpfbench.report.document import Bullets, Code, Table
from bpfbench.report.documents import sentences
from bpfbench.report.documents.summary import data, document, flat
from bpfbench.report.wording import Said
from bpfbench.report.write import csv as csv_writer
from bpfbench.report.write import markdown, terminal
from bpfbench.report.write.json import text as as_json

SAID = Said(("Order: no effect was found.", "Noise: 3 %."), ("Order mattered.",), {"order": {"found": True}})


def test_what_is_said_of_the_trials_as_a_whole_is_in_every_form() -> None:
    summary, out = summarise(of(typical_run())), io.StringIO()
    terminal.write(document(summary, INFO, SAID), Console(file=out, width=140))
    text, written = out.getvalue(), markdown.text(document(summary, INFO, SAID))
    assert text.index("Warning: Order mattered.") < text.index("libbpf") < text.index("Order: no effect was found.")
    assert written.index("**Warning:** Order mattered.") < written.index("libbpf") < written.index("- Noise: 3 %.")
    assert json.loads(as_json("summary", 2, INFO, data(summary, SAID)))["data"]["order"] == {"found": True}


def test_every_form_shows_the_same_workload() -> None:
    summary, out = summarise(of(typical_run())), io.StringIO()
    terminal.write(document(summary, INFO), Console(file=out, width=140))
    for text in (
        as_json("summary", 2, INFO, data(summary, Said())),
        "".join(csv_writer.data(*flat(summary))),
        markdown.text(document(summary, INFO)),
        out.getvalue(),
    ):
        assert READ.name in text
        assert text.endswith("\n")


seconds = st.floats(5, 20).map(lambda value: round(value, 3))
blocks = st.lists(st.tuples(seconds, seconds, seconds), min_size=1, max_size=6)


@given(blocks)
def test_no_number_goes_unmarked_whose_interval_has_nothing_in_it(found: list[tuple[float, float, float]]) -> None:
    records = [
        make_record(make_trial(setup, block), fio=make_fio(runtime_s=runtime))
        for block, runtimes in enumerate(found)
        for setup, runtime in zip(("vanilla", "libbpf", "bcc"), runtimes, strict=True)
    ]
    summary = summarise(of(records))
    (table,) = (block for block in document(summary, INFO) if isinstance(block, Table))
    (group,) = data(summary)["groups"]
    for row, shown in zip(group["rows"][1:], table.rows[1:], strict=True):
        versus = row["metrics"]["runtime_s"]["versus_vanilla"]
        ends, mark = versus["interval"], shown[2].mark
        assert (mark == "") == (ends is not None and (ends.low > 0 or ends.high < 0))
        assert (mark == "") == (versus["verdict"] in ("more", "less"))
        assert (mark == "?") == (len(found) < 3)


def test_setups_that_are_like_vanilla_are_seldom_told_apart_from_it() -> None:
    chance, wrong, studies = random.Random(1), 0, 100
    for _ in range(studies):
        records = [
            make_record(make_trial(setup, block), fio=make_fio(runtime_s=10 * chance.lognormvariate(0, 0.1)))
            for block in range(5)
            for setup in ("vanilla", "libbpf", "bcc", "ebpf-go", "aya-sync")
        ]
        told = apart(summarise(of(records)).groups[0])
        wrong += any(
            own.verdict in (Verdict.MORE, Verdict.LESS) for (_, m), own in told.items() if m is metrics.RUNTIME
        )
    assert wrong <= 0.05 * studies


def test_a_summary_ends_with_the_answer_and_says_it_to_programs_too() -> None:
    results = of(typical_run())
    found = answers(results, Criteria())
    *_, said, _, command = document(summarise(results), INFO, answer=found, run="latest")
    assert isinstance(said, Bullets)
    assert said.lines == (*sentences.of(found[0]), *sentences.noise(found[0]))
    assert command == Code(("bpfbench run --resume latest --until decided",))
    (kernel,) = data(summarise(results), answer=found)["answer"]["kernels"]
    assert {own["need"] for own in kernel["needs"]} >= {"overhead", "fidelity"}
