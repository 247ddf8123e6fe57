# SPDX-License-Identifier: Apache-2.0
"""A document in LaTeX: every text is set as it is, whatever it holds."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from typical import INFO, few_records

from bpfbench.analysis.results import of
from bpfbench.analysis.summary import summarise
from bpfbench.report.documents import summary
from bpfbench.report.write import latex


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
        text = latex.text(summary.printed(summarise(of(few_records())), INFO))
        assert r"libbpf & 3 & 12.11 $\pm$ 1.11 (+10.1 \%)" in text
        assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 1

    def test_a_run_without_trials(self) -> None:
        assert "No trial" in latex.text(summary.printed(summarise(of([])), INFO))
