# SPDX-License-Identifier: Apache-2.0
"""What Markdown has of a run."""

from __future__ import annotations

import dataclasses

from builders import (
    make_config,
    make_failure,
    make_record,
    make_trial,
)
from typical import INFO, typical_run

from bpfbench.analysis.results import of
from bpfbench.analysis.summary import Summary, summarise
from bpfbench.report.about import About
from bpfbench.report.documents.summary import document
from bpfbench.report.wording import Said
from bpfbench.report.write import markdown


def to_markdown(summary: Summary, info: About, said: Said | None = None) -> str:
    return markdown.text(document(summary, info, said or Said()))


class TestMarkdown:
    def test_tables_are_rectangular_and_complete(self) -> None:
        lines = to_markdown(summarise(of(typical_run())), INFO).splitlines()
        table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
        assert len({len(row) for row in table}) == 1
        header, _, vanilla, bcc, libbpf = table
        assert header[:3] == ["setup", "n", "runtime, s"]
        assert libbpf[:3] == ["libbpf", "3", "12.10 ± 1.10 (+10.0 %)"]
        assert bcc[:3] == ["bcc", "3", "11.05 ± 0.87 (+0.5 % ~)"]
        assert vanilla[:3] == ["vanilla", "3", "11.00 ± 1.00"]
        assert vanilla[header.index("saved, %")] == "-"
        assert "drain, s" in header

    def test_records_set_aside_are_said_in_the_head(self) -> None:
        text = to_markdown(summarise(of(typical_run())), dataclasses.replace(INFO, superseded=3))
        head, _, _ = text.partition("###")
        assert "**Note:** 3 records of earlier attempts were set aside" in head
        assert "set aside" not in to_markdown(summarise(of(typical_run())), INFO)

    def test_reasons_cannot_break_the_table(self) -> None:
        text = to_markdown(summarise(of([make_failure(make_trial("bcc"), "a | b\n# c <img> *d* map_full")])), INFO)
        assert r"| read-rw-tracer-bcc-1 | failed | a \| b # c &lt;img&gt; \*d\* map_full |" in text.splitlines()

    def test_configurations_are_told_where_they_differ(self) -> None:
        configs = [make_config(ringbuf_bytes=ring) for ring in (65536, 1048576)]
        text = to_markdown(summarise(of(make_record(make_trial("libbpf", config=config)) for config in configs)), INFO)
        assert "| setup | n |" in text
        assert "| libbpf (ring 64 KiB) | 1 |" in text
        assert "(ring" not in to_markdown(summarise(of(typical_run())), INFO)

    def test_empty_run(self) -> None:
        assert "No trial has been recorded yet." in to_markdown(summarise(of([])), INFO)
