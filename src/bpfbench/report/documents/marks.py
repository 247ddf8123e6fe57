# SPDX-License-Identifier: Apache-2.0
"""The marks at differences that must not be read as such: by the rule of decisions, or by the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.apart import Told, Verdict, apart
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import PaperRule
from bpfbench.analysis.summary import Group, Row

MARK: Mapping[Verdict | PaperRule | None, str] = {
    Verdict.OPEN: "~",
    Verdict.TOO_FEW: "?",
    PaperRule.INCONCLUSIVE: "~",
    PaperRule.NOT_ASSESSABLE: "?",
}
"""What stands after a difference."""

EXPLAINED: Mapping[Verdict | PaperRule | None, str] = {
    Verdict.MORE: "No mark: it differs from vanilla.",
    Verdict.LESS: "No mark: it differs from vanilla.",
    Verdict.OPEN: "~ cannot be told from vanilla, by an interval that holds at every look and for all rows at once.",
    Verdict.TOO_FEW: f"? cannot be told: that takes {ROUNDS_LEAST} rounds.",
    PaperRule.BEYOND: "No mark: the mean lies beyond vanilla's SD, which is no test of significance.",
    PaperRule.INCONCLUSIVE: "~ inconclusive by the paper's rule: the mean lies within vanilla's SD.",
    PaperRule.NOT_ASSESSABLE: "? not assessable by the paper's rule: vanilla has no SD (needs 2 repetitions).",
}
"""What marks say, and what it is to have none."""


@dataclass(frozen=True)
class Marks:
    """What is marked in a group."""

    told: Told
    paper_rule: bool = False

    @classmethod
    def of(cls, group: Group, *, paper_rule: bool = False) -> Marks:
        """Judge a group's differences; by the paper's rule, where that is asked for."""
        return cls({} if group.emulated else apart(group), paper_rule)

    def judged(self, row: Row, metric: Metric) -> Verdict | PaperRule | None:
        """Say whether a row differs from vanilla; None where it is not compared."""
        found = self.told.get((row.cell, metric))
        return None if found is None else row.samples[metric].rule if self.paper_rule else found.verdict
