# SPDX-License-Identifier: Apache-2.0
"""What the conformance suite found: a table of cases and setups, then what was skipped, and each failure.

Data: image (its key), machine (its facts), verdicts[]: case, setup, attach, variant, outcome, detail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bpfbench.model.check import CaseVerdict, Ended
from bpfbench.report.document import Block, Code, Column, Document, Field, Paragraph, Table

WORDS = {Ended.FAILED: "FAILED", Ended.PASSED: "ok", Ended.SKIPPED: "-"}
"""The worst first: what stands in the table for all variants of a case."""


def document(verdicts: Sequence[CaseVerdict]) -> Document:
    """Describe verdicts."""
    return tuple(_blocks(verdicts))


def _blocks(verdicts: Sequence[CaseVerdict]) -> Iterator[Block]:
    subjects = list(dict.fromkeys((verdict.setup, verdict.attach) for verdict in verdicts))
    columns = (Column("case", is_text=True), *(Column(setup, attach, is_text=True) for setup, attach in subjects))
    rows = []
    for case in dict.fromkeys(verdict.case for verdict in verdicts):
        own = [verdict for verdict in verdicts if verdict.case == case]
        worst = (_worst(v.outcome for v in own if (v.setup, v.attach) == subject) for subject in subjects)
        rows.append((Field(case), *map(Field, worst)))
    yield Table(columns, tuple(rows))
    for outcome in (Ended.SKIPPED, Ended.FAILED):
        found = [verdict for verdict in verdicts if verdict.outcome is outcome]
        named = ((v, " ".join(filter(None, (v.setup, v.attach, v.case, v.variant)))) for v in found)
        if lines := tuple(f"{what}: {outcome}: {verdict.detail}" for verdict, what in named):
            yield Code(lines)
    counts = {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Ended}
    yield Paragraph(", ".join(f"{n} {outcome}" for outcome, n in counts.items()))


def _worst(outcomes: Iterable[Ended]) -> str:
    found = set(outcomes)
    return next((word for outcome, word in WORDS.items() if outcome in found), "")
