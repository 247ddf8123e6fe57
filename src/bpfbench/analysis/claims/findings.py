# SPDX-License-Identifier: Apache-2.0
"""All there is to say of the paper's claims: by a run, or by the paper's own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bpfbench import catalogue
from bpfbench.analysis.claims.circumstances import Circumstance, circumstances
from bpfbench.analysis.claims.judge import Judgement, Verdict, judge_all
from bpfbench.analysis.claims.paper import paper_evidence
from bpfbench.analysis.claims.remark import Remark, remarks
from bpfbench.analysis.claims.run import evidence_of
from bpfbench.model import Record
from bpfbench.store import RunInfo


@dataclass(frozen=True, slots=True)
class Findings:
    """The claims, judged, and what belongs to them."""

    judgements: tuple[Judgement, ...]
    remarks: tuple[str, ...]
    """What a reader must know of all verdicts."""
    circumstances: tuple[Circumstance, ...]
    """The paper's beside the run's; empty where the paper's own numbers were judged."""
    on_the_paper: tuple[Remark, ...]
    """Counted in no verdict."""
    of_paper: bool = False
    """No evidence, but a check of our transcription: judged were the paper's own numbers."""

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many there are of each verdict; every verdict has an entry."""
        return {verdict: sum(judgement.verdict is verdict for judgement in self.judgements) for verdict in Verdict}


def by_run(run: RunInfo, records: Sequence[Record]) -> Findings:
    """Judge the claims by a run."""
    evidence, paper = evidence_of(records), catalogue.paper()
    beside = circumstances(paper, run, evidence.records)
    return Findings(judge_all(evidence), evidence.remarks, beside, remarks(paper))


def by_paper() -> Findings:
    """Judge the claims by the paper's own numbers."""
    paper = catalogue.paper()
    return Findings(judge_all(paper_evidence(paper)), (), (), remarks(paper), of_paper=True)
